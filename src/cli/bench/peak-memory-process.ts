import { readFileSync } from 'node:fs';
import { type ContenderName, contenders } from './contenders.ts';
import type { Problem } from './problem.ts';

/** Started by peak-memory.ts with a contender's name and a problem; prints the peak resident memory of this process. */
const [name, problem] = process.argv.slice(2) as [ContenderName, string];
const contender = await contenders[name].prepare(JSON.parse(problem) as Problem);
const { signal } = new AbortController();
await contender.run(signal);
await contender.run(signal);
process.stdout.write(`${peakResidentBytes()}\n`, () => process.exit());

/** The kernel's own high-water mark where there is one: what getrusage tells begins at the size of the parent process. */
function peakResidentBytes(): number {
  try {
    const kibibytes = /^VmHWM:\s*(\d+) kB$/m.exec(readFileSync('/proc/self/status', 'utf8'))?.[1];
    if (kibibytes !== undefined) return 1024 * Number(kibibytes);
  } catch {
    // Not Linux.
  }
  return 1024 * process.resourceUsage().maxRSS;
}
