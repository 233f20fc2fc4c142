/**
 * One element of a tensor as an expression over the indices that it is looked up at: what the importer knows of masks and shapes.
 * A tensor is then a function from indices to expressions, and nothing of its size ever exists.
 */
import {
  constant,
  constantOf,
  divide,
  isNeverNegative,
  minus,
  type Polynomial,
  plus,
  substitute,
  times,
} from './polynomial.ts';

export type Relation = '<=' | '<' | '==';

export type Expression =
  /** An integer: a constant, a dimension, an index, or arithmetic of these. */
  | { readonly kind: 'integer'; readonly value: Polynomial }
  /** A number that is not an integer, or infinite. */
  | { readonly kind: 'number'; readonly value: number }
  | { readonly kind: 'truth'; readonly value: boolean }
  /** An element of a value that is computed at run time. */
  | { readonly kind: 'element'; readonly of: string; readonly at: readonly Polynomial[] }
  | { readonly kind: 'compare'; readonly relation: Relation; readonly left: Expression; readonly right: Expression }
  | { readonly kind: 'and'; readonly of: readonly [Expression, Expression] }
  | { readonly kind: 'or'; readonly of: readonly [Expression, Expression] }
  | { readonly kind: 'not'; readonly of: Expression }
  | { readonly kind: 'where'; readonly condition: Expression; readonly then: Expression; readonly else: Expression }
  | { readonly kind: 'arithmetic'; readonly operator: string; readonly of: readonly Expression[] }
  | { readonly kind: 'unknown'; readonly why: string };

/** How far each index goes: its symbol is at least 0 and below this. */
export type Extents = ReadonlyMap<string, Polynomial>;

export function integer(value: number | Polynomial): Expression {
  return { kind: 'integer', value: typeof value === 'number' ? constant(value) : value };
}

export function truth(value: boolean): Expression {
  return { kind: 'truth', value };
}

export function unknown(why: string): Expression {
  return { kind: 'unknown', why };
}

/** A number as a float; whole ones are integers, which compare exactly. */
export function number(value: number): Expression {
  return Number.isSafeInteger(value) ? integer(value) : { kind: 'number', value };
}

/** The number of an expression without indices and elements. */
export function numberOf(x: Expression): number | undefined {
  if (x.kind === 'number') return x.value;
  if (x.kind === 'truth') return x.value ? 1 : 0;
  return x.kind === 'integer' ? constantOf(x.value) : undefined;
}

export function and(a: Expression, b: Expression): Expression {
  if (a.kind === 'truth') return a.value ? b : a;
  if (b.kind === 'truth') return b.value ? a : b;
  return { kind: 'and', of: [a, b] };
}

export function or(a: Expression, b: Expression): Expression {
  if (a.kind === 'truth') return a.value ? a : b;
  if (b.kind === 'truth') return b.value ? b : a;
  return { kind: 'or', of: [a, b] };
}

export function not(a: Expression): Expression {
  if (a.kind === 'truth') return truth(!a.value);
  return a.kind === 'not' ? a.of : { kind: 'not', of: a };
}

export function where(condition: Expression, then: Expression, otherwise: Expression): Expression {
  if (condition.kind === 'truth') return condition.value ? then : otherwise;
  return { kind: 'where', condition, then, else: otherwise };
}

/** A comparison, decided where the extents of the indices decide it. */
export function compare(relation: Relation, left: Expression, right: Expression, extents: Extents): Expression {
  if (left.kind === 'integer' && right.kind === 'integer') {
    const difference = minus(right.value, left.value);
    const least = leastOf(difference, extents);
    const most = leastOf(minus(left.value, right.value), extents);
    const isLess = isNeverNegative(plus(least, constant(-1)));
    const isMore = isNeverNegative(plus(most, constant(-1)));
    if (relation === '<=' && isNeverNegative(least)) return truth(true);
    if (relation === '<=' && isMore) return truth(false);
    if (relation === '<' && isLess) return truth(true);
    if (relation === '<' && isNeverNegative(most)) return truth(false);
    if (relation === '==' && (isLess || isMore)) return truth(false);
    if (relation === '==' && difference.size === 0) return truth(true);
  }
  const [a, b] = [numberOf(left), numberOf(right)];
  if (a !== undefined && b !== undefined) {
    return truth(relation === '<=' ? a <= b : relation === '<' ? a < b : a === b);
  }
  // A truth value beside 0 or 1 is itself or its opposite.
  if (relation === '==' && isBoolean(left) && b !== undefined)
    return b === 0 ? not(left) : b === 1 ? left : truth(false);
  return { kind: 'compare', relation, left, right };
}

function isBoolean(x: Expression): boolean {
  return x.kind === 'and' || x.kind === 'or' || x.kind === 'not' || x.kind === 'compare';
}

/** The least value that the signs of its terms show: indices with a negative coefficient at their end, others at 0. */
function leastOf(p: Polynomial, extents: Extents): Polynomial {
  const values = new Map<string, Polynomial>();
  for (const [index, extent] of extents) {
    const coefficient = p.get(index) ?? 0;
    if (coefficient < 0) values.set(index, plus(extent, constant(-1)));
    else if (coefficient > 0) values.set(index, constant(0));
  }
  return substitute(p, values);
}

/** Whether 0 <= p < extent for all indices. */
export function isBelow(p: Polynomial, extent: Polynomial, extents: Extents): boolean {
  if (p.size === 0) return true;
  const below = compare('<', integer(p), integer(extent), extents);
  const atLeast = compare('<=', integer(0), integer(p), extents);
  return below.kind === 'truth' && below.value && atLeast.kind === 'truth' && atLeast.value;
}

/** Sum, difference, product, ... of numbers; exact where both are integers. */
export function arithmetic(operator: string, a: Expression, b: Expression): Expression {
  if (a.kind === 'integer' && b.kind === 'integer') {
    const exact = exactly(operator, a.value, b.value);
    if (exact !== undefined) return integer(exact);
  }
  const [x, y] = [numberOf(a), numberOf(b)];
  if (x !== undefined && y !== undefined) {
    if (operator === 'Add') return number(x + y);
    if (operator === 'Sub') return number(x - y);
    if (operator === 'Mul') return number(x * y);
  }
  if (operator === 'Mul' && (x === 1 || y === 1)) return x === 1 ? b : a;
  if (operator === 'Add' && (x === 0 || y === 0)) return x === 0 ? b : a;
  return { kind: 'arithmetic', operator, of: [a, b] };
}

function exactly(operator: string, a: Polynomial, b: Polynomial): Polynomial | undefined {
  if (operator === 'Add') return plus(a, b);
  if (operator === 'Sub') return minus(a, b);
  if (operator === 'Mul') return times(a, b);
  const [x, y] = [constantOf(a), constantOf(b)];
  if (operator === 'Min' && x !== undefined && y !== undefined) return constant(Math.min(x, y));
  if (operator === 'Max' && x !== undefined && y !== undefined) return constant(Math.max(x, y));
  if (operator !== 'Div' && operator !== 'Mod') return undefined;
  // ONNX divides integers towards zero.
  if (x !== undefined && y !== undefined && y !== 0 && operator === 'Div') return constant(Math.trunc(x / y));
  const parts = divide(a, b);
  if (parts === undefined || parts.remainder.size > 0) return undefined;
  return operator === 'Div' ? parts.quotient : constant(0);
}
