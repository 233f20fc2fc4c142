import { ArgumentError } from '../../errors.ts';
import { headPattern } from '../../pattern/heads.ts';
import type { Pattern } from '../../pattern/pattern.ts';
import { keysVisibleLater } from '../../pattern/visibility.ts';
import { BLOCK_SIDE, type BlockMask } from '../block-mask.ts';
import { isCompiledMask } from '../block-reader.ts';
import { compileMask } from '../compile.ts';
import { type PatternBlocks, patternBlocks } from '../pattern-blocks.ts';
import { maskOfBatchEntry } from '../read.ts';
import { statistics } from '../statistics.ts';
import { checkCount } from './check.ts';

/** Floating-point operations, a multiplication and an addition counting as two, and bytes between memory and kernel. */
export interface Work {
  readonly flops: number;
  readonly bytes: number;
}

/** What attention over one set of pairs costs, for all heads and a batch of one. */
export interface AttentionCost {
  /** Allowed pairs P. */
  readonly pairs: number;
  /** Pairs in kept blocks, allowed or not: what a kernel that works by blocks computes. */
  readonly computedPairs: number;
  /** Kept blocks. */
  readonly blocks: number;
  /** P / (N M H), and P over the pairs with k <= q. */
  readonly density: number;
  readonly densityOfCausal: number;
  readonly forward: Work;
  readonly backward: Work;
  /** One more token: its query, at the last position, against the keys that it sees. */
  readonly decode: Work;
  /** Bytes of the keys and values that a query after the last key can still see: the cache of a decoder. */
  readonly cacheBytes: number;
}

export interface CostComparison {
  readonly pattern: AttentionCost;
  /** Every pair. */
  readonly dense: AttentionCost;
  /** Every pair with k <= q. */
  readonly causal: AttentionCost;
}

export interface CostOptions {
  /** H. A compiled mask has its own; for a pattern the default is 1. */
  readonly heads?: number;
  /** N and M, for a pattern. M defaults to N. */
  readonly queries?: number;
  readonly keys?: number;
  /** D and E. Default 64, and D. */
  readonly queryWidth?: number;
  readonly valueWidth?: number;
  /** Bytes b of a number of q, k, v and the output. Default 4. */
  readonly bytesPerNumber?: number;
}

/** What the formulas need to know of a set of pairs. */
interface Counts {
  readonly pairs: number;
  readonly computedPairs: number;
  readonly blocks: number;
  /** Rows of keys that the query blocks read, each block's own: the sum over kept blocks of their width. */
  readonly keyRows: number;
  /** Rows of queries that the key blocks read: the sum over kept blocks of their height. */
  readonly queryRows: number;
  /** Keys that the last query sees, and that later ones can see, over all heads. */
  readonly lastRow: number;
  readonly cached: number;
}

/**
 * What attention over a mask, or a pattern for a shape (counted, not compiled), costs, beside dense and causal dense attention of the same shape.
 * With P pairs, N queries, M keys, H heads, widths D and E, b bytes for a number, and over the kept blocks R_k key rows and
 * R_q query rows (each block counts its own; dense has R_k = ceil(N / T) M H):
 *
 *     forward   2 P (D + E) flops            Q K^T, and the weights times V (Attention Is All You Need, equation 1)
 *     backward  P (6 D + 4 E) flops          S again, dP, dQ, dK, dV (FlashAttention-2, algorithm 2): 2.5 times forward for D = E
 *     decode    2 p (D + E) flops            p: the pairs of the last query
 *
 *     forward   b (N H (D + E) + R_k (D + E)) + 4 N H         q, o; k and v once for each kept block; lse
 *     backward  b (R_q (D + E) + R_k (D + E) + N H (2 D + 2 E) + M H (2 D + 2 E)) + 8 N H
 *     decode    b (p (D + E) + H (D + E))
 *
 * Flops count the matrix products of allowed pairs alone, as papers do: no exponentials, no pairs that a block computes in
 * vain (`computedPairs` says how many those are). Bytes are those of kernels that keep one query block (in the backward
 * pass also one key block) and stream past it what its blocks need: q, k, v, o and the gradients, no score ever. Caches make
 * it less; no kernel can do with less than the arrays once. The backward pass walks query blocks for dQ and key blocks for
 * dK and dV; 8 N H are lse and the row sums of dO O.
 *
 * Throws ArgumentError where a shape is missing, twice there, or not positive, or a mask is refined (give one of its entries), and
 * what compileMask throws.
 */
export function attentionCost(subject: BlockMask | PatternBlocks | Pattern, options: CostOptions = {}): CostComparison {
  const { queryWidth: d = 64, bytesPerNumber: b = 4 } = options;
  const { valueWidth: e = d } = options;
  checkCount('attentionCost queryWidth', d, 1);
  checkCount('attentionCost valueWidth', e, 1);
  if (!(b > 0 && b <= 8))
    throw new ArgumentError(`attentionCost bytesPerNumber is ${b}; it must be a number above 0 and at most 8`);
  const mask = maskOf(subject, options);
  const { queries: n, keys: m, heads: h, queryOffset } = mask;
  const causal = countPrefix(mask, (end) => end);
  const priced = (counts: Counts): AttentionCost => {
    const { pairs, computedPairs, blocks, keyRows, queryRows, lastRow, cached } = counts;
    return {
      pairs,
      computedPairs,
      blocks,
      density: ratio(pairs, n * m * h),
      densityOfCausal: ratio(pairs, causal.pairs),
      forward: { flops: 2 * pairs * (d + e), bytes: b * (n * h + keyRows) * (d + e) + 4 * n * h },
      backward: {
        flops: pairs * (6 * d + 4 * e),
        bytes: b * (queryRows + keyRows + 2 * n * h + 2 * m * h) * (d + e) + 8 * n * h,
      },
      decode: { flops: 2 * lastRow * (d + e), bytes: b * (lastRow + h) * (d + e) },
      cacheBytes: b * cached * (d + e),
    };
  };
  const lastVisible = n === 0 ? 0 : Math.min(m, Math.max(0, n + queryOffset));
  const all = { lastRow: h * m, cached: h * m };
  return {
    pattern: priced(countMask(mask)),
    dense: priced({ ...countPrefix(mask, () => m), ...all }),
    causal: priced({ ...causal, lastRow: h * lastVisible, cached: h * m }),
  };
}

function maskOf(subject: BlockMask | PatternBlocks | Pattern, options: CostOptions): BlockMask | PatternBlocks {
  const { heads, queries, keys } = options;
  if (!('kind' in subject)) {
    if (heads === undefined && queries === undefined && keys === undefined)
      return isCompiledMask(subject) ? maskOfBatchEntry(subject) : subject;
    throw new ArgumentError('attentionCost: a compiled mask has its own queries, keys and heads; leave them out');
  }
  if (queries === undefined) throw new ArgumentError('attentionCost: a pattern needs `queries`, the number of tokens');
  return patternBlocks(subject, { queries, keys: keys ?? queries, heads: heads ?? 1 });
}

function countMask(mask: BlockMask | PatternBlocks): Counts {
  const { queries, keys, heads, queryOffset, pattern } = mask;
  const { pairs, computedPairs, blocks } = statistics(mask);
  const rowCounts = isCompiledMask(mask) ? countRows(mask) : mask.rows.map((rows) => rows.total());
  const sum = (field: 'keyRows' | 'queryRows'): number =>
    mask.headRows.reduce((total, row) => total + (rowCounts[row]?.[field] ?? 0), 0);
  const last = compileMask(pattern, {
    queries: 1,
    keys,
    heads,
    queryOffset: queries - 1 + queryOffset,
    length: Infinity,
  });
  const next = Math.max(0, queries + queryOffset);
  let cached = 0;
  for (let head = 0; head < heads; head++) {
    const own = keysVisibleLater(headPattern(pattern, head), 1, keys, next);
    cached += own.reduce((total, { start, end }) => total + end - start, 0);
  }
  return {
    pairs,
    computedPairs,
    blocks: blocks.full + blocks.partial,
    keyRows: sum('keyRows'),
    queryRows: sum('queryRows'),
    lastRow: queries === 0 ? 0 : statistics(last).pairs,
    cached,
  };
}

function countRows({ rows, queries, keys }: BlockMask): { keyRows: number; queryRows: number }[] {
  return rows.map(({ rowStart, column }) => {
    const keyRows = column.reduce((rows, j) => rows + Math.min(BLOCK_SIDE, keys - j * BLOCK_SIDE), 0);
    let queryRows = 0;
    for (let i = 0; i + 1 < rowStart.length; i++) {
      const kept = (rowStart[i + 1] ?? 0) - (rowStart[i] ?? 0);
      queryRows += kept * Math.min(BLOCK_SIDE, queries - i * BLOCK_SIDE);
    }
    return { keyRows, queryRows };
  });
}

/** Counts for masks in which each query sees the first keys: `seen` of the position after it, and so its last row's. */
function countPrefix(
  mask: BlockMask | PatternBlocks,
  seen: (end: number) => number,
): Omit<Counts, 'lastRow' | 'cached'> {
  const { queries, keys, heads, queryOffset } = mask;
  let [pairs, computedPairs, blocks, keyRows, queryRows] = [0, 0, 0, 0, 0];
  for (let first = 0; first < queries; first += BLOCK_SIDE) {
    const height = Math.min(BLOCK_SIDE, queries - first);
    const reach = clamp(seen(first + height + queryOffset), keys);
    const width = Math.min(keys, Math.ceil(reach / BLOCK_SIDE) * BLOCK_SIDE);
    const kept = Math.ceil(reach / BLOCK_SIDE);
    for (let row = 1; row <= height; row++) pairs += clamp(seen(first + row + queryOffset), keys);
    computedPairs += height * width;
    blocks += kept;
    keyRows += width;
    queryRows += kept * height;
  }
  return {
    pairs: pairs * heads,
    computedPairs: computedPairs * heads,
    blocks: blocks * heads,
    keyRows: keyRows * heads,
    queryRows: queryRows * heads,
  };
}

function clamp(value: number, most: number): number {
  return Math.min(most, Math.max(0, value));
}

function ratio(part: number, whole: number): number {
  return whole === 0 ? 0 : part / whole;
}
