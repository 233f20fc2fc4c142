/** Parts in which every query sees one interval of keys that moves on with it: local blocks, documents. */
import type { BlockLocal } from '../pattern/kinds/block.ts';
import { type Documents, documentStarts } from '../pattern/kinds/sequence.ts';
import { setRow } from './bitmap.ts';
import { BLOCK_SIDE } from './block-mask.ts';
import { identifyByContent } from './plan-content.ts';
import { BLOCK_EMPTY, BLOCK_FULL, type PlanContext, type PlannedPattern } from './planned.ts';
import { pushInterval } from './spans.ts';

/** Query q sees the keys low(q)..high(q); both never fall as q grows. */
function planRanges(low: (q: number) => number, high: (q: number) => number, context: PlanContext): PlannedPattern {
  const paint = (q0: number, k0: number, out: Uint32Array): void => {
    for (let row = 0; row < BLOCK_SIDE; row++) setRow(out, row, low(q0 + row) - k0, high(q0 + row) - k0);
  };
  const byContent = identifyByContent(paint, context);
  return {
    low,
    high,
    spans(first, last, from, to, out) {
      out.length = 0;
      pushInterval(out, from, to, low(first), high(last), low(last), high(first), context.keys);
    },
    identify(q0, k0, side) {
      const last = side - 1;
      if (k0 + last < low(q0) || k0 > high(q0 + last)) return BLOCK_EMPTY;
      if (k0 >= low(q0 + last) && k0 + last <= high(q0)) return BLOCK_FULL;
      return byContent(q0, k0, side);
    },
    paint,
  };
}

export function planBlockLocal({ block, back = 0, ahead = 0 }: BlockLocal, context: PlanContext): PlannedPattern {
  return planRanges(
    (q) => (Math.floor(q / block) - back) * block,
    (q) => (Math.floor(q / block) + ahead + 1) * block - 1,
    context,
  );
}

export function planDocuments(pattern: Documents, context: PlanContext): PlannedPattern {
  const all = documentStarts(pattern);
  const starts = all.filter((_, i) => (pattern.lengths[i] ?? 0) > 0);
  const lengths = pattern.lengths.filter((length) => length > 0);
  /** Index of the last document that starts at or before q; -1 where none does. */
  const documentAt = (q: number): number => {
    let low = 0;
    let high = starts.length;
    while (low < high) {
      const middle = (low + high) >>> 1;
      if ((starts[middle] ?? 0) <= q) low = middle + 1;
      else high = middle;
    }
    return low - 1;
  };
  const end = (i: number): number => (starts[i] ?? 0) + (lengths[i] ?? 0);
  return planRanges(
    // A query between two documents sees from the start of the next to the end of the one before: nothing.
    (q) => {
      const i = documentAt(q);
      return (i >= 0 && q < end(i) ? starts[i] : starts[i + 1]) ?? Infinity;
    },
    (q) => {
      const i = documentAt(q);
      return i >= 0 ? end(i) - 1 : -1;
    },
    context,
  );
}
