import { popcount } from './bitmap.ts';
import { BITMAP_WORDS, BLOCK_SIDE, type BlockMask, type BlockRows, FULL_BLOCK } from './block-mask.ts';

/** Query rows start .. end - 1. */
export interface RowRange {
  readonly start: number;
  readonly end: number;
}

/**
 * Where the pairs of each query row begin, those of one head pattern counted from row `range.start` on: one number more than
 * there are rows. Time proportional to the kept blocks, and to the rows in them.
 */
export function rowStarts(mask: BlockMask, rows: BlockRows, range: RowRange): Float64Array {
  const { start, end } = range;
  const starts = new Float64Array(end - start + 1);
  const inBitmap = rowCounts(mask.bitmaps);
  for (let i = Math.floor(start / BLOCK_SIDE); i * BLOCK_SIDE < end; i++) {
    const first = Math.max(start, i * BLOCK_SIDE);
    const last = Math.min(end, (i + 1) * BLOCK_SIDE);
    for (let e = rows.rowStart[i]; e < rows.rowStart[i + 1]; e++) {
      const bitmap = rows.bitmap[e];
      const counts = (bitmap - i) * BLOCK_SIDE;
      for (let q = first; q < last; q++) {
        const pairs = bitmap === FULL_BLOCK ? BLOCK_SIDE : inBitmap[counts + q];
        starts[q - start + 1] += pairs;
      }
    }
  }
  for (let i = 1; i < starts.length; i++) starts[i] += starts[i - 1];
  return starts;
}

/** The keys of the pairs that rowStarts() counted, ascending in every row. */
export function rowColumns(mask: BlockMask, rows: BlockRows, range: RowRange, starts: Float64Array): Uint32Array {
  const { start, end } = range;
  const columns = new Uint32Array(starts[end - start]);
  const next = starts.slice();
  for (let i = Math.floor(start / BLOCK_SIDE); i * BLOCK_SIDE < end; i++) {
    const first = Math.max(start, i * BLOCK_SIDE);
    const last = Math.min(end, (i + 1) * BLOCK_SIDE);
    for (let e = rows.rowStart[i]; e < rows.rowStart[i + 1]; e++) {
      const k0 = rows.column[e] * BLOCK_SIDE;
      const bitmap = rows.bitmap[e];
      for (let q = first; q < last; q++) {
        let place = next[q - start];
        if (bitmap === FULL_BLOCK) {
          for (let k = k0; k < k0 + BLOCK_SIDE; k++) columns[place++] = k;
        } else {
          const word = bitmap * BITMAP_WORDS + (q - i * BLOCK_SIDE) * 2;
          for (const half of [0, 1]) {
            let rest = mask.bitmaps[word + half];
            while (rest !== 0) {
              columns[place++] = k0 + 32 * half + 31 - Math.clz32(rest & -rest);
              rest &= rest - 1;
            }
          }
        }
        next[q - start] = place;
      }
    }
  }
  return columns;
}

/** Pairs in each row of each distinct bitmap. */
function rowCounts(bitmaps: Uint32Array): Uint8Array {
  const counts = new Uint8Array(bitmaps.length / 2);
  for (let row = 0; row < counts.length; row++)
    counts[row] = popcount(bitmaps[2 * row]) + popcount(bitmaps[2 * row + 1]);
  return counts;
}
