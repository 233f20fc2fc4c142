import { readFileSync } from 'node:fs';

/**
 * The most memory, in bytes, that this process has had in use at any time: the kernel's own high-water mark where there is
 * one, because what getrusage tells begins at the size of the parent process.
 */
export function peakResidentBytes(): number {
  try {
    const kibibytes = /^VmHWM:\s*(\d+) kB$/m.exec(readFileSync('/proc/self/status', 'utf8'))?.[1];
    if (kibibytes !== undefined) return 1024 * Number(kibibytes);
  } catch {
    // Not Linux.
  }
  return 1024 * process.resourceUsage().maxRSS;
}
