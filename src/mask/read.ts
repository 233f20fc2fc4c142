import { ArgumentError, MemoryError } from '../errors.ts';
import { BITMAP_WORDS, BLOCK_SIDE, type BlockMask, type BlockRows, FULL_BLOCK } from './block-mask.ts';

/** Most pairs N * M that `toDense` writes out (one byte each): 256 MiB. */
export const MAX_DENSE_PAIRS = 2 ** 28;

/**
 * The mask of one batch entry: its own of a refined mask, the mask itself of any other. Throws ArgumentError where a refined mask
 * does not say which entry is meant, or has no such entry.
 */
export function maskOfBatchEntry(mask: BlockMask, entry?: number): BlockMask {
  const { batch } = mask;
  if (batch === undefined) return mask;
  const own = batch[entry ?? -1];
  if (own === undefined) {
    const given = entry === undefined ? 'say which is meant' : `got ${entry}`;
    throw new ArgumentError(`the mask was refined for batch entries 0 to ${batch.length - 1}; ${given}`);
  }
  return own;
}

/** The rows of one head. Throws ArgumentError for a head that the mask does not have, and for a refined mask: give its entry. */
export function rowsOfHead(mask: BlockMask, head: number): BlockRows {
  if (mask.batch !== undefined) maskOfBatchEntry(mask);
  const rows = mask.rows[mask.headRows[head] ?? -1];
  if (rows === undefined) {
    throw new ArgumentError(`head is ${String(head)}; the mask has heads 0 to ${mask.heads - 1}`);
  }
  return rows;
}

/** Index of the first kept block of query block i whose key block is at least j: an entry of `column` and `bitmap`. */
export function findBlock(rows: BlockRows, i: number, j: number): number {
  let low = rows.rowStart[i] ?? 0;
  let high = rows.rowStart[i + 1] ?? low;
  while (low < high) {
    const middle = (low + high) >>> 1;
    if ((rows.column[middle] ?? 0) < j) low = middle + 1;
    else high = middle;
  }
  return low;
}

/**
 * Whether the mask lets query row q attend to key column k: rows and columns of the mask, so that row q stands at absolute
 * position q + queryOffset. Throws ArgumentError outside the mask.
 */
export function isAllowed(mask: BlockMask, head: number, q: number, k: number): boolean {
  const rows = rowsOfHead(mask, head);
  checkIndex('q', q, mask.queries);
  checkIndex('k', k, mask.keys);
  const i = Math.floor(q / BLOCK_SIDE);
  const j = Math.floor(k / BLOCK_SIDE);
  const entry = findBlock(rows, i, j);
  if (entry >= (rows.rowStart[i + 1] ?? 0) || rows.column[entry] !== j) return false;
  const bitmap = rows.bitmap[entry] ?? FULL_BLOCK;
  if (bitmap === FULL_BLOCK) return true;
  const column = k - j * BLOCK_SIDE;
  const word = bitmap * BITMAP_WORDS + (q - i * BLOCK_SIDE) * 2 + (column >>> 5);
  return (((mask.bitmaps[word] ?? 0) >>> (column & 31)) & 1) === 1;
}

/**
 * One head's mask written out, [N, M], 1 where the pair is allowed. For tests and small pictures: throws MemoryError beyond
 * 2^28 pairs, ArgumentError for a head that is not there.
 */
export function toDense(mask: BlockMask, head: number): Uint8Array {
  const { queries, keys, bitmaps } = mask;
  const rows = rowsOfHead(mask, head);
  if (queries * keys > MAX_DENSE_PAIRS) {
    throw new MemoryError(
      `toDense: ${queries} x ${keys} pairs are more than ${MAX_DENSE_PAIRS}; read single pairs with isAllowed, or compile fewer queries`,
      queries * keys,
      MAX_DENSE_PAIRS,
    );
  }
  const dense = new Uint8Array(queries * keys);
  for (let i = 0; i + 1 < rows.rowStart.length; i++) {
    const rowEnd = Math.min(queries, (i + 1) * BLOCK_SIDE);
    for (let e = rows.rowStart[i] ?? 0; e < (rows.rowStart[i + 1] ?? 0); e++) {
      const k0 = (rows.column[e] ?? 0) * BLOCK_SIDE;
      const bitmap = rows.bitmap[e] ?? FULL_BLOCK;
      const columns = Math.min(BLOCK_SIDE, keys - k0);
      for (let q = i * BLOCK_SIDE; q < rowEnd; q++) {
        const start = q * keys + k0;
        if (bitmap === FULL_BLOCK) {
          dense.fill(1, start, start + columns);
          continue;
        }
        const word = bitmap * BITMAP_WORDS + (q - i * BLOCK_SIDE) * 2;
        for (let c = 0; c < columns; c++) {
          dense[start + c] = ((bitmaps[word + (c >>> 5)] ?? 0) >>> (c & 31)) & 1;
        }
      }
    }
  }
  return dense;
}

function checkIndex(name: string, value: number, length: number): void {
  if (!Number.isInteger(value) || value < 0 || value >= length) {
    throw new ArgumentError(`isAllowed: ${name} is ${String(value)}; it must be an integer from 0 to ${length - 1}`);
  }
}
