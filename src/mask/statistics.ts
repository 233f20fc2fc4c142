import { countBitmap } from './bitmap.ts';
import { BITMAP_WORDS, BLOCK_SIDE, type BlockMask, type BlockRows, FULL_BLOCK } from './block-mask.ts';
import { isCompiledMask } from './block-reader.ts';
import type { BlockCounts, PatternBlocks } from './pattern-blocks.ts';

/** What a mask keeps and costs. Counts are exact up to 2^53. */
export interface MaskStatistics {
  /** Allowed pairs of each head [H], and of all heads; of a refined mask those of all batch entries. */
  readonly pairsPerHead: readonly number[];
  readonly pairs: number;
  /** Blocks of all heads and batch entries. Empty ones are not stored; `total` is all blocks that N x M has, times H, times B. */
  readonly blocks: { readonly full: number; readonly partial: number; readonly empty: number; readonly total: number };
  /** Pairs in kept blocks, whether allowed or not, up to the lengths: what a kernel that works by blocks computes. */
  readonly computedPairs: number;
  /** `pairs` over B N M H, and over the pairs with k <= q (may exceed 1); 0 where there is no pair at all. */
  readonly density: number;
  readonly densityOfCausal: number;
  /** Memory of the mask's arrays, each counted once. */
  readonly bytes: number;
  /** Of a refined mask: the same for each batch entry alone. */
  readonly entries?: readonly MaskStatistics[];
}

/**
 * Counts pairs and blocks, in time proportional to the kept blocks. Of patternBlocks() in time proportional to the squares of it that
 * look different, and `bytes` is then what the compiled mask would take (of a scattered pattern: the most that it would take).
 */
export function statistics(mask: BlockMask | PatternBlocks): MaskStatistics {
  if (!isCompiledMask(mask)) return countedStatistics(mask);
  if (mask.batch !== undefined) return refinedStatistics(mask, mask.batch);
  const { rows, bitmaps } = mask;
  const pairsOfBitmap = countBitmaps(bitmaps);
  const counts = rows.map((own) => countRows(mask, own, pairsOfBitmap));
  return summed(mask, counts, bytesOf([mask]));
}

function countedStatistics(blocks: PatternBlocks): MaskStatistics {
  const counts = blocks.rows.map((rows) => rows.total());
  const rowBytes = 4 * (Math.ceil(blocks.queries / BLOCK_SIDE) + 1);
  const bytes = counts.map(({ kept, full }, i) => {
    const own = blocks.rows[i]?.countsSquares ? 0 : kept - full;
    return rowBytes + 8 * kept + 4 * BITMAP_WORDS * own;
  });
  const shared = blocks.headRows.byteLength + 4 * BITMAP_WORDS * blocks.store.count;
  return summed(blocks, counts, shared + bytes.reduce((sum, own) => sum + own, 0));
}

/** What statistics() needs to know of a head. */
type HeadCounts = Pick<BlockCounts, 'pairs' | 'full' | 'kept' | 'computedPairs'>;

function summed(
  {
    queries,
    keys,
    heads,
    queryOffset,
    headRows,
  }: Pick<BlockMask, 'queries' | 'keys' | 'heads' | 'queryOffset' | 'headRows'>,
  counts: readonly HeadCounts[],
  bytes: number,
): MaskStatistics {
  const perHead = Array.from(headRows, (index) => counts[index] ?? { pairs: 0, full: 0, kept: 0, computedPairs: 0 });
  const sum = (field: keyof HeadCounts): number => perHead.reduce((total, count) => total + count[field], 0);
  const total = Math.ceil(queries / BLOCK_SIDE) * Math.ceil(keys / BLOCK_SIDE) * heads;
  const pairs = sum('pairs');
  const kept = sum('kept');
  const full = sum('full');
  return {
    pairsPerHead: perHead.map((count) => count.pairs),
    pairs,
    blocks: { full, partial: kept - full, empty: total - kept, total },
    computedPairs: sum('computedPairs'),
    density: ratio(pairs, queries * keys * heads),
    densityOfCausal: ratio(pairs, causalPairs(queries, keys, queryOffset) * heads),
    bytes,
  };
}

function refinedStatistics(mask: BlockMask, batch: readonly BlockMask[]): MaskStatistics {
  const known = new Map(batch.map((entry) => [entry, statistics(entry)]));
  const entries = batch.map((entry) => known.get(entry) ?? statistics(entry));
  const sum = (value: (entry: MaskStatistics) => number): number =>
    entries.reduce((total, entry) => total + value(entry), 0);
  const { queries, keys, heads, queryOffset } = mask;
  const pairs = sum((entry) => entry.pairs);
  return {
    pairsPerHead: Array.from({ length: heads }, (_, head) => sum((entry) => entry.pairsPerHead[head])),
    pairs,
    blocks: {
      full: sum((entry) => entry.blocks.full),
      partial: sum((entry) => entry.blocks.partial),
      empty: sum((entry) => entry.blocks.empty),
      total: sum((entry) => entry.blocks.total),
    },
    computedPairs: sum((entry) => entry.computedPairs),
    density: ratio(pairs, queries * keys * heads * batch.length),
    densityOfCausal: ratio(pairs, causalPairs(queries, keys, queryOffset) * heads * batch.length),
    bytes: bytesOf(batch),
    entries,
  };
}

/** Bytes of all arrays of some masks; what they share counts once. */
function bytesOf(masks: readonly BlockMask[]): number {
  const arrays = masks.flatMap(({ headRows, bitmaps, rows }) => [
    headRows,
    bitmaps,
    ...rows.flatMap((own) => [own.rowStart, own.column, own.bitmap]),
  ]);
  return [...new Set(arrays)].reduce((bytes, array) => bytes + array.byteLength, 0);
}

/** Number of pairs of each distinct bitmap. */
export function countBitmaps(bitmaps: Uint32Array): Uint16Array {
  return Uint16Array.from({ length: bitmaps.length / BITMAP_WORDS }, (_, b) => countBitmap(bitmaps, b * BITMAP_WORDS));
}

function countRows(mask: BlockMask, rows: BlockRows, pairsOfBitmap: Uint16Array): HeadCounts {
  const { rowStart, column, bitmap } = rows;
  let pairs = 0;
  let full = 0;
  let computed = 0;
  for (let i = 0; i + 1 < rowStart.length; i++) {
    const height = Math.min(BLOCK_SIDE, mask.queries - i * BLOCK_SIDE);
    for (let e = rowStart[i] ?? 0; e < (rowStart[i + 1] ?? 0); e++) {
      const index = bitmap[e] ?? FULL_BLOCK;
      if (index === FULL_BLOCK) full++;
      pairs += index === FULL_BLOCK ? BLOCK_SIDE * BLOCK_SIDE : (pairsOfBitmap[index] ?? 0);
      computed += height * Math.min(BLOCK_SIDE, mask.keys - (column[e] ?? 0) * BLOCK_SIDE);
    }
  }
  return { pairs, full, kept: column.length, computedPairs: computed };
}

/** Pairs with k <= q: the sum over rows r of r + offset + 1, held between 0 and the number of keys. */
function causalPairs(queries: number, keys: number, offset: number): number {
  const first = Math.min(queries, Math.max(0, -offset));
  const saturated = Math.min(queries, Math.max(first, keys - 1 - offset));
  const growing = saturated - first;
  return (growing * (first + saturated + 1 + 2 * offset)) / 2 + (queries - saturated) * keys;
}

function ratio(part: number, whole: number): number {
  return whole === 0 ? 0 : part / whole;
}
