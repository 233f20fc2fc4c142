import type { OrderedRows } from '../../mask/arrange/passes.ts';
import { BITMAP_WORDS, BLOCK_SIDE, type BlockMask } from '../../mask/block-mask.ts';
import type { Heap } from './heap.ts';
import type { PlacedMask } from './job.ts';

/** Groups of 8 queries in a block: the unit of the kernel's key ranges. */
const GROUPS = BLOCK_SIDE / 8;
/** Addresses of one head's rows. */
const ROWS_ARRAYS = 7;

/** What the kernel needs to know of a mask, or of a pass over some of its pairs. */
export interface MaskBlocks extends Pick<BlockMask, 'headRows' | 'bitmaps' | 'keys'> {
  readonly rows: readonly OrderedRows[];
  readonly batch?: readonly MaskBlocks[];
}

/**
 * Puts a mask into the kernel's memory, as one block: for each head the address of its rows' arrays (rowStart, column,
 * bitmap, key block, query order, key order and its inverse); the bitmaps turned, so that one key has one bit for each query; and for each bitmap and each group of 8 queries the
 * range of keys that any of them sees. `column` translates key blocks, for keys that lie in pages. For a mask with one of its own
 * for each batch entry the table of heads is [B, H], and rows that entries share are there once.
 */
export function placeMask(
  heap: Heap,
  mask: MaskBlocks,
  column?: (block: number) => number,
): PlacedMask & { address: number } {
  const entries = mask.batch ?? [mask];
  const bitmapWords = entries[0]?.bitmaps ?? mask.bitmaps;
  const distinct = new Set(entries.flatMap(({ rows }) => rows));
  const count = bitmapWords.length / BITMAP_WORDS;
  let words = entries.length * mask.headRows.length + ROWS_ARRAYS * distinct.size + count * (BITMAP_WORDS + GROUPS / 2);
  for (const { rowStart, column: kept, queryOrder, keyOrder } of distinct) {
    words += rowStart.length + (column ? 3 : 2) * kept.length + (queryOrder?.length ?? 0);
    if (keyOrder) words += keyOrder.length + mask.keys;
  }
  const address = heap.allocate(4 * words);
  const memory = heap.words(address, words);
  let next = 0;
  const put = (values: ArrayLike<number>) => {
    const at = address + 4 * next;
    memory.set(values, next);
    next += values.length;
    return at;
  };
  const tables = new Map<OrderedRows, number>();
  for (const rows of distinct) {
    const keyBlocks = put(rows.column);
    const columns = column ? put(rows.column.map(column)) : keyBlocks;
    const { queryOrder, keyOrder } = rows;
    const orders = [
      queryOrder ? put(queryOrder) : 0,
      keyOrder ? put(keyOrder) : 0,
      keyOrder ? put(inverseOf(keyOrder, mask.keys)) : 0,
    ];
    tables.set(rows, put([put(rows.rowStart), columns, put(rows.bitmap), keyBlocks, ...orders]));
  }
  const heads = put(
    entries.flatMap(({ rows, headRows }) => Array.from(headRows, (index) => tables.get(rows[index]) ?? 0)),
  );
  const bitmaps = address + 4 * next;
  const ranges = bitmaps + count * BITMAP_WORDS * 4;
  const rangeBytes = new Uint8Array(memory.buffer, ranges, count * GROUPS * 2);
  for (let i = 0; i < count; i++) {
    turnBitmap(bitmapWords, i * BITMAP_WORDS, memory, next + i * BITMAP_WORDS);
    keyRanges(bitmapWords, i * BITMAP_WORDS, rangeBytes, i * GROUPS * 2);
  }
  return { address, heads, bitmaps, ranges };
}

/** For each key its place in an order, -1 where it has none. */
function inverseOf(order: Int32Array, keys: number): Int32Array {
  const inverse = new Int32Array(keys).fill(-1);
  for (let place = 0; place < order.length; place++) if (order[place] >= 0) inverse[order[place]] = place;
  return inverse;
}

function turnBitmap(from: Uint32Array, at: number, to: Uint32Array, out: number): void {
  to.fill(0, out, out + BITMAP_WORDS);
  for (let q = 0; q < BLOCK_SIDE; q++) {
    const word = q >> 5;
    const bit = 1 << (q & 31);
    for (let half = 0; half < 2; half++) {
      let rest = from[at + 2 * q + half] | 0;
      while (rest !== 0) {
        const k = 31 - Math.clz32(rest & -rest);
        rest &= rest - 1;
        to[out + 2 * (32 * half + k) + word] |= bit;
      }
    }
  }
}

function keyRanges(from: Uint32Array, at: number, to: Uint8Array, out: number): void {
  for (let group = 0; group < GROUPS; group++) {
    let low = 0;
    let high = 0;
    for (let q = 8 * group; q < 8 * group + 8; q++) {
      low |= from[at + 2 * q] | 0;
      high |= from[at + 2 * q + 1] | 0;
    }
    const first = low !== 0 ? trailingZeros(low) : high !== 0 ? 32 + trailingZeros(high) : BLOCK_SIDE;
    const end = high !== 0 ? 64 - Math.clz32(high) : 32 - Math.clz32(low);
    to[out + 2 * group] = first;
    to[out + 2 * group + 1] = end;
  }
}

function trailingZeros(word: number): number {
  return 31 - Math.clz32(word & -word);
}
