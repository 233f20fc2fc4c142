/** The most memory that this process has held at any time so far, in bytes. Undefined where the platform does not tell (browsers). */
export function peakMemory(): number | undefined {
  if (typeof process === 'undefined' || typeof process.resourceUsage !== 'function') return undefined;
  return process.resourceUsage().maxRSS * 1024;
}
