import { ArgumentError } from '../errors.ts';
import type { Pattern } from '../pattern/pattern.ts';
import { BitmapStore, EMPTY_BLOCK } from './bitmap.ts';
import { BITMAP_WORDS, BLOCK_SIDE, type BlockMask, type BlockRows } from './block-mask.ts';
import { type CompileOptions, checkSizes } from './compile.ts';
import { patternFromMask } from './explicit.ts';
import { KeptBlocks, MAX_BITMAPS } from './kept-blocks.ts';

/** Whether, in head h, the query at position q sees the key at position k. */
export type PairPredicate = (head: number, q: number, k: number) => boolean;

/**
 * Compiles any predicate by asking it about every pair: H N M calls, for masks that no pattern describes and for tests. Heads
 * that turn out the same share their blocks. The mask's `pattern` is made when it is read: a list of its pairs, for the lengths
 * of this mask. A function is no data: write the pattern where a mask goes to JSON.
 *
 * Throws ArgumentError for a bad length, or where the predicate returns something other than a boolean.
 */
export function compilePredicate(predicate: PairPredicate, options: CompileOptions): BlockMask {
  const { queries, keys, heads, queryOffset = keys - queries } = options;
  checkSizes(queries, keys, heads, queryOffset);
  const store = new BitmapStore(MAX_BITMAPS);
  const headRows = new Uint32Array(heads);
  const rows: BlockRows[] = [];
  for (let head = 0; head < heads; head++) {
    const own = rowsOf((q, k) => predicate(head, q, k), queries, keys, queryOffset, store);
    const same = rows.findIndex((known) => isSame(known, own));
    headRows[head] = same < 0 ? rows.push(own) - 1 : same;
  }
  let pattern: Pattern | undefined;
  const mask: BlockMask = {
    get pattern() {
      pattern ??= patternFromMask(mask);
      return pattern;
    },
    queries,
    keys,
    queryOffset,
    heads,
    headRows,
    rows,
    bitmaps: store.words(),
  };
  return mask;
}

function rowsOf(
  isSeen: (q: number, k: number) => unknown,
  queries: number,
  keys: number,
  queryOffset: number,
  store: BitmapStore,
): BlockRows {
  const rowStart = new Uint32Array(Math.ceil(queries / BLOCK_SIDE) + 1);
  const kept = new KeptBlocks();
  const bits = new Uint32Array(BITMAP_WORDS);
  for (let i = 0; i * BLOCK_SIDE < queries; i++) {
    const height = Math.min(BLOCK_SIDE, queries - i * BLOCK_SIDE);
    for (let j = 0; j * BLOCK_SIDE < keys; j++) {
      bits.fill(0);
      const width = Math.min(BLOCK_SIDE, keys - j * BLOCK_SIDE);
      for (let row = 0; row < height; row++) {
        for (let column = 0; column < width; column++) {
          const q = i * BLOCK_SIDE + row + queryOffset;
          const seen = isSeen(q, j * BLOCK_SIDE + column);
          if (typeof seen !== 'boolean') {
            throw new ArgumentError(
              `compilePredicate: the predicate returned ${String(seen)} for query ${q} and key ${j * BLOCK_SIDE + column}; it must return true or false`,
            );
          }
          if (!seen) continue;
          const word = row * 2 + (column >>> 5);
          bits[word] = (bits[word] ?? 0) | (1 << (column & 31));
        }
      }
      const bitmap = store.add(bits);
      if (bitmap !== EMPTY_BLOCK) kept.push(j, bitmap);
    }
    rowStart[i + 1] = kept.count;
  }
  return { rowStart, ...kept.arrays() };
}

function isSame(a: BlockRows, b: BlockRows): boolean {
  return (
    a.column.length === b.column.length &&
    a.rowStart.every((start, i) => start === b.rowStart[i]) &&
    a.column.every((column, e) => column === b.column[e] && a.bitmap[e] === b.bitmap[e])
  );
}
