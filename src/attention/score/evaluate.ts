import type { BinaryKind, Expression, UnaryKind } from './expression.ts';
import type { ScoreModifier, ScoreParameter } from './modifier.ts';

/** The leaves of one pair. */
export interface ScorePair {
  score: number;
  q: number;
  k: number;
  row: number;
  head: number;
  batch: number;
}

export const UNARY: Readonly<Record<UnaryKind, (x: number) => number>> = {
  neg: (x) => -x,
  abs: Math.abs,
  floor: Math.floor,
  exp: Math.exp,
  log: Math.log,
  tanh: Math.tanh,
};

export const BINARY: Readonly<Record<BinaryKind, (x: number, y: number) => number>> = {
  add: (x, y) => x + y,
  sub: (x, y) => x - y,
  mul: (x, y) => x * y,
  div: (x, y) => x / y,
  min: Math.min,
  max: Math.max,
  less: (x, y) => Number(x < y),
  lessEqual: (x, y) => Number(x <= y),
  greater: (x, y) => Number(x > y),
  greaterEqual: (x, y) => Number(x >= y),
  equal: (x, y) => Number(x === y),
  notEqual: (x, y) => Number(x !== y),
};

/** The meaning of a modifier in float64, straight from its tree. The devices are checked against it. */
export function scoreFunction({ expression, parameters = {} }: ScoreModifier): (pair: ScorePair) => number {
  const build = (part: Expression): ((pair: ScorePair) => number) => {
    switch (part.kind) {
      case 'score':
      case 'q':
      case 'k':
      case 'row':
      case 'head':
      case 'batch': {
        const { kind } = part;
        return (pair) => pair[kind];
      }
      case 'constant': {
        const value = Math.fround(part.value);
        return () => value;
      }
      case 'lookup':
        return lookUp(parameters[part.parameter], part.indices.map(build));
      case 'select': {
        const [condition, ifTrue, ifFalse] = [part.condition, part.ifTrue, part.ifFalse].map(build);
        return (pair) => (condition(pair) !== 0 ? ifTrue(pair) : ifFalse(pair));
      }
      default: {
        if ('of' in part) {
          const [compute, of] = [UNARY[part.kind], build(part.of)];
          return (pair) => compute(of(pair));
        }
        const [compute, left, right] = [BINARY[part.kind], build(part.left), build(part.right)];
        return (pair) => compute(left(pair), right(pair));
      }
    }
  };
  return build(expression);
}

function lookUp(
  { data, shape }: ScoreParameter,
  indices: readonly ((pair: ScorePair) => number)[],
): (pair: ScorePair) => number {
  const at = new Array<number>(indices.length);
  return (pair) => {
    for (let i = 0; i < indices.length; i++) at[i] = indices[i](pair);
    return data[entryOf(shape, at)];
  };
}

/** The place of an entry: row major, each index cut to an integer and clamped to its axis. */
export function entryOf(shape: readonly number[], indices: readonly number[]): number {
  let entry = 0;
  for (let i = 0; i < shape.length; i++) {
    const index = Math.trunc(indices[i]);
    entry = entry * shape[i] + (Number.isNaN(index) ? 0 : Math.min(shape[i] - 1, Math.max(0, index)));
  }
  return entry;
}
