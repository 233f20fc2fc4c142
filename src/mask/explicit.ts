/** Explicit masks in the usual sparse formats, to patterns and back. */
import { counted } from '../counted.ts';
import { ArgumentError } from '../errors.ts';
import { checkPattern } from '../pattern/check.ts';
import type { Pattern } from '../pattern/pattern.ts';
import { BLOCK_SIDE, type BlockMask, type BlockRows } from './block-mask.ts';
import { maskOfBatchEntry, rowsOfHead } from './read.ts';
import { rowColumns, rowStarts } from './row-pairs.ts';

/** Most queries of a table, which has a list for each. */
const MAX_TABLE_ROWS = 2 ** 24;

/** Pairs as two lists: pair e is query `rows[e]`, key `columns[e]`. */
export interface Coo {
  readonly rows: ArrayLike<number>;
  readonly columns: ArrayLike<number>;
}

/** Query i sees the keys columns[rowStart[i] .. rowStart[i + 1]). */
export interface Csr {
  readonly rowStart: ArrayLike<number>;
  readonly columns: ArrayLike<number>;
}

/** As Csr, for blocks of `block` queries and keys: every pair of a listed block is allowed. */
export interface Bsr extends Csr {
  readonly block: number;
}

/**
 * The pattern of a mask written out, [N, M] or [H, N, M], where not 0. Query row 0 stands at `queryOffset` (default M - N, as
 * in compileMask). Throws ArgumentError where the numbers do not fit the lengths.
 */
export function patternFromDense(
  dense: ArrayLike<number | boolean>,
  options: { queries: number; keys: number; heads?: number; queryOffset?: number },
): Pattern {
  const { queries, keys, heads = 1, queryOffset = keys - queries } = options;
  if (dense.length !== heads * queries * keys) {
    throw new ArgumentError(
      `patternFromDense: the mask has ${counted(dense.length, 'number')}; ${heads} x ${queries} x ${keys} are needed`,
    );
  }
  const patterns = Array.from({ length: heads }, (_, head) => {
    const table = Array.from({ length: queries }, (_, q) => {
      const seen: number[] = [];
      const start = (head * queries + q) * keys;
      for (let k = 0; k < keys; k++) if (dense[start + k]) seen.push(k);
      return seen;
    });
    return tablePattern(1, table, queryOffset);
  });
  return byHead(patterns);
}

/** The pattern of pairs in any order. Query row 0 stands at `queryOffset`, default 0. Throws ArgumentError, PatternError. */
export function patternFromCoo({ rows, columns }: Coo, queryOffset = 0): Pattern {
  if (rows.length !== columns.length) {
    throw new ArgumentError(
      `patternFromCoo: ${counted(rows.length, 'row')} and ${counted(columns.length, 'column')}; they must be equally many`,
    );
  }
  const table: number[][] = [];
  for (let e = 0; e < rows.length; e++) {
    const row = rows[e] ?? -1;
    if (!Number.isInteger(row) || row < 0 || row >= MAX_TABLE_ROWS) {
      throw new ArgumentError(
        `patternFromCoo: rows[${e}] is ${String(row)}; it must be an integer from 0 to ${MAX_TABLE_ROWS - 1}`,
      );
    }
    while (table.length <= row) table.push([]);
    table[row]?.push(columns[e] ?? -1);
  }
  return tablePattern(1, table, queryOffset);
}

/** The pattern of rows of pairs. Query row 0 stands at `queryOffset`, default 0. Throws ArgumentError, PatternError. */
export function patternFromCsr(csr: Csr, queryOffset = 0): Pattern {
  return tablePattern(1, tableOf('patternFromCsr', csr), queryOffset);
}

/** The pattern of rows of blocks. Query row 0 stands at `queryOffset`, default 0. Throws ArgumentError, PatternError. */
export function patternFromBsr(bsr: Bsr, queryOffset = 0): Pattern {
  return tablePattern(bsr.block, tableOf('patternFromBsr', bsr), queryOffset);
}

/** A pattern that lists the pairs of a mask, for masks that have no other. Memory proportional to the pairs. Throws ArgumentError for a refined mask. */
export function patternFromMask(mask: BlockMask): Pattern {
  const known = maskOfBatchEntry(mask).rows.map((rows) => {
    const { rowStart, columns } = csrOfRows(mask, rows);
    return tablePattern(1, tableOf('patternFromMask', { rowStart, columns }), mask.queryOffset);
  });
  return byHead(Array.from(mask.headRows, (index) => known[index] ?? { kind: 'union', of: [] }));
}

/** The pairs of one head, row by row. */
export function toCoo(mask: BlockMask, head: number): { rows: Uint32Array; columns: Uint32Array } {
  const { rowStart, columns } = toCsr(mask, head);
  const rows = new Uint32Array(columns.length);
  for (let q = 0; q < mask.queries; q++) rows.fill(q, rowStart[q], rowStart[q + 1]);
  return { rows, columns };
}

/** The keys that each query row of one head sees, ascending. Memory proportional to the pairs. */
export function toCsr(mask: BlockMask, head: number): { rowStart: Float64Array; columns: Uint32Array } {
  return csrOfRows(mask, rowsOfHead(mask, head));
}

/**
 * The blocks of one head in which any pair is allowed, of `block` x `block` pairs: by default those of T x T that the mask keeps.
 * Others take memory proportional to the pairs of one row of blocks. Throws ArgumentError for a side that is no positive integer.
 */
export function toBsr(
  mask: BlockMask,
  head: number,
  block: number = BLOCK_SIDE,
): { block: number; rowStart: Uint32Array; columns: Uint32Array } {
  const rows = rowsOfHead(mask, head);
  if (block === BLOCK_SIDE) return { block, rowStart: rows.rowStart.slice(), columns: rows.column.slice() };
  if (!Number.isSafeInteger(block) || block < 1)
    throw new ArgumentError(`toBsr: block is ${String(block)}; it must be a positive integer`);
  const rowStart = new Uint32Array(Math.ceil(mask.queries / block) + 1);
  const columns: number[] = [];
  for (let i = 0; i + 1 < rowStart.length; i++) {
    const range = { start: i * block, end: Math.min(mask.queries, (i + 1) * block) };
    const keys = rowColumns(mask, rows, range, rowStarts(mask, rows, range));
    const seen = new Set(Array.from(keys, (k) => Math.floor(k / block)));
    for (const j of [...seen].sort((a, b) => a - b)) columns.push(j);
    rowStart[i + 1] = columns.length;
  }
  return { block, rowStart, columns: Uint32Array.from(columns) };
}

function csrOfRows(mask: BlockMask, rows: BlockRows): { rowStart: Float64Array; columns: Uint32Array } {
  const all = { start: 0, end: mask.queries };
  const rowStart = rowStarts(mask, rows, all);
  return { rowStart, columns: rowColumns(mask, rows, all, rowStart) };
}

function tableOf(name: string, { rowStart, columns }: Csr): number[][] {
  const rows = Math.max(0, rowStart.length - 1);
  return Array.from({ length: rows }, (_, i) => {
    const [start, end] = [rowStart[i] ?? NaN, rowStart[i + 1] ?? NaN];
    if (!(start >= 0 && start <= end && end <= columns.length)) {
      throw new ArgumentError(
        `${name}: rowStart[${i}] and the next are ${start} and ${end}; they must rise from 0 to ${columns.length}`,
      );
    }
    return Array.from({ length: end - start }, (_, e) => columns[start + e] ?? -1);
  });
}

function tablePattern(block: number, table: readonly (readonly number[])[], queryOffset: number): Pattern {
  const own: Pattern = { kind: 'blocks', block, table };
  const pattern: Pattern = queryOffset === 0 ? own : { kind: 'shift', queries: queryOffset, keys: 0, of: own };
  checkPattern(pattern);
  return pattern;
}

function byHead(patterns: readonly Pattern[]): Pattern {
  const [only] = patterns;
  return patterns.length === 1 && only !== undefined ? only : { kind: 'perHead', heads: patterns };
}
