/**
 * What may be done to a score before the softmax, as plain data: (score, q, k, head, batch) -> score. JSON goes in and out.
 * Numbers are float32 on a device; truth is 1 and 0.
 */
export type Expression = Leaf | Constant | Lookup | Unary | Binary | Select;

/**
 * score: scale q . k. q: absolute position of the query, its row plus the mask's queryOffset. k: column of the key. row: row
 * of the query. head: query head. batch: batch entry. Positions are exact below 2^24.
 */
export type LeafKind = 'score' | 'q' | 'k' | 'row' | 'head' | 'batch';
export type UnaryKind = 'neg' | 'abs' | 'floor' | 'exp' | 'log' | 'tanh';
export type BinaryKind =
  | 'add'
  | 'sub'
  | 'mul'
  | 'div'
  | 'min'
  | 'max'
  | 'less'
  | 'lessEqual'
  | 'greater'
  | 'greaterEqual'
  | 'equal'
  | 'notEqual';

export interface Leaf {
  readonly kind: LeafKind;
}

export interface Constant {
  readonly kind: 'constant';
  readonly value: number;
}

/**
 * An entry of a parameter. An index is cut to an integer and clamped to its axis, so that a table ends with its border values
 * and an axis of size 1 is broadcast; NaN counts as 0.
 */
export interface Lookup {
  readonly kind: 'lookup';
  readonly parameter: string;
  readonly indices: readonly Expression[];
}

export interface Unary {
  readonly kind: UnaryKind;
  readonly of: Expression;
}

export interface Binary {
  readonly kind: BinaryKind;
  readonly left: Expression;
  readonly right: Expression;
}

/** `ifTrue` where `condition` is not 0, else `ifFalse`. */
export interface Select {
  readonly kind: 'select';
  readonly condition: Expression;
  readonly ifTrue: Expression;
  readonly ifFalse: Expression;
}

export const LEAVES: readonly LeafKind[] = ['score', 'q', 'k', 'row', 'head', 'batch'];
export const UNARIES: readonly UnaryKind[] = ['neg', 'abs', 'floor', 'exp', 'log', 'tanh'];
export const COMPARISONS = ['less', 'lessEqual', 'greater', 'greaterEqual', 'equal', 'notEqual'] as const;
export const BINARIES: readonly BinaryKind[] = ['add', 'sub', 'mul', 'div', 'min', 'max', ...COMPARISONS];

/** An expression, or a number that stands for a constant. */
export type Operand = Expression | number;

export const score: Leaf = { kind: 'score' };
export const q: Leaf = { kind: 'q' };
export const k: Leaf = { kind: 'k' };
export const row: Leaf = { kind: 'row' };
export const head: Leaf = { kind: 'head' };
export const batch: Leaf = { kind: 'batch' };

export function constant(value: number): Constant {
  return { kind: 'constant', value };
}

export function lookup(parameter: string, ...indices: Operand[]): Lookup {
  return { kind: 'lookup', parameter, indices: indices.map(expressionOf) };
}

export const neg = unary('neg');
export const abs = unary('abs');
export const floor = unary('floor');
export const exp = unary('exp');
/** Natural logarithm. */
export const log = unary('log');
export const tanh = unary('tanh');

export const add = binary('add');
export const sub = binary('sub');
export const mul = binary('mul');
export const div = binary('div');
export const min = binary('min');
export const max = binary('max');
export const less = binary('less');
export const lessEqual = binary('lessEqual');
export const greater = binary('greater');
export const greaterEqual = binary('greaterEqual');
export const equal = binary('equal');
export const notEqual = binary('notEqual');

export function select(condition: Operand, ifTrue: Operand, ifFalse: Operand): Select {
  return {
    kind: 'select',
    condition: expressionOf(condition),
    ifTrue: expressionOf(ifTrue),
    ifFalse: expressionOf(ifFalse),
  };
}

/** x, but at least `low` and at most `high`. */
export function clamp(x: Operand, low: Operand, high: Operand): Expression {
  return min(max(x, low), high);
}

/** The expression with every part, operands first, given to `replace`. */
export function rewrite(expression: Expression, replace: (part: Expression) => Expression): Expression {
  const within = (part: Expression) => rewrite(part, replace);
  switch (expression.kind) {
    case 'lookup':
      return replace({ ...expression, indices: expression.indices.map(within) });
    case 'select':
      return replace(select(within(expression.condition), within(expression.ifTrue), within(expression.ifFalse)));
    default:
      if ('of' in expression) return replace({ ...expression, of: within(expression.of) });
      if ('left' in expression)
        return replace({ ...expression, left: within(expression.left), right: within(expression.right) });
      return replace(expression);
  }
}

/** The expression with `replacement` in the place of every score. */
export function substituteScore(expression: Expression, replacement: Expression): Expression {
  return rewrite(expression, (part) => (part.kind === 'score' ? replacement : part));
}

function expressionOf(operand: Operand): Expression {
  return typeof operand === 'number' ? constant(operand) : operand;
}

function unary(kind: UnaryKind): (of: Operand) => Unary {
  return (of) => ({ kind, of: expressionOf(of) });
}

function binary(kind: BinaryKind): (left: Operand, right: Operand) => Binary {
  return (left, right) => ({ kind, left: expressionOf(left), right: expressionOf(right) });
}
