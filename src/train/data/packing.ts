/** How documents become sequences of bounded length. */
import type { Parts } from './split.ts';

/** A run of rows of one part. */
export interface Piece {
  readonly part: number;
  readonly firstRow: number;
  readonly rows: number;
}

/** Sequences, in a fixed order; each row of each part lies in exactly one. */
export interface Sequences {
  readonly count: number;
  /** Rows of a sequence: at least 1, at most the context. */
  rows(sequence: number): number;
  pieces(sequence: number): readonly Piece[];
}

/** Every part cut into sequences of `context` rows, its last one perhaps shorter: no sequence has two documents. */
export function documentSequences(parts: Parts, context: number): Sequences {
  const first = runningSum(parts, (rows) => Math.ceil(rows / context));
  const pieceOf = (sequence: number): Piece => {
    const part = lastNotAbove(first, sequence);
    const firstRow = (sequence - first[part]) * context;
    return { part, firstRow, rows: Math.min(context, parts.rows(part) - firstRow) };
  };
  return {
    count: first[parts.count],
    rows: (sequence) => pieceOf(sequence).rows,
    pieces: (sequence) => [pieceOf(sequence)],
  };
}

/** All parts one after the other, cut every `context` rows: the last sequence alone may be shorter, and attention crosses documents. */
export function streamSequences(parts: Parts, context: number): Sequences {
  const first = runningSum(parts, (rows) => rows);
  const total = first[parts.count];
  const rowsOf = (sequence: number): number => Math.min(context, total - sequence * context);
  return {
    count: Math.ceil(total / context),
    rows: rowsOf,
    pieces: (sequence) => {
      const pieces: Piece[] = [];
      let at = sequence * context;
      const end = at + rowsOf(sequence);
      for (let part = lastNotAbove(first, at); at < end; part++) {
        const rows = Math.min(end, first[part + 1]) - at;
        pieces.push({ part, firstRow: at - first[part], rows });
        at += rows;
      }
      return pieces;
    },
  };
}

/** [count + 1], from 0 to the sum over all parts. */
function runningSum(parts: Parts, sizeOf: (rows: number) => number): Float64Array {
  const sums = new Float64Array(parts.count + 1);
  for (let part = 0; part < parts.count; part++) sums[part + 1] = sums[part] + sizeOf(parts.rows(part));
  return sums;
}

/** The part that holds `value`: sums[part] <= value < sums[part + 1]. Every part has a row, so the sums ascend strictly. */
function lastNotAbove(sums: Float64Array, value: number): number {
  let low = 0;
  let high = sums.length - 1;
  while (high - low > 1) {
    const middle = (low + high) >>> 1;
    if (sums[middle] <= value) low = middle;
    else high = middle;
  }
  return low;
}
