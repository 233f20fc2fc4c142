import type { Pattern } from '../../pattern/pattern.ts';
import type { BitmapStore } from '../bitmap.ts';
import { EMPTY_BLOCK } from '../bitmap.ts';
import { BITMAP_WORDS, BLOCK_SIDE, type BlockMask, type BlockRows, FULL_BLOCK } from '../block-mask.ts';
import { KeptBlocks } from '../kept-blocks.ts';
import { findBlock } from '../read.ts';
import type { OrderedRows } from './passes.ts';

/** Pairs of a shared key and a query, each looked up by itself. */
const MAX_PAIRS = 2 ** 24;

export interface SharedKeys {
  /** Ascending, at most a block of them. */
  readonly keys: readonly number[];
  /** What the patterns allow beside them. */
  readonly rest: readonly Pattern[];
}

/**
 * A few keys that patterns speak of whoever asks: sinks, global tokens, single columns. Given to every class of tokens beside its
 * own keys, they need no pass of their own. All of `patterns` is in these keys and `rest`.
 */
export function findSharedKeys(patterns: readonly Pattern[], { queries, keys }: BlockMask): SharedKeys {
  const rest: Pattern[] = [];
  const shared = new Set<number>();
  for (const pattern of patterns) {
    const isBoth = pattern.kind === 'global' && (pattern.direction ?? 'both') === 'both';
    const own = (isBoth ? pattern.positions : keysOf(pattern))?.filter((key) => key < keys);
    const count = new Set([...shared, ...(own ?? [])]).size;
    if (own === undefined || count > BLOCK_SIDE || count * queries > MAX_PAIRS) {
      rest.push(pattern);
      continue;
    }
    for (const key of own) shared.add(key);
    if (isBoth) rest.push({ ...pattern, direction: 'queries' });
  }
  return { keys: [...shared].sort((a, b) => a - b), rest };
}

/** The keys that all pairs of a pattern have, where they are few. */
function keysOf(pattern: Pattern): readonly number[] | undefined {
  switch (pattern.kind) {
    case 'sinks':
      return pattern.count <= BLOCK_SIDE ? range(0, pattern.count) : undefined;
    case 'columns':
      return pattern.period === undefined && pattern.count <= BLOCK_SIDE
        ? range(pattern.start, pattern.count)
        : undefined;
    case 'global':
      return pattern.direction === 'keys' ? pattern.positions : undefined;
    case 'intersect':
      for (const part of pattern.of) {
        const keys = keysOf(part);
        if (keys !== undefined) return keys;
      }
      return undefined;
    default:
      return undefined;
  }
}

function range(start: number, count: number): number[] {
  return Array.from({ length: count }, (_, i) => start + i);
}

/** Puts a block of the shared keys before the others, with the pairs that `natural`, the mask's own rows, has of them. */
export function addSharedKeys(
  rows: OrderedRows,
  shared: readonly number[],
  natural: BlockRows,
  naturalBitmaps: Uint32Array,
  store: BitmapStore,
): OrderedRows {
  const { rowStart, column, bitmap, queryOrder = new Int32Array(), keyOrder = new Int32Array() } = rows;
  const kept = new KeptBlocks();
  const starts = new Uint32Array(rowStart.length);
  const words = new Uint32Array(BITMAP_WORDS);
  for (let i = 0; i + 1 < rowStart.length; i++) {
    words.fill(0);
    for (let r = 0; r < BLOCK_SIDE; r++) {
      const q = queryOrder[i * BLOCK_SIDE + r] ?? -1;
      if (q < 0) continue;
      for (const [c, key] of shared.entries()) {
        if (!has(natural, naturalBitmaps, q, key)) continue;
        const word = 2 * r + (c >>> 5);
        words[word] = (words[word] ?? 0) | (1 << (c & 31));
      }
    }
    const index = store.add(words);
    if (index !== EMPTY_BLOCK) kept.push(0, index);
    for (let e = rowStart[i] ?? 0; e < (rowStart[i + 1] ?? 0); e++) kept.push((column[e] ?? 0) + 1, bitmap[e] ?? 0);
    starts[i + 1] = kept.count;
  }
  const order = new Int32Array(BLOCK_SIDE + keyOrder.length).fill(-1, 0, BLOCK_SIDE);
  order.set(shared);
  // In its class a shared key has no pairs left, so that its place there is free: a key has one place.
  const isShared = new Set(shared);
  order.set(
    keyOrder.map((key) => (isShared.has(key) ? -1 : key)),
    BLOCK_SIDE,
  );
  return { rowStart: starts, ...kept.arrays(), queryOrder, keyOrder: order };
}

function has(rows: BlockRows, bitmaps: Uint32Array, q: number, k: number): boolean {
  const [i, j] = [Math.floor(q / BLOCK_SIDE), Math.floor(k / BLOCK_SIDE)];
  const entry = findBlock(rows, i, j);
  if (entry >= (rows.rowStart[i + 1] ?? 0) || rows.column[entry] !== j) return false;
  const bitmap = rows.bitmap[entry] ?? FULL_BLOCK;
  if (bitmap === FULL_BLOCK) return true;
  const column = k - j * BLOCK_SIDE;
  const word = bitmap * BITMAP_WORDS + (q - i * BLOCK_SIDE) * 2 + (column >>> 5);
  return (((bitmaps[word] ?? 0) >>> (column & 31)) & 1) === 1;
}
