/** Parts moved to other positions, and the order that given positions make. */
import type { Ordered, Shift } from '../pattern/kinds/sequence.ts';
import { clip } from './bitmap.ts';
import { BITMAP_WORDS, BLOCK_SIDE } from './block-mask.ts';
import { identifyByContent } from './plan-content.ts';
import { BLOCK_EMPTY, intern, type PlanContext, type PlannedPattern, UNDECIDED } from './planned.ts';
import { emptySpans, FULL, MAYBE, pushSpan } from './spans.ts';

/** Largest square of which a part may be cut off by name: with an identity it fits a safe integer. */
const MOST_CUT_SIDE = 2 ** 26;

/** The context that the part inside a shift is planned in. */
export function shiftedContext({ keys }: Shift, context: PlanContext): PlanContext {
  return { keys: Math.max(0, context.keys - keys), newIdentity: () => context.newIdentity() };
}

/**
 * Asks the part about blocks that lie between those of its own grid; identify and paint of every part take any k0. Its own
 * blocks that overlap a block decide whether that is empty or full.
 */
export function planShift({ queries, keys }: Shift, part: PlannedPattern, context: PlanContext): PlannedPattern {
  const ids = new Map<number, number>();
  const own = emptySpans();
  /** Columns of the square at k0 that stand before the part's first key. */
  const missing = (k0: number, side: number): number => Math.min(side, Math.max(0, keys - k0));
  return {
    isScattered: part.isScattered,
    low: (first) => Math.max(0, part.low(first - queries)) + keys,
    high: (last) => part.high(last - queries) + keys,
    spans(first, last, from, to, out) {
      out.length = 0;
      const start = Math.max(0, Math.floor((from * BLOCK_SIDE - keys) / BLOCK_SIDE));
      const end = Math.max(0, Math.ceil((to * BLOCK_SIDE - keys) / BLOCK_SIDE));
      if (start >= end) return;
      part.spans(first - queries, last - queries, start, end, own);
      let next = from;
      for (let s = 0; s < own.length; s += 3) {
        const low = (own.runs[s] ?? 0) * BLOCK_SIDE + keys;
        const high = (own.runs[s + 1] ?? 0) * BLOCK_SIDE + keys;
        const runFirst = Math.max(next, Math.floor(low / BLOCK_SIDE));
        const runEnd = Math.min(to, Math.ceil(high / BLOCK_SIDE));
        const isFull = own.runs[s + 2] === FULL;
        const fullFirst = isFull ? Math.max(runFirst, Math.ceil(low / BLOCK_SIDE)) : runEnd;
        const fullEnd = isFull ? Math.min(runEnd, Math.floor(high / BLOCK_SIDE)) : runEnd;
        if (fullFirst < fullEnd) {
          pushSpan(out, runFirst, fullFirst, MAYBE);
          pushSpan(out, fullFirst, fullEnd, FULL);
          pushSpan(out, fullEnd, runEnd, MAYBE);
        } else {
          pushSpan(out, runFirst, runEnd, MAYBE);
        }
        next = Math.max(next, runEnd);
      }
    },
    identify(q0, k0, side) {
      const hidden = missing(k0, side);
      if (hidden === side) return BLOCK_EMPTY;
      const identity = part.identify(q0 - queries, k0 - keys, side);
      if (hidden === 0 || identity === BLOCK_EMPTY || identity === UNDECIDED) return identity;
      // A number for each part's look and each column at which it begins; columns of squares too large for that are few.
      return side > MOST_CUT_SIDE ? UNDECIDED : intern(ids, identity * MOST_CUT_SIDE + hidden, context);
    },
    paint(q0, k0, out) {
      part.paint(q0 - queries, k0 - keys, out);
      clearColumns(out, missing(k0, BLOCK_SIDE));
    },
  };
}

const before = new Uint32Array(BITMAP_WORDS);

/** Clears the first `count` columns. */
function clearColumns(bitmap: Uint32Array, count: number): void {
  if (count === 0) return;
  before.fill(0xffffffff);
  clip(before, BLOCK_SIDE, count);
  for (let i = 0; i < BITMAP_WORDS; i++) bitmap[i] = (bitmap[i] ?? 0) & ~(before[i] ?? 0);
}

export function planOrdered({ positions }: Ordered, context: PlanContext): PlannedPattern {
  const blocks = Math.ceil(Math.min(context.keys, positions.length) / BLOCK_SIDE);
  const least = new Float64Array(blocks).fill(Infinity);
  const most = new Float64Array(blocks).fill(-Infinity);
  for (let k = 0; k < Math.min(context.keys, positions.length); k++) {
    const j = Math.floor(k / BLOCK_SIDE);
    least[j] = Math.min(least[j] ?? 0, positions[k] ?? 0);
    most[j] = Math.max(most[j] ?? 0, positions[k] ?? 0);
  }
  // Keys beyond the list are in no pair: a block that has some is not full.
  if (context.keys > positions.length && positions.length % BLOCK_SIDE !== 0) most[blocks - 1] = Infinity;
  const paint = (q0: number, k0: number, out: Uint32Array): void => {
    out.fill(0);
    for (let row = 0; row < BLOCK_SIDE; row++) {
      const own = positions[q0 + row] ?? -Infinity;
      for (let column = 0; column < BLOCK_SIDE; column++) {
        if ((positions[k0 + column] ?? Infinity) > own) continue;
        const word = row * 2 + (column >>> 5);
        out[word] = (out[word] ?? 0) | (1 << (column & 31));
      }
    }
  };
  return {
    low: () => 0,
    high: () => Math.min(context.keys, positions.length) - 1,
    spans(first, last, from, to, out) {
      out.length = 0;
      let [lowest, highest] = [Infinity, -Infinity];
      for (let q = first; q <= last; q++) {
        lowest = Math.min(lowest, positions[q] ?? -Infinity);
        highest = Math.max(highest, positions[q] ?? -Infinity);
      }
      for (let j = from; j < Math.min(to, blocks); j++) {
        if ((least[j] ?? 0) <= highest) pushSpan(out, j, j + 1, (most[j] ?? 0) <= lowest ? FULL : MAYBE);
      }
    },
    identify: identifyByContent(paint, context),
    paint,
  };
}
