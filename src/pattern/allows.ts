import { definitionOf } from './kinds/registry.ts';
import type { Pattern } from './pattern.ts';

/** One pair: head h, a query at absolute position q, a key at absolute position k, all counted from 0. */
export interface Pair {
  readonly head: number;
  readonly q: number;
  readonly k: number;
}

/**
 * The definition: whether `pattern` lets the query at position q attend to the key at position k. Everything else in
 * Farfield that deals with patterns is tested against this function. A position may be negative (queries that stand before
 * the first key); no global token is there. The kinds that kinds/ defines bring their own definition.
 */
export function allows(pattern: Pattern, pair: Pair): boolean {
  const { head, q, k } = pair;
  switch (pattern.kind) {
    case 'dense':
      return true;
    case 'causal':
      return k <= q;
    case 'window': {
      const dilation = pattern.dilation ?? 1;
      const steps = (q - k) / dilation;
      return (q - k) % dilation === 0 && -pattern.right <= steps && steps <= pattern.left;
    }
    case 'sinks':
      return k < pattern.count;
    case 'global': {
      const direction = pattern.direction ?? 'both';
      return (
        (direction !== 'queries' && pattern.positions.includes(k)) ||
        (direction !== 'keys' && pattern.positions.includes(q))
      );
    }
    case 'union':
      return pattern.of.some((part) => allows(part, pair));
    case 'intersect':
      return pattern.of.every((part) => allows(part, pair));
    case 'complement':
      return !allows(pattern.of, pair);
    case 'perHead': {
      const part = pattern.heads[head % pattern.heads.length];
      return part !== undefined && allows(part, pair);
    }
    default:
      return definitionOf(pattern).allows(pattern, pair);
  }
}
