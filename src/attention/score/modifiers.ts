import { ArgumentError } from '../../errors.ts';
import * as e from './expression.ts';
import type { ScoreModifier, ScoreParameter } from './modifier.ts';

/** A table of numbers with its shape. */
export type Table = ScoreParameter;

/**
 * ALiBi: score + slope (k - q), with one slope for each head (Press et al. 2022, Train Short, Test Long, section 3); `symmetric`:
 * score - slope |q - k|, for attention both ways. `slopes` [H]; see alibiSlopes().
 */
export function alibi({ slopes, symmetric = false }: { slopes: Float32Array; symmetric?: boolean }): ScoreModifier {
  const slope = e.lookup('slopes', e.head);
  const distance = e.sub(e.k, e.q);
  return {
    expression: symmetric ? e.sub(e.score, e.mul(slope, e.abs(distance))) : e.add(e.score, e.mul(slope, distance)),
    parameters: { slopes: { data: slopes, shape: [slopes.length] } },
  };
}

/**
 * The slopes of ALiBi's authors [H]: the geometric sequence from 2^(-8/H) on for a power of two; else that of the power below,
 * and every second one of the power above.
 */
export function alibiSlopes(heads: number): Float32Array {
  if (!Number.isSafeInteger(heads) || heads < 1)
    throw new ArgumentError(`alibiSlopes: heads must be a positive integer, got ${heads}`);
  const power = 2 ** Math.floor(Math.log2(heads));
  const sequence = (count: number) => Array.from({ length: count }, (_, i) => 2 ** ((-8 * (i + 1)) / count));
  const between = sequence(2 * power).filter((_, i) => i % 2 === 0);
  return Float32Array.from([...sequence(power), ...between.slice(0, heads - power)]);
}

/**
 * score + table[head, k - q + R], for a table [H, 2R + 1] (or [1, 2R + 1]); farther offsets use the border (Shaw et al. 2018,
 * Self-Attention with Relative Position Representations, section 3.2, as a bias). `zero` says which column is offset 0 where the
 * table is not symmetric. Default the middle one.
 */
export function relativePositions(table: Table, { zero }: { zero?: number } = {}): ScoreModifier {
  checkTable('relativePositions', table, 2, '[H, 2R + 1]');
  const columns = table.shape[1];
  if (zero === undefined && columns % 2 === 0)
    throw new ArgumentError(
      `relativePositions: a table of ${columns} columns has no middle one; say which is offset 0`,
    );
  const middle = zero ?? (columns - 1) / 2;
  if (!Number.isSafeInteger(middle) || middle < 0 || middle >= columns)
    throw new ArgumentError(`relativePositions: zero must be a column from 0 to ${columns - 1}, got ${middle}`);
  return {
    expression: e.add(e.score, e.lookup('table', e.head, e.add(e.sub(e.k, e.q), middle))),
    parameters: { table },
  };
}

export interface T5Options {
  /** [buckets, H] */
  readonly table: Table;
  /** Whether keys after the query have buckets of their own (encoders). */
  readonly bidirectional: boolean;
  /** Offsets from here on share the last bucket. Default 128. */
  readonly maxDistance?: number;
  /** How far the key is behind the query. Default k - q; LongT5 counts blocks. */
  readonly offset?: e.Expression;
}

/**
 * T5's bias: score + table[bucket(k - q), head], the bucket exact for small distances and logarithmic up to maxDistance
 * (Raffel et al. 2020, Exploring the Limits of Transfer Learning, section 2.1). T5 itself does not scale scores: give scale 1.
 */
export function t5Buckets({
  table,
  bidirectional,
  maxDistance = 128,
  offset = e.sub(e.k, e.q),
}: T5Options): ScoreModifier {
  checkTable('t5Buckets', table, 2, '[buckets, H]');
  const buckets = table.shape[0];
  const side = bidirectional ? buckets / 2 : buckets;
  const exact = Math.floor(side / 2);
  if (!Number.isSafeInteger(side) || exact < 1)
    throw new ArgumentError(
      `t5Buckets: ${buckets} buckets cannot be divided; give an even number, at least 4 for both ways`,
    );
  if (!Number.isSafeInteger(maxDistance) || maxDistance <= exact)
    throw new ArgumentError(`t5Buckets: maxDistance must be an integer above ${exact}, got ${maxDistance}`);
  const distance = bidirectional ? e.abs(offset) : e.max(e.neg(offset), 0);
  // Steps instead of a logarithm for each pair: the boundaries, worked out once, are exact on every device.
  let bucket: e.Expression = e.min(distance, exact);
  for (const start of bucketStarts(exact, side, maxDistance)) bucket = e.add(bucket, e.greaterEqual(distance, start));
  if (bidirectional) bucket = e.add(bucket, e.select(e.greater(offset, 0), side, 0));
  return { expression: e.add(e.score, e.lookup('table', bucket, e.head)), parameters: { table } };
}

/** The distances at which T5's logarithmic buckets exact + 1, exact + 2, ... begin. */
function bucketStarts(exact: number, side: number, maxDistance: number): number[] {
  const starts: number[] = [];
  let last = exact;
  for (let distance = exact; last < side - 1; distance++) {
    // In float32, as T5 does it: at a boundary the rounding decides.
    const log = Math.fround(Math.log(Math.fround(distance / exact)));
    const share = Math.fround(log / Math.fround(Math.log(maxDistance / exact)));
    const bucket = Math.min(side - 1, exact + Math.floor(Math.fround(share * (side - exact))));
    for (; last < bucket; last++) starts.push(distance);
  }
  return starts;
}

/**
 * Swin's relative position bias in windows of rows x columns tokens: score + table[(dy + rows - 1), (dx + columns - 1), head]
 * with (dy, dx) the query's place in its window less the key's (Liu et al. 2021, Swin Transformer, equation 4). Tokens are in the
 * order in which window after window lies flat; `table` [(2 rows - 1)(2 columns - 1), H].
 */
export function swinBias2d({ window, table }: { window: readonly [number, number]; table: Table }): ScoreModifier {
  const [rows, columns] = window;
  for (const side of window) {
    if (!Number.isSafeInteger(side) || side < 1)
      throw new ArgumentError(`swinBias2d: window must be two positive integers, got [${window.join(', ')}]`);
  }
  checkTable('swinBias2d', table, 2, '[(2 rows - 1)(2 columns - 1), H]');
  const entries = (2 * rows - 1) * (2 * columns - 1);
  if (table.shape[0] !== entries)
    throw new ArgumentError(
      `swinBias2d: a window of ${rows} x ${columns} needs a table of ${entries} rows, got ${table.shape[0]}`,
    );
  const y = (position: e.Expression) => e.sub(whole(position, columns), e.mul(whole(position, rows * columns), rows));
  const x = (position: e.Expression) => e.sub(position, e.mul(whole(position, columns), columns));
  const down = e.add(e.sub(y(e.q), y(e.k)), rows - 1);
  const across = e.add(e.sub(x(e.q), x(e.k)), columns - 1);
  const entry = e.add(e.mul(down, 2 * columns - 1), across);
  return { expression: e.add(e.score, e.lookup('table', entry, e.head)), parameters: { table } };
}

/** floor(position / size). Half a step more keeps the float32 quotient off the integers. */
function whole(position: e.Expression, size: number): e.Expression {
  return size === 1 ? position : e.floor(e.div(e.add(position, 0.5), size));
}

/** score + bias[head, row, k] for a bias [H or 1, N or 1, M or 1]; with a fourth axis in front, [B or 1, ...]. -Infinity masks. */
export function additiveBias(bias: Table): ScoreModifier {
  const indices = [e.batch, e.head, e.row, e.k].slice(-bias.shape.length);
  if (bias.shape.length < 3 || bias.shape.length > 4)
    throw new ArgumentError(`additiveBias: the bias must be [H, N, M] or [B, H, N, M], got [${bias.shape.join(', ')}]`);
  return { expression: e.add(e.score, e.lookup('bias', ...indices)), parameters: { bias } };
}

/** score factor[head], a learned temperature for each head; `factors` [H]. */
export function headScale(factors: Float32Array): ScoreModifier {
  return {
    expression: e.mul(e.score, e.lookup('factors', e.head)),
    parameters: { factors: { data: factors, shape: [factors.length] } },
  };
}

/** cap tanh(score / cap) (Gemma 2, section 2). As a modifier of its own it runs as the option `softcap` does. */
export function softcap(cap: number): ScoreModifier {
  if (!(Number.isFinite(cap) && cap > 0))
    throw new ArgumentError(`softcap: the cap must be a finite number above 0, got ${cap}`);
  return { expression: e.mul(e.tanh(e.div(e.score, cap)), cap) };
}

/** Modifiers one after the other: the second sees what the first returns. */
export function composeScores(...modifiers: readonly ScoreModifier[]): ScoreModifier {
  const parameters: Record<string, ScoreParameter> = {};
  let expression: e.Expression = e.score;
  for (const modifier of modifiers) {
    expression = e.substituteScore(modifier.expression, expression);
    for (const [name, parameter] of Object.entries(modifier.parameters ?? {})) {
      if (parameters[name] && parameters[name].data !== parameter.data)
        throw new ArgumentError(`composeScores: two modifiers have different parameters named '${name}'; rename one`);
      parameters[name] = parameter;
    }
  }
  return { expression, parameters };
}

/** The modifier with a parameter under another name, for composeScores(). */
export function renameParameter(modifier: ScoreModifier, from: string, to: string): ScoreModifier {
  const { [from]: parameter, ...others } = modifier.parameters ?? {};
  if (!parameter) throw new ArgumentError(`renameParameter: there is no parameter '${from}'`);
  if (others[to]) throw new ArgumentError(`renameParameter: there is a parameter '${to}' already`);
  const expression = e.rewrite(modifier.expression, (part) =>
    part.kind === 'lookup' && part.parameter === from ? { ...part, parameter: to } : part,
  );
  return { expression, parameters: { ...others, [to]: parameter } };
}

function checkTable(name: string, table: Table, axes: number, wanted: string): void {
  if (table.shape.length !== axes)
    throw new ArgumentError(`${name}: the table must be ${wanted}, got [${table.shape.join(', ')}]`);
}
