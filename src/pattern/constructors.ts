import { PatternError } from '../errors.ts';
import { checkDirection, checkPattern, checkPositions } from './check.ts';
import type { Causal, Complement, Dense, Global, Pattern, PerHead, Sinks, Window } from './pattern.ts';
import { checkInteger, checkList, show } from './values.ts';

/** Every pair. */
export function dense(): Dense {
  return { kind: 'dense' };
}

/** k <= q. */
export function causal(): Causal {
  return { kind: 'causal' };
}

/**
 * Sliding window (Longformer, section 3.1). `window(256)` reaches 256 tokens to either side; `window({ left: 256 })` only
 * back; a dilation d keeps every d-th key and counts left and right in steps of d. Throws PatternError.
 */
export function window(size: number | { left?: number; right?: number; dilation?: number }): Window {
  if (typeof size === 'number') {
    checkInteger('window size', size);
    return { kind: 'window', left: size, right: size };
  }
  if (typeof size !== 'object' || size === null) {
    throw new PatternError(`window size is ${show(size)}; it must be a number or { left, right, dilation }`);
  }
  const { left = 0, right = 0, dilation } = size;
  checkInteger('window left', left);
  checkInteger('window right', right);
  if (dilation === undefined) return { kind: 'window', left, right };
  checkInteger('window dilation', dilation, 1);
  return { kind: 'window', left, right, dilation };
}

/** The first `count` keys, for every query (StreamingLLM, section 3.2). Throws PatternError. */
export function sinks(count: number): Sinks {
  checkInteger('sinks count', count);
  return { kind: 'sinks', count };
}

/**
 * Global tokens (Longformer, section 3.1): every query sees them ('keys'), they see every key ('queries'), or 'both', the
 * default. Throws PatternError.
 */
export function globalTokens(options: {
  positions: readonly number[];
  direction?: 'both' | 'keys' | 'queries';
}): Global {
  const { positions, direction } = options;
  checkPositions('globalTokens positions', positions);
  checkDirection('globalTokens direction', direction);
  const copy = [...positions];
  return direction === undefined ? { kind: 'global', positions: copy } : { kind: 'global', positions: copy, direction };
}

/** Pairs that at least one of the parts allows; of one part, that part. Throws PatternError. */
export function union(...of: readonly Pattern[]): Pattern {
  return combine('union', of);
}

/** Pairs that every part allows; of one part, that part. Throws PatternError. */
export function intersect(...of: readonly Pattern[]): Pattern {
  return combine('intersect', of);
}

/** Pairs that `of` does not allow. Throws PatternError. */
export function complement(of: Pattern): Complement {
  const pattern: Complement = { kind: 'complement', of };
  checkPattern(pattern);
  return pattern;
}

function combine(kind: 'union' | 'intersect', of: readonly Pattern[]): Pattern {
  if (of.length === 0) throw new PatternError(`${kind} has no parts; give it at least one pattern`);
  const pattern: Pattern = { kind, of: [...of] };
  checkPattern(pattern);
  return of.length === 1 && of[0] !== undefined ? of[0] : pattern;
}

/** Head h uses `heads[h % heads.length]`. Throws PatternError for an empty list and for a perHead inside. */
export function perHead(heads: readonly Pattern[]): PerHead {
  checkList('perHead heads', heads, 1);
  const pattern: PerHead = { kind: 'perHead', heads: [...heads] };
  checkPattern(pattern);
  return pattern;
}
