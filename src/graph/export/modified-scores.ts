/** Score modifiers (attention/score/) in standard operators, over the pairs that are looked at. */
import type { Expression } from '../../attention/index.ts';
import { ExpressionGraph } from '../../attention/score/index.ts';
import type { NodeScores } from '../import/batch-attention.ts';
import type { Emitter } from './emitter.ts';

/** The pairs of some scores, as vectors of int64. */
export interface ScoredPairs {
  /** [B, H, C, K], or [B, G, H/G, C, K] where `groups` says G. */
  readonly scores: string;
  readonly groups: string | undefined;
  /** Positions of the queries [C], and their rows. */
  readonly queries: string;
  readonly rows: string;
  /** Positions of the keys [K]. */
  readonly keys: string;
  /** Numbers of the heads [H]. */
  readonly heads: string;
  /** Numbers of the batch entries [B]. */
  readonly batch: string;
}

type Kind = Exclude<Expression['kind'], 'constant' | 'lookup'>;

const OPERATORS: Readonly<Partial<Record<Kind, string>>> = {
  neg: 'Neg',
  abs: 'Abs',
  floor: 'Floor',
  exp: 'Exp',
  log: 'Log',
  tanh: 'Tanh',
  add: 'Add',
  sub: 'Sub',
  mul: 'Mul',
  div: 'Div',
  min: 'Min',
  max: 'Max',
};

const COMPARISONS: Readonly<Partial<Record<Kind, string>>> = {
  less: 'Less',
  lessEqual: 'LessOrEqual',
  greater: 'Greater',
  greaterEqual: 'GreaterOrEqual',
  equal: 'Equal',
};

/**
 * The scores as the modifier changes them. `outer` adds to the graph around `body`, where parameters are laid flat once. What does not
 * depend on the head is computed for all heads at once.
 */
export function modifiedScores(
  outer: Emitter,
  body: Emitter,
  { expression, parameters }: NodeScores,
  pairs: ScoredPairs,
): string {
  const parts = new ExpressionGraph();
  const last = parts.add(expression);
  const made: string[] = [];
  for (const { kind, operands, value, parameter } of parts.nodes) {
    const given = operands.map((operand) => made[operand] ?? '');
    const [first = '', second = '', third = ''] = given;
    if (value !== undefined) made.push(body.float(value));
    else if (parameter !== undefined) made.push(lookUp(outer, body, parameters[parameter] ?? '', given));
    else made.push(partOf(body, kind as Kind, [first, second, third], pairs));
  }
  return made[last] ?? pairs.scores;
}

function partOf(
  body: Emitter,
  kind: Kind,
  [first, second, third]: [string, string, string],
  pairs: ScoredPairs,
): string {
  const column = (positions: string, axes: readonly number[]): string =>
    body.op('Unsqueeze', [body.cast(positions, 'float32'), body.int64(...axes)]);
  const isGrouped = pairs.groups !== undefined;
  switch (kind) {
    case 'score':
      return pairs.scores;
    case 'q':
      return column(pairs.queries, [1]);
    case 'row':
      return column(pairs.rows, [1]);
    case 'k':
      return column(pairs.keys, [0]);
    case 'head': {
      const shape = body.concat(
        [...(pairs.groups === undefined ? [] : [pairs.groups]), body.int64(-1, 1, 1)],
        0,
        'int64',
      );
      return body.op('Reshape', [body.cast(pairs.heads, 'float32'), shape]);
    }
    case 'batch':
      return column(pairs.batch, isGrouped ? [1, 2, 3, 4] : [1, 2, 3]);
    case 'select':
      return body.op('Where', [body.cast(first, 'bool'), second, third]);
    case 'notEqual':
      return body.cast(body.op('Not', [body.op('Equal', [first, second], 'bool')], 'bool'), 'float32');
    default: {
      const comparison = COMPARISONS[kind];
      if (comparison !== undefined) return body.cast(body.op(comparison, [first, second], 'bool'), 'float32');
      const operator = OPERATORS[kind];
      if (operator === undefined) throw new TypeError(`an expression of kind ${kind}`);
      return body.op(operator, second === '' ? [first] : [first, second]);
    }
  }
}

/** Entries of a parameter: each index is cut to an integer and clamped to its axis. */
function lookUp(outer: Emitter, body: Emitter, name: string, indices: readonly string[]): string {
  const { edit } = outer;
  const flat = edit.once(`flat ${name}`, () => outer.op('Reshape', [name, outer.int64(-1)]));
  const shape = edit.values.get(name)?.shape ?? [];
  let place: string | undefined;
  for (const [axis, index] of indices.entries()) {
    const known = shape[axis];
    const side =
      typeof known === 'number'
        ? outer.int64(known)
        : edit.once(`side ${axis} of ${name}`, () => outer.side(name, axis));
    const end =
      typeof known === 'number'
        ? outer.int64(known - 1)
        : edit.once(`end ${axis} of ${name}`, () => outer.op('Sub', [side, outer.int64(1)], 'int64'));
    // Not every cast of what is beyond int64 ends at the last entry.
    const whole = body.cast(body.op('Min', [index, body.cast(end, 'float32')]), 'int64');
    const own = body.op('Min', [body.op('Max', [whole, body.int64(0)], 'int64'), end], 'int64');
    place = place === undefined ? own : body.op('Add', [body.op('Mul', [place, side], 'int64'), own], 'int64');
  }
  return body.gather(flat, place ?? '', 0);
}
