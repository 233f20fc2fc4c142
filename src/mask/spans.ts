import { BLOCK_SIDE } from './block-mask.ts';

/** States of a block, for the valid rows of one query block. Absent from a list means empty. */
export const MAYBE = 1;
export const FULL = 2;

/**
 * Key blocks of one query block, as runs: ascending, disjoint triples (first block, end block, MAYBE or FULL) laid flat in
 * `runs[0 .. length)`. Lists are reused between query blocks, so that compiling allocates nothing per block.
 */
export interface Spans {
  runs: number[];
  length: number;
}

export function emptySpans(): Spans {
  return { runs: [], length: 0 };
}

/** Appends the blocks [first, end). `first` must not lie before the end of the last run; runs that touch are joined. */
export function pushSpan(out: Spans, first: number, end: number, state: number): void {
  if (first >= end) return;
  const { runs, length } = out;
  if (length > 0 && runs[length - 2] === first && runs[length - 1] === state) {
    runs[length - 2] = end;
    return;
  }
  runs[length] = first;
  runs[length + 1] = end;
  runs[length + 2] = state;
  out.length = length + 3;
}

/**
 * The blocks among [from, to) that some row reaches, given that some row of the query block sees keys of [anyLow, anyHigh]
 * and every row sees all keys of [allLow, allHigh] (inclusive, possibly empty or beyond the keys).
 */
export function pushInterval(
  out: Spans,
  from: number,
  to: number,
  anyLow: number,
  anyHigh: number,
  allLow: number,
  allHigh: number,
  keys: number,
): void {
  const first = Math.max(from, Math.floor(anyLow / BLOCK_SIDE));
  const end = Math.min(to, Math.floor(anyHigh / BLOCK_SIDE) + 1);
  if (first >= end) return;
  const fullFirst = Math.max(first, Math.ceil(allLow / BLOCK_SIDE));
  // A last block that the keys cut short is full when its keys that exist are all seen.
  const fullEnd = allHigh >= keys - 1 ? end : Math.min(end, Math.floor((allHigh + 1) / BLOCK_SIDE));
  if (fullFirst >= fullEnd) {
    pushSpan(out, first, end, MAYBE);
    return;
  }
  pushSpan(out, first, fullFirst, MAYBE);
  pushSpan(out, fullFirst, fullEnd, FULL);
  pushSpan(out, fullEnd, end, MAYBE);
}

/** Blocks of either list; full where one is. `out` is overwritten and must be neither. */
export function unionSpans(a: Spans, b: Spans, out: Spans): void {
  out.length = 0;
  let i = 0;
  let j = 0;
  let position = 0;
  while (i < a.length || j < b.length) {
    const aFirst = i < a.length ? Math.max(a.runs[i] ?? 0, position) : Infinity;
    const bFirst = j < b.length ? Math.max(b.runs[j] ?? 0, position) : Infinity;
    const first = Math.min(aFirst, bFirst);
    const aEnd = i < a.length ? (a.runs[i + 1] ?? 0) : Infinity;
    const bEnd = j < b.length ? (b.runs[j + 1] ?? 0) : Infinity;
    const end = Math.min(aFirst === first ? aEnd : aFirst, bFirst === first ? bEnd : bFirst);
    const aState = aFirst === first ? (a.runs[i + 2] ?? 0) : 0;
    const bState = bFirst === first ? (b.runs[j + 2] ?? 0) : 0;
    pushSpan(out, first, end, Math.max(aState, bState));
    position = end;
    if (aEnd <= end) i += 3;
    if (bEnd <= end) j += 3;
  }
}

/** Blocks of both lists; full where both are. `out` is overwritten and must be neither. */
export function intersectSpans(a: Spans, b: Spans, out: Spans): void {
  out.length = 0;
  let i = 0;
  let j = 0;
  while (i < a.length && j < b.length) {
    const aEnd = a.runs[i + 1] ?? 0;
    const bEnd = b.runs[j + 1] ?? 0;
    const first = Math.max(a.runs[i] ?? 0, b.runs[j] ?? 0);
    pushSpan(out, first, Math.min(aEnd, bEnd), Math.min(a.runs[i + 2] ?? 0, b.runs[j + 2] ?? 0));
    if (aEnd <= bEnd) i += 3;
    if (bEnd <= aEnd) j += 3;
  }
}

/** The blocks among [from, to) that are not full in `a`; full where `a` has none. `out` is overwritten and must not be `a`. */
export function complementSpans(a: Spans, from: number, to: number, out: Spans): void {
  out.length = 0;
  let position = from;
  for (let i = 0; i < a.length; i += 3) {
    const first = Math.max(from, a.runs[i] ?? 0);
    const end = Math.min(to, a.runs[i + 1] ?? 0);
    if (first >= end) continue;
    pushSpan(out, position, first, FULL);
    if (a.runs[i + 2] !== FULL) pushSpan(out, first, end, MAYBE);
    position = end;
  }
  pushSpan(out, position, to, FULL);
}
