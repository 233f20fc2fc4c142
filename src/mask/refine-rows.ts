import { type BitmapStore, clip, EMPTY_BLOCK } from './bitmap.ts';
import { BITMAP_WORDS, BLOCK_SIDE, type BlockMask, type BlockRows, FULL_BLOCK } from './block-mask.ts';
import { KeptBlocks } from './kept-blocks.ts';
import { BLOCK_EMPTY, BLOCK_FULL, type PlannedPattern } from './planned.ts';
import { emptySpans, FULL, type Spans } from './spans.ts';

/** Unites the blocks of a mask with one part and intersects them with another, block by block. */
export class RowRefiner {
  readonly #mask: BlockMask;
  readonly #extra: PlannedPattern | undefined;
  readonly #within: PlannedPattern | undefined;
  readonly #store: BitmapStore;
  readonly #extraSpans = emptySpans();
  readonly #withinSpans = emptySpans();
  readonly #bits = new Uint32Array(BITMAP_WORDS);
  readonly #painted = new Uint32Array(BITMAP_WORDS);
  /** Bitmap of (bitmap, extra, within, rows, columns), for blocks that look alike. */
  readonly #known = new Map<string, number>();

  constructor(
    mask: BlockMask,
    extra: PlannedPattern | undefined,
    within: PlannedPattern | undefined,
    store: BitmapStore,
  ) {
    this.#mask = mask;
    this.#extra = extra;
    this.#within = within;
    this.#store = store;
  }

  /** The blocks of one head pattern, refined; the same object where nothing changes. */
  refine(rows: BlockRows): BlockRows {
    const { queries, keys, queryOffset } = this.#mask;
    const { rowStart, column, bitmap } = rows;
    const keyBlocks = Math.ceil(keys / BLOCK_SIDE);
    const kept = new KeptBlocks();
    const starts = new Uint32Array(rowStart.length);
    let isChanged = false;
    for (let i = 0; i + 1 < rowStart.length; i++) {
      const first = i * BLOCK_SIDE + queryOffset;
      const count = Math.min(BLOCK_SIDE, queries - i * BLOCK_SIDE);
      const last = first + count - 1;
      const [from, end] = [rowStart[i] ?? 0, rowStart[i + 1] ?? 0];
      this.#extraSpans.length = 0;
      this.#extra?.spans(first, last, 0, keyBlocks, this.#extraSpans);
      this.#withinSpans.length = 0;
      // Without additions, only the blocks between the first and the last kept one matter.
      const low = this.#extra === undefined ? (column[from] ?? 0) : 0;
      const high = this.#extra === undefined ? (column[end - 1] ?? -1) + 1 : keyBlocks;
      if (low < high) this.#within?.spans(first, last, low, high, this.#withinSpans);
      const extra = new SpanCursor(this.#extraSpans);
      const within = new SpanCursor(this.#withinSpans);
      for (let e = from, j = 0; ; j++) {
        // The next block that the mask keeps or the extra part may reach.
        j = Math.min(e < end ? (column[e] ?? 0) : Infinity, extra.next(j));
        if (j === Infinity) break;
        const own = e < end && column[e] === j ? (bitmap[e++] ?? FULL_BLOCK) : EMPTY_BLOCK;
        const refined = this.#block(own, first, j, count, extra.at(j), this.#within ? within.at(j) : FULL);
        isChanged ||= refined !== own;
        if (refined !== EMPTY_BLOCK) kept.push(j, refined);
      }
      starts[i + 1] = kept.count;
    }
    return isChanged ? { rowStart: starts, ...kept.arrays() } : rows;
  }

  /** `extra` and `within` are the states of the block in the spans of those parts: 0, MAYBE or FULL. */
  #block(own: number, q0: number, j: number, rows: number, extra: number, within: number): number {
    if (within === 0 || (own === EMPTY_BLOCK && extra === 0)) return EMPTY_BLOCK;
    const k0 = j * BLOCK_SIDE;
    const added = identify(this.#extra, extra, q0, k0);
    const cut = identify(this.#within, within, q0, k0);
    if (cut === BLOCK_EMPTY) return EMPTY_BLOCK;
    if (added === BLOCK_EMPTY && cut === BLOCK_FULL) return own;
    const columns = Math.min(BLOCK_SIDE, this.#mask.keys - k0);
    const key = `${own} ${added} ${cut} ${rows} ${columns}`;
    const known = this.#known.get(key);
    if (known !== undefined) return known;
    const bits = this.#bits;
    if (own >= 0) bits.set(this.#mask.bitmaps.subarray(own * BITMAP_WORDS, (own + 1) * BITMAP_WORDS));
    else bits.fill(own === FULL_BLOCK ? 0xffffffff : 0);
    if (added === BLOCK_FULL) bits.fill(0xffffffff);
    else if (added !== BLOCK_EMPTY) {
      this.#extra?.paint(q0, k0, this.#painted);
      for (let w = 0; w < BITMAP_WORDS; w++) bits[w] = (bits[w] ?? 0) | (this.#painted[w] ?? 0);
    }
    if (cut !== BLOCK_FULL) {
      this.#within?.paint(q0, k0, this.#painted);
      for (let w = 0; w < BITMAP_WORDS; w++) bits[w] = (bits[w] ?? 0) & (this.#painted[w] ?? 0);
    }
    clip(bits, rows, columns);
    const refined = this.#store.add(bits);
    this.#known.set(key, refined);
    return refined;
  }
}

function identify(part: PlannedPattern | undefined, state: number, q0: number, k0: number): number {
  if (part === undefined || state === 0 || state === FULL) return state === 0 ? BLOCK_EMPTY : BLOCK_FULL;
  return part.identify(q0, k0, BLOCK_SIDE);
}

/** Reads spans from left to right. */
class SpanCursor {
  readonly #spans: Spans;
  #at = 0;

  constructor(spans: Spans) {
    this.#spans = spans;
  }

  /** The first block from `j` on that is in a run; Infinity where there is none. */
  next(j: number): number {
    this.#advance(j);
    return this.#at < this.#spans.length ? Math.max(j, this.#spans.runs[this.#at] ?? 0) : Infinity;
  }

  /** State of block j, 0 outside the runs. */
  at(j: number): number {
    this.#advance(j);
    const isIn = this.#at < this.#spans.length && (this.#spans.runs[this.#at] ?? 0) <= j;
    return isIn ? (this.#spans.runs[this.#at + 2] ?? 0) : 0;
  }

  #advance(j: number): void {
    while (this.#at < this.#spans.length && (this.#spans.runs[this.#at + 1] ?? 0) <= j) this.#at += 3;
  }
}
