import { ArgumentError } from '../errors.ts';
import { checkPatternFits } from '../pattern/fits.ts';
import { distinctHeads } from '../pattern/heads.ts';
import type { Pattern } from '../pattern/pattern.ts';
import { BitmapStore, clip, EMPTY_BLOCK } from './bitmap.ts';
import { BITMAP_WORDS, BLOCK_SIDE, type BlockMask, type BlockRows, FULL_BLOCK } from './block-mask.ts';
import { KeptBlocks, MAX_BITMAPS } from './kept-blocks.ts';
import { planPattern } from './plan.ts';
import { BLOCK_EMPTY, BLOCK_FULL, type PlannedPattern, planContext } from './planned.ts';
import { emptySpans, FULL } from './spans.ts';

/** Most queries or keys: key blocks then fit 32 bits with room to spare. */
const MAX_LENGTH = 2 ** 32;

/** Masks that compileMask made. */
const compiled = new WeakSet<BlockMask>();

export interface CompileOptions {
  /** N. */
  readonly queries: number;
  /** M. */
  readonly keys: number;
  /** H. */
  readonly heads: number;
  /** Absolute position of query row 0. Default keys - queries: the last query stands at the last key. */
  readonly queryOffset?: number;
  /**
   * Tokens of the whole text, which a pattern's grid, documents, ids and positions must be meant for (checkPatternFits). Default:
   * up to the last key or query. Infinity where it is not known, for the chunks of a stream, or does not matter, for a model's
   * pattern that any text is read with: positions beyond the text are then nowhere.
   */
  readonly length?: number;
}

/**
 * Compiles a pattern for N queries, M keys and H heads. Analytic: for each query block every part of the pattern names the
 * runs of key blocks that it may reach and those that it fills; unions and intersections combine the runs, and only blocks
 * left undecided get an exact bitmap, made row by row from intervals and once for all blocks that look alike. Time and
 * memory are proportional to the kept blocks.
 *
 * Throws PatternError for a pattern with a bad parameter or one that does not fit the text, ArgumentError for lengths that are not non-negative integers, and
 * MemoryError beyond 2^28 blocks in one head's pattern or 2^22 distinct bitmaps.
 */
export function compileMask(pattern: Pattern, options: CompileOptions): BlockMask {
  const { queries, keys, heads, queryOffset = keys - queries } = options;
  checkSizes(queries, keys, heads, queryOffset);
  const end = Math.max(keys, queries + queryOffset);
  const { length = end } = options;
  if (length !== Infinity && !(Number.isSafeInteger(length) && length >= end))
    throw new ArgumentError(
      `compileMask: length is ${String(length)}; it must be an integer from ${end} on, or Infinity`,
    );
  checkPatternFits(pattern, length);

  const { patterns, headRows } = distinctHeads(pattern, heads);
  const store = new BitmapStore(MAX_BITMAPS);
  const rows = patterns.map((own) => compileRows(own, queries, keys, queryOffset, store));
  const mask: BlockMask = { pattern, queries, keys, queryOffset, heads, headRows, rows, bitmaps: store.words() };
  compiled.add(mask);
  return mask;
}

/** The blocks of a pattern without perHead. Bitmaps go into `store`. */
export function compileRows(
  pattern: Pattern,
  queries: number,
  keys: number,
  queryOffset: number,
  store: BitmapStore,
): BlockRows {
  const planned = planPattern(pattern, planContext(keys));
  const queryBlocks = Math.ceil(queries / BLOCK_SIDE);
  const keyBlocks = Math.ceil(keys / BLOCK_SIDE);
  const lastColumns = keys - (keyBlocks - 1) * BLOCK_SIDE;
  const rowStart = new Uint32Array(queryBlocks + 1);
  const kept = new KeptBlocks();
  const spans = emptySpans();
  const bitmaps = new BlockBitmaps(planned, store);

  for (let i = 0; i < queryBlocks; i++) {
    const first = i * BLOCK_SIDE + queryOffset;
    const count = Math.min(BLOCK_SIDE, queries - i * BLOCK_SIDE);
    planned.spans(first, first + count - 1, 0, keyBlocks, spans);
    for (let s = 0; s < spans.length; s += 3) {
      const start = spans.runs[s] ?? 0;
      const end = spans.runs[s + 1] ?? 0;
      const isFull = spans.runs[s + 2] === FULL;
      for (let j = start; j < end; j++) {
        const columns = j === keyBlocks - 1 ? lastColumns : BLOCK_SIDE;
        const bitmap = isFull ? bitmaps.full(count, columns) : bitmaps.exact(first, j * BLOCK_SIDE, count, columns);
        if (bitmap !== EMPTY_BLOCK) kept.push(j, bitmap);
      }
    }
    rowStart[i + 1] = kept.count;
  }
  return { rowStart, ...kept.arrays() };
}

/** Finds the bitmap index of a block, painting only blocks whose look is new. */
class BlockBitmaps {
  readonly #planned: PlannedPattern;
  readonly #store: BitmapStore;
  readonly #scratch = new Uint32Array(BITMAP_WORDS);
  /** Bitmap index of each identity, for blocks that are not cut short. */
  readonly #whole: number[] = [];
  /** The same for blocks cut to rows x columns, by (identity * 65 + rows) * 65 + columns. */
  readonly #cut = new Map<number, number>();

  constructor(planned: PlannedPattern, store: BitmapStore) {
    this.#planned = planned;
    this.#store = store;
  }

  full(rows: number, columns: number): number {
    if (rows === BLOCK_SIDE && columns === BLOCK_SIDE) return FULL_BLOCK;
    const key = cutKey(BLOCK_FULL, rows, columns);
    const known = this.#cut.get(key);
    if (known !== undefined) return known;
    this.#scratch.fill(0xffffffff);
    clip(this.#scratch, rows, columns);
    const index = this.#store.add(this.#scratch);
    this.#cut.set(key, index);
    return index;
  }

  exact(q0: number, k0: number, rows: number, columns: number): number {
    const identity = this.#planned.identify(q0, k0, BLOCK_SIDE);
    if (identity === BLOCK_EMPTY) return EMPTY_BLOCK;
    if (identity === BLOCK_FULL) return this.full(rows, columns);
    const isWhole = rows === BLOCK_SIDE && columns === BLOCK_SIDE;
    const key = cutKey(identity, rows, columns);
    const known = isWhole ? this.#whole[identity] : this.#cut.get(key);
    if (known !== undefined) return known;
    this.#planned.paint(q0, k0, this.#scratch);
    if (!isWhole) clip(this.#scratch, rows, columns);
    const index = this.#store.add(this.#scratch);
    if (isWhole) this.#whole[identity] = index;
    else this.#cut.set(key, index);
    return index;
  }
}

function cutKey(identity: number, rows: number, columns: number): number {
  return (identity * (BLOCK_SIDE + 1) + rows) * (BLOCK_SIDE + 1) + columns;
}

/** Throws ArgumentError for lengths and numbers of heads that no mask can have. */
export function checkSizes(queries: number, keys: number, heads: number, queryOffset: number): void {
  checkLength('queries', queries, 0, MAX_LENGTH);
  checkLength('keys', keys, 0, MAX_LENGTH);
  checkLength('heads', heads, 1, 2 ** 16);
  checkLength('queryOffset', queryOffset, -(2 ** 50), 2 ** 50);
}

/** Throws ArgumentError unless `value` is an integer from `least` to `most`. */
function checkLength(name: string, value: number, least: number, most: number): void {
  if (!Number.isSafeInteger(value) || value < least || value > most) {
    throw new ArgumentError(`compileMask: ${name} is ${String(value)}; it must be an integer from ${least} to ${most}`);
  }
}

/** Whether compileMask made this very mask, so that its `pattern` says what its blocks do. */
export function isCompiled(mask: BlockMask): boolean {
  return compiled.has(mask);
}
