import type { Pattern } from '../pattern/pattern.ts';

/** Side T of a block, in queries and in keys. */
export const BLOCK_SIDE = 64;

/** Words of 32 bits in one bitmap: T rows (queries) of T bits (keys). */
export const BITMAP_WORDS = (BLOCK_SIDE * BLOCK_SIDE) / 32;

/** In `BlockRows.bitmap`: every pair of this block is allowed. */
export const FULL_BLOCK = -1;

/**
 * The blocks that one head pattern keeps, in compressed sparse row form: query block i keeps the key blocks
 * `column[rowStart[i] .. rowStart[i + 1])`, ascending. `bitmap[e]` is FULL_BLOCK or an index into `BlockMask.bitmaps`.
 * A block that the end of the queries or keys cuts short is never full: its bitmap is zero outside the lengths.
 */
export interface BlockRows {
  readonly rowStart: Uint32Array;
  readonly column: Uint32Array;
  readonly bitmap: Int32Array;
}

/**
 * A pattern compiled for N queries and M keys. Block (i, j) covers the queries [i T, i T + T) and the keys [j T, j T + T).
 * Query row i stands at absolute position i + queryOffset; key column j at absolute position j.
 */
export interface BlockMask {
  readonly pattern: Pattern;
  readonly queries: number;
  readonly keys: number;
  /** Absolute position of query row 0. Default keys - queries: the last query stands at the last key. */
  readonly queryOffset: number;
  /** The number of heads H the mask was compiled for. */
  readonly heads: number;
  /** Head h uses `rows[headRows[h]]`; equal head patterns share one entry. */
  readonly headRows: Uint32Array;
  readonly rows: readonly BlockRows[];
  /** Distinct bitmaps, BITMAP_WORDS each, stored once: bit (k % 32) of word (q * T + k) / 32 is pair (q, k) of the block. */
  readonly bitmaps: Uint32Array;
  /**
   * One mask for each batch entry, where they differ: made by refineMask, of the same lengths and heads, all with the same
   * `bitmaps`. The other fields are then those of the mask before it was refined.
   */
  readonly batch?: readonly BlockMask[];
}
