/** A pattern's definition (pattern/allows.ts) as comparisons of positions, for the pairs that are looked at. */
import { PatternError } from '../../errors.ts';
import { formatPattern, type Pattern } from '../../pattern/index.ts';
import { definitionOf, isFamily } from '../../pattern/kinds/registry.ts';
import type { Emitter } from './emitter.ts';
import { type BlockTable, drawnTable, runsOf } from './key-cover.ts';

/** Where pairs are: int32 positions of queries [C, 1] and of keys [1, K], and where the pattern's tables are looked up. */
export interface Pairs {
  readonly q: string;
  readonly k: string;
  readonly maximumLength: number | undefined;
  /** The queries, where they are given places; else the queries of one block. */
  readonly rows?: readonly number[];
  /** Tells which key blocks, int32 [T], the queries' block has in a table. */
  readonly tableRow: (table: BlockTable) => string;
}

/** Beyond every position in a text. */
const FARTHEST = 2 ** 31 - 1;

/** A bool value that broadcasts to [C, K]; or the answer for all pairs. */
export type Allowed = string | boolean;

/** Whether the pattern allows each pair. Throws PatternError for a kind that comparisons do not express. */
export function allowedPairs(emitter: Emitter, pattern: Pattern, pairs: Pairs): Allowed {
  const { q, k } = pairs;
  const number = (value: number): string => place(emitter, value);
  const compare = (operator: string, a: string, b: string): string => emitter.op(operator, [a, b], 'bool');
  switch (pattern.kind) {
    case 'dense':
      return true;
    case 'causal':
      return compare('LessOrEqual', k, q);
    case 'window': {
      const { left, right, dilation = 1 } = pattern;
      const distance = emitter.op('Sub', [q, k], 'int32');
      const [back, ahead] = [left * dilation, right * dilation];
      const near = isFar(back) ? true : compare('LessOrEqual', distance, number(back));
      const late = isFar(ahead) ? true : compare('LessOrEqual', number(-ahead), distance);
      const step = (): string => compare('Equal', emitter.op('Mod', [distance, number(dilation)], 'int32'), number(0));
      return all(emitter, [near, late, dilation === 1 ? true : step()]);
    }
    case 'sinks':
      return compare('Less', k, number(pattern.count));
    case 'columns':
      return isInStripes(emitter, k, pattern);
    case 'rows':
      return seesAll(pattern, pairs) || isInStripes(emitter, q, pattern);
    case 'global': {
      if (seesAll(pattern, pairs)) return true;
      const { direction = 'both' } = pattern;
      const positions = [...new Set(pattern.positions)].sort((a, b) => a - b);
      return any(emitter, [
        direction === 'queries' ? false : isAmong(emitter, k, positions),
        direction === 'keys' ? false : isAmong(emitter, q, positions),
      ]);
    }
    case 'diagonals': {
      const distance = emitter.op('Sub', [q, k], 'int32');
      return isAmong(
        emitter,
        distance,
        [...new Set(pattern.offsets)].sort((a, b) => a - b),
      );
    }
    case 'blockLocal': {
      const { block, back = 0, ahead = 0 } = pattern;
      const blockOf = (x: string): string => emitter.op('Div', [x, number(block)], 'int32');
      const distance = emitter.op('Sub', [blockOf(q), blockOf(k)], 'int32');
      return all(emitter, [
        compare('LessOrEqual', distance, number(back)),
        compare('LessOrEqual', number(-ahead), distance),
      ]);
    }
    case 'blocks':
      return isInTable(emitter, { block: pattern.block, rows: pattern.table }, pairs);
    case 'randomBlocks':
      return isInTable(emitter, drawnTable(pattern, pairs.maximumLength), pairs);
    case 'union':
      if (pattern.of.some((part) => part.kind === 'dense' || seesAll(part, pairs))) return true;
      return any(
        emitter,
        pattern.of.map((part) => allowedPairs(emitter, part, pairs)),
      );
    case 'intersect':
      return all(
        emitter,
        pattern.of.map((part) => allowedPairs(emitter, part, pairs)),
      );
    case 'complement': {
      const of = allowedPairs(emitter, pattern.of, pairs);
      return typeof of === 'boolean' ? !of : emitter.op('Not', [of], 'bool');
    }
    case 'perHead':
      throw new Error('allowedPairs: a perHead must be resolved by headPattern first');
    default: {
      const expanded = isFamily(pattern) ? definitionOf(pattern).expand?.(pattern) : undefined;
      if (expanded !== undefined) return allowedPairs(emitter, expanded, pairs);
      throw new PatternError(
        `${formatPattern(pattern)} cannot be written in ONNX operators: its pairs are no comparisons of positions`,
      );
    }
  }
}

/** Both, with the answers that are known left out. */
export function all(emitter: Emitter, parts: readonly Allowed[]): Allowed {
  return parts.reduce<Allowed>((a, b) => {
    if (typeof a === 'boolean') return a ? b : a;
    if (typeof b === 'boolean') return b ? a : b;
    return emitter.op('And', [a, b], 'bool');
  }, true);
}

/** Either, with the answers that are known left out. */
export function any(emitter: Emitter, parts: readonly Allowed[]): Allowed {
  return parts.reduce<Allowed>((a, b) => {
    if (typeof a === 'boolean') return a ? a : b;
    if (typeof b === 'boolean') return b ? b : a;
    return emitter.op('Or', [a, b], 'bool');
  }, false);
}

/** Whether all the queries are given ones, and global ones of this pattern. */
function seesAll(pattern: Pattern, { rows }: Pairs): boolean {
  if (rows === undefined) return false;
  if (pattern.kind === 'rows') {
    const { start, count, period } = pattern;
    return period === undefined && rows.every((row) => start <= row && row < start + count);
  }
  if (pattern.kind !== 'global' || pattern.direction === 'keys') return false;
  const positions = new Set(pattern.positions);
  return rows.every((row) => positions.has(row));
}

/** Whether x is one of some numbers, ascending: a pair of comparisons for each run of them. */
export function isAmong(emitter: Emitter, x: string, places: readonly number[]): Allowed {
  return any(
    emitter,
    runsOf(places).map(({ first, count }) => {
      const at = (value: number): string => place(emitter, value);
      if (count === 1) return emitter.op('Equal', [x, at(first)], 'bool');
      const least = emitter.op('LessOrEqual', [at(first), x], 'bool');
      return emitter.op('And', [least, emitter.op('Less', [x, at(first + count)], 'bool')], 'bool');
    }),
  );
}

function isInStripes(
  emitter: Emitter,
  x: string,
  { start, count, period }: { readonly start: number; readonly count: number; readonly period?: number },
): string {
  const own = period === undefined ? x : emitter.op('Mod', [x, place(emitter, period)], 'int32');
  const least = emitter.op('LessOrEqual', [place(emitter, start), own], 'bool');
  return emitter.op('And', [least, emitter.op('Less', [own, place(emitter, start + count)], 'bool')], 'bool');
}

/** Whether a key's block is one of those of the queries' block: [1, K]. */
function isInTable(emitter: Emitter, table: BlockTable, pairs: Pairs): string {
  if (pairs.rows !== undefined) {
    throw new PatternError(
      'an ONNX export takes global queries beside a table of blocks only where they see every key',
    );
  }
  const blocks = emitter.op('Unsqueeze', [pairs.tableRow(table), emitter.int64(1)], 'int32');
  const own = emitter.op('Div', [pairs.k, place(emitter, table.block)], 'int32');
  const isOne = emitter.cast(emitter.op('Equal', [blocks, own], 'bool'), 'int32');
  const count = emitter.op('ReduceSum', [isOne, emitter.int64(0)], 'int32', { keepdims: { type: 'int', value: 1 } });
  return emitter.cast(count, 'bool');
}

/** A number that positions are compared with; what is beyond every position is as good as the last one. */
function place(emitter: Emitter, value: number): string {
  return emitter.int32([Math.min(Math.max(value, -FARTHEST), FARTHEST)]);
}

function isFar(distance: number): boolean {
  return distance >= FARTHEST;
}
