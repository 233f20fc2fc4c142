/** Keys [start, end). */
export interface KeyRange {
  readonly start: number;
  readonly end: number;
}

/** The keys of `keys` that are in [start, end): one range or none. */
export function cut(keys: KeyRange, start: number, end: number): KeyRange[] {
  const first = Math.max(keys.start, start);
  const last = Math.min(keys.end, end);
  return first < last ? [{ start: first, end: last }] : [];
}

/** The same keys as ascending ranges that neither overlap nor touch. */
export function merge(ranges: KeyRange[]): KeyRange[] {
  const sorted = [...ranges].sort((a, b) => a.start - b.start);
  const merged: KeyRange[] = [];
  for (const range of sorted) {
    const last = merged.at(-1);
    if (last !== undefined && range.start <= last.end) {
      merged[merged.length - 1] = { start: last.start, end: Math.max(last.end, range.end) };
    } else {
      merged.push(range);
    }
  }
  return merged;
}
