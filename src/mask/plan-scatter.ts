import { modulo } from '../pattern/kinds/definition.ts';
import { bits } from './bitmap.ts';
import { BITMAP_WORDS, BLOCK_SIDE } from './block-mask.ts';
import { ContentIdentities } from './plan-content.ts';
import { BLOCK_EMPTY, BLOCK_FULL, type PlanContext, type PlannedPattern, UNDECIDED } from './planned.ts';
import { FULL, MAYBE, pushSpan } from './spans.ts';

const LAST = BLOCK_SIDE - 1;

/** Pairs of the queries q1..q2 with the keys k1..k2, both inclusive. */
export type EmitRectangle = (q1: number, q2: number, k1: number, k2: number) => void;

/** Emits rectangles that cover exactly the pairs of the queries first..last. They may overlap and come in any order. */
export type Rectangles = (first: number, last: number, emit: EmitRectangle) => void;

/**
 * A part given by rectangles: those of one query block at a time are painted into the bitmaps of the blocks they touch. Time
 * proportional to the rectangles and the blocks they touch.
 */
export function planScatter(rectangles: Rectangles, context: PlanContext): PlannedPattern {
  const row = new PaintedRow(rectangles, context);
  return {
    isScattered: true,
    low: () => 0,
    high: () => context.keys - 1,
    spans(first, _last, from, to, out) {
      out.length = 0;
      row.prepare(first, 0);
      for (const j of row.blocks) {
        if (j >= from && j < to) pushSpan(out, j, j + 1, row.isFull(j) ? FULL : MAYBE);
      }
    },
    identify(q0, k0, side) {
      if (side > BLOCK_SIDE) return UNDECIDED;
      row.prepare(q0, modulo(k0, BLOCK_SIDE));
      return row.identify(Math.floor(k0 / BLOCK_SIDE));
    },
    paint(q0, k0, out) {
      row.prepare(q0, modulo(k0, BLOCK_SIDE));
      row.paint(Math.floor(k0 / BLOCK_SIDE), out);
    },
  };
}

/** In place of a slot: the block is full. */
const FULL_SLOT = -1;

/** The bitmaps of one query block. Key block j has the keys from j T + origin on. */
class PaintedRow {
  /** Touched key blocks, ascending. */
  blocks: number[] = [];
  readonly #rectangles: Rectangles;
  readonly #keys: number;
  readonly #identities: ContentIdentities;
  readonly #slots = new Map<number, number>();
  #words = new Uint32Array(16 * BITMAP_WORDS);
  #slotIds: (number | undefined)[] = [];
  #used = 0;
  #first = NaN;
  #origin = 0;

  constructor(rectangles: Rectangles, context: PlanContext) {
    this.#rectangles = rectangles;
    this.#keys = context.keys;
    this.#identities = new ContentIdentities(context);
  }

  prepare(first: number, origin: number): void {
    if (first === this.#first && origin === this.#origin) return;
    this.#first = first;
    this.#origin = origin;
    this.#slots.clear();
    this.#slotIds = [];
    this.#used = 0;
    this.#rectangles(first, first + LAST, (q1, q2, k1, k2) => this.#add(q1, q2, k1, k2));
    this.blocks = [...this.#slots.keys()].sort((a, b) => a - b);
  }

  isFull(block: number): boolean {
    return this.#slots.get(block) === FULL_SLOT;
  }

  identify(block: number): number {
    const slot = this.#slots.get(block);
    if (slot === undefined) return BLOCK_EMPTY;
    if (slot === FULL_SLOT) return BLOCK_FULL;
    const known = this.#slotIds[slot] ?? this.#identities.of(this.#bitmap(slot));
    this.#slotIds[slot] = known;
    return known;
  }

  paint(block: number, out: Uint32Array): void {
    const slot = this.#slots.get(block);
    if (slot === undefined || slot === FULL_SLOT) out.fill(slot === undefined ? 0 : 0xffffffff);
    else out.set(this.#bitmap(slot));
  }

  #bitmap(slot: number): Uint32Array {
    return this.#words.subarray(slot * BITMAP_WORDS, (slot + 1) * BITMAP_WORDS);
  }

  #add(q1: number, q2: number, k1: number, k2: number): void {
    const top = Math.max(0, q1 - this.#first);
    const bottom = Math.min(LAST, q2 - this.#first);
    const left = Math.max(0, k1) - this.#origin;
    const right = Math.min(this.#keys - 1, k2) - this.#origin;
    if (top > bottom || left > right) return;
    const end = Math.floor(right / BLOCK_SIDE);
    for (let j = Math.floor(left / BLOCK_SIDE); j <= end; j++) {
      const low = Math.max(0, left - j * BLOCK_SIDE);
      const high = Math.min(LAST, right - j * BLOCK_SIDE);
      if (top === 0 && bottom === LAST && low === 0 && high === LAST) {
        this.#slots.set(j, FULL_SLOT);
        continue;
      }
      const slot = this.#slots.get(j) ?? this.#newSlot(j);
      if (slot !== FULL_SLOT) this.#paintRows(slot, top, bottom, low, high);
    }
  }

  #paintRows(slot: number, top: number, bottom: number, low: number, high: number): void {
    const lowWord = bits(low, high);
    const highWord = bits(low - 32, high - 32);
    for (let word = slot * BITMAP_WORDS + top * 2; word <= slot * BITMAP_WORDS + bottom * 2; word += 2) {
      this.#words[word] = (this.#words[word] ?? 0) | lowWord;
      this.#words[word + 1] = (this.#words[word + 1] ?? 0) | highWord;
    }
  }

  #newSlot(block: number): number {
    const slot = this.#used++;
    if (this.#words.length < this.#used * BITMAP_WORDS) {
      const grown = new Uint32Array(this.#words.length * 2);
      grown.set(this.#words);
      this.#words = grown;
    }
    this.#bitmap(slot).fill(0);
    this.#slots.set(block, slot);
    return slot;
  }
}
