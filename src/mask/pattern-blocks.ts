import { ArgumentError, MemoryError } from '../errors.ts';
import { distinctHeads } from '../pattern/heads.ts';
import type { Pattern } from '../pattern/pattern.ts';
import { BitmapStore, clip, countBitmap } from './bitmap.ts';
import { BITMAP_WORDS, BLOCK_SIDE, type BlockMask } from './block-mask.ts';
import { type BlockLook, type BlockReader, FULL_LOOK, type TakeBlocks } from './block-reader.ts';
import { type CompileOptions, checkSizes } from './compile.ts';
import { MAX_BITMAPS } from './kept-blocks.ts';
import { planPattern } from './plan.ts';
import { BLOCK_EMPTY, BLOCK_FULL, type PlannedPattern, planContext, UNDECIDED } from './planned.ts';
import { emptySpans, FULL } from './spans.ts';

/** Most distinct squares that are remembered while a pattern is counted, and most bitmaps that are kept for blocks that look alike. */
const MAX_SQUARES = 2 ** 22;
const MAX_PAINTED = 4096;

/** What is in a part of a mask. */
export interface BlockCounts {
  readonly pairs: number;
  /** Blocks in which every pair is allowed, and all that are kept. A block that the lengths cut short is never full. */
  readonly full: number;
  readonly kept: number;
  /** Pairs in kept blocks up to the lengths, allowed or not; and the sums over kept blocks of their widths and heights. */
  readonly computedPairs: number;
  readonly keyRows: number;
  readonly queryRows: number;
}

/**
 * A pattern for N queries and M keys without the list of its blocks, which dense attention over a million tokens would need 2 GiB
 * for: they are found again each time they are asked for, and counted by squares that look alike.
 */
export interface PatternBlocks
  extends Pick<BlockMask, 'pattern' | 'queries' | 'keys' | 'queryOffset' | 'heads' | 'headRows'> {
  readonly rows: readonly HeadBlocks[];
  /** The distinct bitmaps of the blocks that were counted; those of scattered patterns are not kept. */
  readonly store: BitmapStore;
}

/** As compileMask takes them. Throws what it throws but for the number of blocks, which is of no account here. */
export function patternBlocks(pattern: Pattern, options: CompileOptions): PatternBlocks {
  const { queries, keys, heads, queryOffset = keys - queries } = options;
  checkSizes(queries, keys, heads, queryOffset);
  const { patterns, headRows } = distinctHeads(pattern, heads);
  const store = new BitmapStore(MAX_BITMAPS);
  const rows = patterns.map((own) => new HeadBlocks(own, { queries, keys, queryOffset }, store));
  return { pattern, queries, keys, queryOffset, heads, headRows, rows, store };
}

/** The blocks of one head. Throws ArgumentError for one that is not there. */
export function blocksOfHead(blocks: PatternBlocks, head: number): HeadBlocks {
  const rows = blocks.rows[blocks.headRows[head] ?? -1];
  if (rows === undefined) throw new ArgumentError(`head is ${String(head)}; there are heads 0 to ${blocks.heads - 1}`);
  return rows;
}

/** One head's pattern without perHead, asked row by row of blocks, or counted by squares. */
export class HeadBlocks implements BlockReader {
  readonly #planned: PlannedPattern;
  readonly #queries: number;
  readonly #keys: number;
  readonly #offset: number;
  readonly #spans = emptySpans();
  readonly #scratch = new Uint32Array(BITMAP_WORDS);
  readonly #clipped = new Uint32Array(BITMAP_WORDS);
  /** Looks by identity; undefined for empty blocks. */
  readonly #painted = new Map<number, BlockLook | undefined>();
  /** Squares that lie wholly inside the lengths, by identity and side. */
  readonly #squares = new Map<number, BlockCounts>();
  readonly #store: BitmapStore;
  #total: BlockCounts | undefined;

  constructor(
    pattern: Pattern,
    { queries, keys, queryOffset }: Readonly<Record<'queries' | 'keys' | 'queryOffset', number>>,
    store: BitmapStore,
  ) {
    this.#planned = planPattern(pattern, planContext(keys));
    this.#store = store;
    this.#queries = queries;
    this.#keys = keys;
    this.#offset = queryOffset;
  }

  /** Whether squares larger than a block can be counted without looking at all of their blocks: not of scattered patterns. */
  get countsSquares(): boolean {
    return this.#planned.isScattered !== true;
  }

  /** The kept key blocks among [from, to) of query block i, in ascending runs. Those that the lengths cut short have a bitmap. */
  row(i: number, from: number, to: number, take: TakeBlocks): void {
    const first = i * BLOCK_SIDE + this.#offset;
    const height = Math.min(BLOCK_SIDE, this.#queries - i * BLOCK_SIDE);
    const end = Math.min(to, Math.ceil(this.#keys / BLOCK_SIDE));
    /** Blocks from here on are cut short. */
    const whole = height === BLOCK_SIDE ? Math.floor(this.#keys / BLOCK_SIDE) : 0;
    const spans = this.#spans;
    this.#planned.spans(first, first + height - 1, from, end, spans);
    for (let s = 0; s < spans.length; s += 3) {
      const [start, stop] = [spans.runs[s], spans.runs[s + 1]];
      if (spans.runs[s + 2] === FULL) {
        if (start < Math.min(stop, whole)) take(start, Math.min(stop, whole), FULL_LOOK);
        for (let j = Math.max(start, whole); j < stop; j++) take(j, j + 1, this.#cut(FULL_LOOK, height, j));
        continue;
      }
      for (let j = start; j < stop; j++) this.#one(first, height, j, j < whole, take);
    }
  }

  /** Counts the side x side pairs from query row q0 and key k0 on, up to the lengths. `side` is T times a power of two, of which q0 and k0 are multiples. */
  count(q0: number, k0: number, side: number): BlockCounts {
    return this.countsSquares ? this.#countSquare(q0, k0, side) : this.#countRows(q0, k0, side);
  }

  /** Counts everything. */
  total(): BlockCounts {
    if (this.#total === undefined) {
      let side = BLOCK_SIDE;
      while (side < Math.max(this.#queries, this.#keys)) side *= 2;
      this.#total = this.count(0, 0, side);
    }
    return this.#total;
  }

  #one(first: number, height: number, j: number, isWhole: boolean, take: TakeBlocks): void {
    const look = this.#lookAt(first, j * BLOCK_SIDE);
    if (look === undefined) return;
    if (isWhole) take(j, j + 1, look);
    else {
      const cut = this.#cut(look, height, j);
      if (cut.pairs > 0) take(j, j + 1, cut);
    }
  }

  /** The look of a block as if it were not cut short; undefined for an empty one. */
  #lookAt(q: number, k0: number): BlockLook | undefined {
    // Scattered blocks seldom look alike; naming them would keep them all.
    if (!this.countsSquares) {
      this.#planned.paint(q, k0, this.#scratch);
      return lookOf(this.#scratch);
    }
    const identity = this.#planned.identify(q, k0, BLOCK_SIDE);
    if (identity === BLOCK_EMPTY) return undefined;
    if (identity === BLOCK_FULL) return FULL_LOOK;
    if (this.#painted.has(identity)) return this.#painted.get(identity);
    if (this.#painted.size >= MAX_PAINTED) this.#painted.clear();
    const own = new Uint32Array(BITMAP_WORDS);
    this.#planned.paint(q, k0, own);
    const look = lookOf(own);
    this.#painted.set(identity, look);
    return look;
  }

  #cut({ words }: BlockLook, height: number, j: number): BlockLook {
    const cut = this.#clipped;
    cut.set(words);
    clip(cut, height, Math.min(BLOCK_SIDE, this.#keys - j * BLOCK_SIDE));
    return { words: cut, start: 0, pairs: countBitmap(cut) };
  }

  #countSquare(q0: number, k0: number, side: number): BlockCounts {
    if (q0 >= this.#queries || k0 >= this.#keys) return NOTHING;
    const isInside = q0 + side <= this.#queries && k0 + side <= this.#keys;
    const identity = this.#planned.identify(q0 + this.#offset, k0, side);
    if (identity === BLOCK_EMPTY) return NOTHING;
    if (identity === BLOCK_FULL && isInside) return fullSquare(side);
    const isNamed = isInside && identity !== UNDECIDED;
    const key = identity * 64 + Math.log2(side / BLOCK_SIDE);
    const known = isNamed ? this.#squares.get(key) : undefined;
    if (known !== undefined) return known;
    const half = side / 2;
    const counts =
      side === BLOCK_SIDE
        ? this.#countBlock(q0, k0)
        : add(
            add(this.#countSquare(q0, k0, half), this.#countSquare(q0, k0 + half, half)),
            add(this.#countSquare(q0 + half, k0, half), this.#countSquare(q0 + half, k0 + half, half)),
          );
    if (isNamed) this.#remember(key, counts);
    return counts;
  }

  #remember(key: number, counts: BlockCounts): void {
    if (this.#squares.size >= MAX_SQUARES) {
      throw new MemoryError(
        `patternBlocks: the pattern has more than ${MAX_SQUARES} different squares; use a more regular pattern or fewer tokens`,
        this.#squares.size * 100,
        MAX_SQUARES * 100,
      );
    }
    this.#squares.set(key, counts);
  }

  #countBlock(q0: number, k0: number): BlockCounts {
    const [i, j] = [q0 / BLOCK_SIDE, k0 / BLOCK_SIDE];
    let counts = NOTHING;
    const height = Math.min(BLOCK_SIDE, this.#queries - q0);
    const isWhole = height === BLOCK_SIDE && k0 + BLOCK_SIDE <= this.#keys;
    this.#one(i * BLOCK_SIDE + this.#offset, height, j, isWhole, (_first, _end, look) => {
      counts = this.#countsOf(look, 1, height, Math.min(BLOCK_SIDE, this.#keys - k0));
    });
    return counts;
  }

  #countRows(q0: number, k0: number, side: number): BlockCounts {
    let counts = NOTHING;
    for (let q = q0; q < Math.min(this.#queries, q0 + side); q += BLOCK_SIDE) {
      const height = Math.min(BLOCK_SIDE, this.#queries - q);
      this.row(q / BLOCK_SIDE, k0 / BLOCK_SIDE, (k0 + side) / BLOCK_SIDE, (first, end, look) => {
        const width = Math.min(BLOCK_SIDE, this.#keys - first * BLOCK_SIDE);
        counts = add(counts, this.#countsOf(look, end - first, height, width));
      });
    }
    return counts;
  }

  /** Of `blocks` blocks that look alike. */
  #countsOf(look: BlockLook, blocks: number, height: number, width: number): BlockCounts {
    const isFull = look === FULL_LOOK;
    if (!isFull && this.countsSquares) this.#store.add(look.words);
    return {
      pairs: blocks * look.pairs,
      full: isFull ? blocks : 0,
      kept: blocks,
      computedPairs: blocks * height * width,
      keyRows: blocks * width,
      queryRows: blocks * height,
    };
  }
}

/** FULL_LOOK for a full bitmap, undefined for one without a pair. */
function lookOf(words: Uint32Array): BlockLook | undefined {
  const pairs = countBitmap(words);
  if (pairs === FULL_LOOK.pairs) return FULL_LOOK;
  return pairs === 0 ? undefined : { words, start: 0, pairs };
}

const NOTHING: BlockCounts = { pairs: 0, full: 0, kept: 0, computedPairs: 0, keyRows: 0, queryRows: 0 };

function fullSquare(side: number): BlockCounts {
  const blocks = (side / BLOCK_SIDE) ** 2;
  const rows = blocks * BLOCK_SIDE;
  return { pairs: side * side, full: blocks, kept: blocks, computedPairs: side * side, keyRows: rows, queryRows: rows };
}

function add(a: BlockCounts, b: BlockCounts): BlockCounts {
  if (a === NOTHING) return b;
  if (b === NOTHING) return a;
  return {
    pairs: a.pairs + b.pairs,
    full: a.full + b.full,
    kept: a.kept + b.kept,
    computedPairs: a.computedPairs + b.computedPairs,
    keyRows: a.keyRows + b.keyRows,
    queryRows: a.queryRows + b.queryRows,
  };
}
