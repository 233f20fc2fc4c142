import { checkPattern } from '../check.ts';
import type { Pattern } from '../pattern.ts';

/** `pattern` without parameters that are undefined, and checked. Throws PatternError. */
export function made<P extends Pattern>(pattern: { [K in keyof P]: P[K] | undefined }): P {
  const own = Object.fromEntries(Object.entries(pattern).filter(([, value]) => value !== undefined)) as unknown as P;
  checkPattern(own);
  return own;
}

/** One pattern, or one for each head. */
export function forHeads(patterns: readonly Pattern[]): Pattern {
  const [only] = patterns;
  return patterns.length === 1 && only !== undefined ? only : made({ kind: 'perHead', heads: patterns });
}
