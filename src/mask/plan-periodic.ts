/** Parts whose pairs depend on the place of a position in a period. */
import { modulo } from '../pattern/kinds/definition.ts';
import type { Columns, Diagonals, Rows, SameCoordinate } from '../pattern/kinds/stripes.ts';
import { setRow } from './bitmap.ts';
import { BLOCK_SIDE } from './block-mask.ts';
import { BLOCK_EMPTY, BLOCK_FULL, intern, type PlanContext, type PlannedPattern } from './planned.ts';
import { FULL, MAYBE, pushSpan, type Spans } from './spans.ts';

const LAST = BLOCK_SIDE - 1;

/** A period that no position reaches. */
const NEVER = 2 ** 53 - 1;

/** Keys [low + i period, high + i period] for every i: one interval of the period, seen by some row or, if `all`, by every row. */
function pushRepeated(
  out: Spans,
  from: number,
  to: number,
  low: number,
  high: number,
  period: number,
  all: boolean,
): void {
  const end = to * BLOCK_SIDE;
  let base = Math.max(0, Math.ceil((from * BLOCK_SIDE - high) / period)) * period;
  // Blocks before `next` are already named: intervals may lie close, and their ends share a block.
  let next = from;
  for (; base + low < end; base += period) {
    const first = Math.max(next, Math.floor((base + low) / BLOCK_SIDE));
    const last = Math.min(to, Math.floor((base + high) / BLOCK_SIDE) + 1);
    const fullFirst = Math.max(first, Math.ceil((base + low) / BLOCK_SIDE));
    const fullEnd = all ? Math.min(last, Math.floor((base + high + 1) / BLOCK_SIDE)) : 0;
    if (fullFirst < fullEnd) {
      pushSpan(out, first, fullFirst, MAYBE);
      pushSpan(out, fullFirst, fullEnd, FULL);
      pushSpan(out, fullEnd, last, MAYBE);
    } else {
      pushSpan(out, first, last, MAYBE);
    }
    next = Math.max(next, last);
  }
}

export function planColumns({ start, count, period = NEVER }: Columns, context: PlanContext): PlannedPattern {
  const ids = new Map<number, number>();
  const end = start + count;
  const isAll = count === period;
  return {
    low: () => (count === 0 ? Infinity : start),
    high: () => (count === 0 ? -Infinity : period === NEVER ? end - 1 : context.keys - 1),
    spans(_first, _last, from, to, out) {
      out.length = 0;
      if (count === 0) return;
      if (isAll) pushSpan(out, from, to, FULL);
      else if (period <= BLOCK_SIDE) pushSpan(out, from, to, MAYBE);
      else pushRepeated(out, from, to, start, end - 1, period, true);
    },
    identify(_q0, k0, side) {
      if (isAll) return BLOCK_FULL;
      const place = modulo(k0, period);
      const last = place + side - 1;
      // The whole square lies in one interval, or between two.
      if (place >= start && last < end) return BLOCK_FULL;
      if (place >= end && last < period + start) return BLOCK_EMPTY;
      if (last < start) return BLOCK_EMPTY;
      return intern(ids, place, context);
    },
    paint(_q0, k0, out) {
      let low = 0;
      let high = 0;
      for (let column = 0; column < BLOCK_SIDE; column++) {
        const place = modulo(k0 + column, period);
        if (place < start || place >= end) continue;
        if (column < 32) low |= 1 << column;
        else high |= 1 << (column - 32);
      }
      for (let row = 0; row < BLOCK_SIDE; row++) {
        out[row * 2] = low;
        out[row * 2 + 1] = high;
      }
    },
  };
}

export function planRows({ start, count, period = NEVER }: Rows, context: PlanContext): PlannedPattern {
  const ids = new Map<number, number>();
  const isSeen = (q: number): boolean => {
    const place = modulo(q, period);
    return q >= 0 && start <= place && place < start + count;
  };
  /** How many of the rows 0 .. end - 1 are among them. */
  const seenBefore = (end: number): number =>
    end <= 0 ? 0 : Math.floor(end / period) * count + Math.min(count, Math.max(0, (end % period) - start));
  const seenRows = (first: number, last: number): number => seenBefore(last + 1) - seenBefore(first);
  return {
    low: () => 0,
    high: () => context.keys - 1,
    spans(first, last, from, to, out) {
      out.length = 0;
      const seen = seenRows(first, last);
      if (seen > 0) pushSpan(out, from, to, seen === last - first + 1 ? FULL : MAYBE);
    },
    identify(q0, _k0, side) {
      const seen = seenRows(q0, q0 + side - 1);
      if (seen === 0) return BLOCK_EMPTY;
      if (seen === side) return BLOCK_FULL;
      return intern(ids, q0 < 0 ? q0 : modulo(q0, period), context);
    },
    paint(q0, _k0, out) {
      for (let row = 0; row < BLOCK_SIDE; row++) setRow(out, row, 0, isSeen(q0 + row) ? LAST : -1);
    },
  };
}

/** One run of one or two blocks for each offset, from the oldest key to the newest. */
export function planDiagonals({ offsets }: Diagonals, context: PlanContext): PlannedPattern {
  const ids = new Map<number, number>();
  const sorted = [...new Set(offsets)].sort((a, b) => b - a);
  const farthest = sorted[0] ?? -Infinity;
  const nearest = sorted[sorted.length - 1] ?? Infinity;
  /** Index of the first offset that is at most `value`. */
  const firstFrom = (value: number): number => {
    let low = 0;
    let high = sorted.length;
    while (low < high) {
      const middle = (low + high) >>> 1;
      if ((sorted[middle] ?? 0) > value) low = middle + 1;
      else high = middle;
    }
    return low;
  };
  return {
    low: (first) => first - farthest,
    high: (last) => last - nearest,
    spans(first, last, from, to, out) {
      out.length = 0;
      let next = from;
      for (let i = firstFrom(last - from * BLOCK_SIDE); i < sorted.length; i++) {
        const offset = sorted[i] ?? 0;
        const low = Math.floor((first - offset) / BLOCK_SIDE);
        if (low >= to) break;
        const end = Math.min(to, Math.floor((last - offset) / BLOCK_SIDE) + 1);
        pushSpan(out, Math.max(next, low), end, MAYBE);
        next = Math.max(next, end);
      }
    },
    identify(q0, k0, side) {
      const delta = q0 - k0;
      const first = firstFrom(delta + side - 1);
      return first < sorted.length && (sorted[first] ?? 0) > delta - side ? intern(ids, delta, context) : BLOCK_EMPTY;
    },
    paint(q0, k0, out) {
      out.fill(0);
      const delta = q0 - k0;
      for (let i = firstFrom(delta + LAST); i < sorted.length; i++) {
        const column = delta - (sorted[i] ?? 0);
        if (column > LAST) break;
        for (let row = Math.max(0, -column); row < BLOCK_SIDE && row + column < BLOCK_SIDE; row++) {
          const word = row * 2 + ((row + column) >>> 5);
          out[word] = (out[word] ?? 0) | (1 << ((row + column) & 31));
        }
      }
    },
  };
}

export function planSameCoordinate({ period, width }: SameCoordinate, context: PlanContext): PlannedPattern {
  const ids = new Map<number, number>();
  const digits = period / width;
  const digit = (position: number): number => Math.floor(modulo(position, period) / width);
  return {
    low: () => 0,
    high: () => context.keys - 1,
    spans(first, last, from, to, out) {
      out.length = 0;
      const [start, end] = [digit(first), digit(last)];
      const reach = Math.floor(last / width) - Math.floor(first / width);
      if (reach + 1 >= period / width || period <= BLOCK_SIDE) {
        pushSpan(out, from, to, period === width ? FULL : MAYBE);
      } else if (start <= end) {
        pushRepeated(out, from, to, start * width, end * width + width - 1, period, start === end);
      } else {
        // The rows pass the end of a period: what lies from `start` on joins what lies before `end` in the next.
        pushRepeated(out, from, to, start * width - period, end * width + width - 1, period, false);
      }
    },
    identify(q0, k0, side) {
      if (period === width) return BLOCK_FULL;
      // Digits that the rows and the columns run through, from the first on, one after the other.
      const rowDigits = Math.floor((q0 + side - 1) / width) - Math.floor(q0 / width) + 1;
      const columnDigits = Math.floor((k0 + side - 1) / width) - Math.floor(k0 / width) + 1;
      const ahead = modulo(digit(k0) - digit(q0), digits);
      if (ahead >= rowDigits && digits - ahead >= columnDigits) return BLOCK_EMPTY;
      if (width === 1) return intern(ids, modulo(q0 - k0, period), context);
      if (rowDigits === 1 && columnDigits === 1) return BLOCK_FULL;
      const [row, column] = [modulo(q0, period), modulo(k0, period)];
      // Numbers of pairs of places, while they fit a safe integer; else each block is painted.
      return period < 2 ** 26 ? intern(ids, row * period + column, context) : context.newIdentity();
    },
    paint(q0, k0, out) {
      out.fill(0);
      for (let row = 0; row < BLOCK_SIDE; row++) {
        const own = digit(q0 + row);
        for (let column = 0; column < BLOCK_SIDE; column++) {
          if (digit(k0 + column) !== own) continue;
          const word = row * 2 + (column >>> 5);
          out[word] = (out[word] ?? 0) | (1 << (column & 31));
        }
      }
    },
  };
}
