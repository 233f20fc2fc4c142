import { MemoryError } from '../errors.ts';
import { BITMAP_WORDS } from './block-mask.ts';
import type { Spans } from './spans.ts';

/** What `identify` says of a square without, or with, all its pairs. Larger numbers name one look each. */
export const BLOCK_EMPTY = 0;
export const BLOCK_FULL = 1;
/** What `identify` says of a square larger than a block that is to be asked about by quarters. */
export const UNDECIDED = -1;

/**
 * One part of a head's pattern, ready to answer about blocks. Queries are absolute positions; a query block has the rows
 * `first`..`last` (inclusive, at most T of them).
 */
export interface PlannedPattern {
  /** Whether some part finds its blocks row by row, so that asking for them in another order is slow. */
  readonly isScattered?: boolean;
  /** The smallest and the largest key that queries first..last can see: a superset, possibly empty (low > high). */
  low(first: number): number;
  high(last: number): number;
  /** Overwrites `out` with the key blocks among [from, to) that are not certainly empty for the rows first..last. */
  spans(first: number, last: number, from: number, to: number, out: Spans): void;
  /**
   * BLOCK_EMPTY, BLOCK_FULL, or a number that two squares of the same side share only if their pairs are equal, for the
   * square of side x side pairs whose first query is q0 and first key k0. `side` is T times a power of two, and the squares of
   * one side make a grid; UNDECIDED is for those larger than a block. This is what makes repeated blocks of a window cost
   * nothing, and what counts a pattern without its blocks.
   */
  identify(q0: number, k0: number, side: number): number;
  /** Overwrites `out` with the exact bitmap of that block. */
  paint(q0: number, k0: number, out: Uint32Array): void;
}

/** Most identities in one compilation, so that a pair of them fits a safe integer. */
export const MAX_IDENTITIES = 2 ** 26;

/** What the parts of one compilation share. */
export interface PlanContext {
  readonly keys: number;
  /** A number from 2 on, never returned before. */
  newIdentity(): number;
}

export function planContext(keys: number): PlanContext {
  let next = 2;
  return {
    keys,
    newIdentity(): number {
      if (next >= MAX_IDENTITIES) {
        throw new MemoryError(
          `compileMask: the pattern has more than ${MAX_IDENTITIES} different partial blocks; use a more regular pattern or fewer tokens`,
          MAX_IDENTITIES * BITMAP_WORDS * 4,
          MAX_IDENTITIES * BITMAP_WORDS * 4,
        );
      }
      return next++;
    },
  };
}

/** The identity that stands for `key` in `map`, a new one at first. */
export function intern(map: Map<number, number>, key: number, context: PlanContext): number {
  const known = map.get(key);
  if (known !== undefined) return known;
  const identity = context.newIdentity();
  map.set(key, identity);
  return identity;
}
