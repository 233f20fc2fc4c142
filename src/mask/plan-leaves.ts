import type { Global, Sinks, Window } from '../pattern/pattern.ts';
import { setRow } from './bitmap.ts';
import { BLOCK_SIDE } from './block-mask.ts';
import { BLOCK_EMPTY, BLOCK_FULL, intern, type PlanContext, type PlannedPattern } from './planned.ts';
import { emptySpans, FULL, MAYBE, pushInterval, pushSpan, unionSpans } from './spans.ts';

const LAST = BLOCK_SIDE - 1;

export function planDense(context: PlanContext): PlannedPattern {
  return {
    low: () => 0,
    high: () => context.keys - 1,
    spans(_first, _last, from, to, out) {
      out.length = 0;
      pushSpan(out, from, to, FULL);
    },
    identify: () => BLOCK_FULL,
    paint: (_q0, _k0, out) => out.fill(0xffffffff),
  };
}

export function planCausal(context: PlanContext): PlannedPattern {
  const ids = new Map<number, number>();
  return {
    low: () => 0,
    high: (last) => last,
    spans(first, last, from, to, out) {
      out.length = 0;
      pushInterval(out, from, to, 0, last, 0, first, context.keys);
    },
    identify(q0, k0, side) {
      const delta = q0 - k0;
      const last = side - 1;
      if (delta < -last) return BLOCK_EMPTY;
      return delta >= last ? BLOCK_FULL : intern(ids, delta, context);
    },
    paint(q0, k0, out) {
      for (let row = 0; row < BLOCK_SIDE; row++) setRow(out, row, 0, q0 + row - k0);
    },
  };
}

/** A window without dilation: query q sees the keys q - left .. q + right. */
export function planWindow({ left, right }: Window, context: PlanContext): PlannedPattern {
  const ids = new Map<number, number>();
  return {
    low: (first) => first - left,
    high: (last) => last + right,
    spans(first, last, from, to, out) {
      out.length = 0;
      pushInterval(out, from, to, first - left, last + right, last - left, first + right, context.keys);
    },
    identify(q0, k0, side) {
      const delta = q0 - k0;
      const last = side - 1;
      if (delta - last > left || delta + last < -right) return BLOCK_EMPTY;
      if (delta + last <= left && delta - last >= -right) return BLOCK_FULL;
      return intern(ids, delta, context);
    },
    paint(q0, k0, out) {
      for (let row = 0; row < BLOCK_SIDE; row++) {
        const q = q0 + row - k0;
        setRow(out, row, q - left, q + right);
      }
    },
  };
}

/** A window with dilation d > 1: query q sees the keys q - left d, q - (left - 1) d, ..., q + right d. */
export function planDilated({ left, right, dilation = 1 }: Window, context: PlanContext): PlannedPattern {
  const back = left * dilation;
  const ahead = right * dilation;
  const inside = new Map<number, number>();
  const atEdge = new Map<number, number>();
  return {
    low: (first) => first - back,
    high: (last) => last + ahead,
    spans(first, last, from, to, out) {
      out.length = 0;
      if (dilation <= BLOCK_SIDE) {
        pushInterval(out, from, to, first - back, last + ahead, Infinity, -Infinity, context.keys);
        return;
      }
      // Steps so wide that blocks between them are empty: one run of blocks per step, from the oldest key to the newest.
      const oldest = Math.min(left, Math.floor((last - from * BLOCK_SIDE) / dilation));
      const newest = Math.max(-right, Math.ceil((first - to * BLOCK_SIDE + 1) / dilation));
      let next = from;
      for (let step = oldest; step >= newest; step--) {
        const low = Math.floor((first - step * dilation) / BLOCK_SIDE);
        const end = Math.min(to, Math.floor((last - step * dilation) / BLOCK_SIDE) + 1);
        pushSpan(out, Math.max(next, low), end, MAYBE);
        next = Math.max(next, end);
      }
    },
    identify(q0, k0, side) {
      const delta = q0 - k0;
      const last = side - 1;
      if (delta - last > back || delta + last < -ahead) return BLOCK_EMPTY;
      // No step leads into the square.
      if (Math.ceil((delta - last) / dilation) * dilation > delta + last) return BLOCK_EMPTY;
      const isInside = delta + last <= back && delta - last >= -ahead;
      return isInside ? intern(inside, modulo(delta, dilation), context) : intern(atEdge, delta, context);
    },
    paint(q0, k0, out) {
      out.fill(0);
      for (let row = 0; row < BLOCK_SIDE; row++) {
        const q = q0 + row - k0;
        const last = Math.min(LAST, q + ahead);
        // The first column from max(0, q - back) on that a whole number of steps separates from q.
        const start = q - back >= 0 ? q - back : modulo(q, dilation);
        for (let column = start; column <= last; column += dilation) {
          const word = row * 2 + (column >>> 5);
          out[word] = (out[word] ?? 0) | (1 << (column & 31));
        }
      }
    },
  };
}

export function planSinks({ count }: Sinks, context: PlanContext): PlannedPattern {
  const ids = new Map<number, number>();
  return {
    low: () => 0,
    high: () => count - 1,
    spans(_first, _last, from, to, out) {
      out.length = 0;
      pushInterval(out, from, to, 0, count - 1, 0, count - 1, context.keys);
    },
    identify(_q0, k0, side) {
      if (count <= k0) return BLOCK_EMPTY;
      return count - k0 >= side ? BLOCK_FULL : intern(ids, count - k0, context);
    },
    paint(_q0, k0, out) {
      for (let row = 0; row < BLOCK_SIDE; row++) setRow(out, row, 0, count - 1 - k0);
    },
  };
}

export function planGlobal({ positions, direction = 'both' }: Global, context: PlanContext): PlannedPattern {
  const sorted = ascending(positions);
  const asKeys = direction !== 'queries';
  const asQueries = direction !== 'keys';
  const ids = new Map<number, number>();
  const columns = emptySpans();
  const rows = emptySpans();
  /** Index of the first position that is at least `value`. */
  const firstFrom = (value: number): number => {
    let low = 0;
    let high = sorted.length;
    while (low < high) {
      const middle = (low + high) >>> 1;
      if ((sorted[middle] ?? 0) < value) low = middle + 1;
      else high = middle;
    }
    return low;
  };
  return {
    low: () => (asQueries ? 0 : (sorted[0] ?? Infinity)),
    high: () => (asQueries ? context.keys - 1 : (sorted[sorted.length - 1] ?? -Infinity)),
    spans(first, last, from, to, out) {
      columns.length = 0;
      if (asKeys) {
        let i = firstFrom(from * BLOCK_SIDE);
        while (i < sorted.length) {
          const block = Math.floor((sorted[i] ?? 0) / BLOCK_SIDE);
          if (block >= to) break;
          const end = Math.min((block + 1) * BLOCK_SIDE, context.keys);
          const start = i;
          while (i < sorted.length && (sorted[i] ?? 0) < end) i++;
          if (i === start) break;
          pushSpan(columns, block, block + 1, i - start === end - block * BLOCK_SIDE ? FULL : MAYBE);
        }
      }
      rows.length = 0;
      const globalRows = asQueries ? firstFrom(last + 1) - firstFrom(first) : 0;
      if (globalRows > 0) pushSpan(rows, from, to, globalRows === last - first + 1 ? FULL : MAYBE);
      unionSpans(columns, rows, out);
    },
    identify(q0, k0, side) {
      const rowStart = firstFrom(q0);
      const columnStart = firstFrom(k0);
      const rowCount = asQueries ? firstFrom(q0 + side) - rowStart : 0;
      const columnCount = asKeys ? firstFrom(k0 + side) - columnStart : 0;
      if (rowCount === side || columnCount === side) return BLOCK_FULL;
      const row = rowCount > 0 ? rowStart + 1 : 0;
      const column = columnCount > 0 ? columnStart + 1 : 0;
      if (row === 0 && column === 0) return BLOCK_EMPTY;
      return intern(ids, row * (sorted.length + 1) + column, context);
    },
    paint(q0, k0, out) {
      let low = 0;
      let high = 0;
      if (asKeys) {
        for (let i = firstFrom(k0); i < sorted.length && (sorted[i] ?? 0) < k0 + BLOCK_SIDE; i++) {
          const column = (sorted[i] ?? 0) - k0;
          if (column < 32) low |= 1 << column;
          else high |= 1 << (column - 32);
        }
      }
      for (let row = 0; row < BLOCK_SIDE; row++) {
        out[row * 2] = low;
        out[row * 2 + 1] = high;
      }
      if (!asQueries) return;
      for (let i = firstFrom(q0); i < sorted.length && (sorted[i] ?? 0) < q0 + BLOCK_SIDE; i++) {
        setRow(out, (sorted[i] ?? 0) - q0, 0, LAST);
      }
    },
  };
}

/** The distinct positions in ascending order; the list itself where it is so already. */
function ascending(positions: readonly number[]): readonly number[] {
  const isAscending = positions.every((position, i) => i === 0 || position > (positions[i - 1] ?? 0));
  return isAscending ? positions : [...new Set(positions)].sort((a, b) => a - b);
}

/** The remainder in 0 .. d - 1, also for negative values. */
function modulo(value: number, d: number): number {
  const remainder = value % d;
  return remainder < 0 ? remainder + d : remainder;
}
