/**
 * Tells what an exported attention mask says. Exporters write it as arithmetic on the positions of queries and keys and on the padding
 * mask, for every pair; as expressions over the indices b, q and k it comes apart into bounds on q - k, which are patterns, and
 * masks of keys.
 */
import type { Pattern } from '../../pattern/pattern.ts';
import { and, type Expression, integer, not, numberOf } from './expression.ts';
import {
  constant,
  constantOf,
  format,
  isEqual,
  minus,
  type Polynomial,
  plus,
  symbol,
  TooComplexError,
} from './polynomial.ts';
import { isOne, Query, type SymbolicTensor } from './symbolic-tensor.ts';

/** Keys that nobody sees, by a value that the graph computes. */
export interface KeyTerm {
  readonly value: string;
  /** The axis of the value that counts the batch, where it has one, and the axis that counts the keys; along the others it has one element. */
  readonly batchAxis: number | undefined;
  readonly keyAxis: number;
  readonly rank: number;
  /** Whether the value is 0 where a key may be seen, not where it may not. */
  readonly isInverted: boolean;
}

export interface MaskTerms {
  readonly patterns: readonly Pattern[];
  readonly keys: readonly KeyTerm[];
}

/** How a mask is applied: pairs are allowed where it is true, or it is added to the scores. */
export type MaskForm = 'truth' | 'additive';

/** Why a mask could not be told apart. */
export class MaskError extends Error {
  override name = 'MaskError';
}

/** A score that no exponential distinguishes from minus infinity. */
const FORBIDDEN = -1e4;

/** Steps that reach past any position. */
const EVER = 2 ** 50;

const [BATCH, HEAD, QUERY, KEY] = ['#b', '#h', '#q', '#k'] as const;

/**
 * The terms of a mask that broadcasts to [B, H, N, M]. `offset` is M - N: a query stands at its row plus that.
 * Throws MaskError where the mask says something else.
 */
export function maskTerms(mask: SymbolicTensor, form: MaskForm, offset: Polynomial, isInverted = false): MaskTerms {
  const { shape } = mask;
  if (shape === undefined) throw new MaskError('the number of axes of its mask is not known');
  if (shape.length > 4) throw new MaskError(`its mask has ${shape.length} axes`);
  const names = [BATCH, HEAD, QUERY, KEY].slice(4 - shape.length);
  const extents = new Map(names.map((name, axis) => [name, shape[axis] ?? constant(1)]));
  const index = names.map((name, axis) => (isOne(shape[axis]) ? constant(0) : symbol(name)));
  const terms: { patterns: Pattern[]; keys: KeyTerm[] } = { patterns: [], keys: [] };
  try {
    const element = mask.at(index, new Query(extents));
    if (form === 'truth') truthTerms(isInverted ? not(element) : element, offset, terms);
    else additiveTerms(element, offset, terms);
  } catch (error) {
    if (error instanceof TooComplexError) throw new MaskError(`its mask is too complex: ${error.message}`);
    throw error;
  }
  return terms;
}

type Terms = { patterns: Pattern[]; keys: KeyTerm[] };

function additiveTerms(x: Expression, offset: Polynomial, terms: Terms): void {
  if (numberOf(x) === 0) return;
  if (x.kind === 'where') {
    const [then, otherwise] = [numberOf(x.then), numberOf(x.else)];
    if (otherwise !== undefined && otherwise <= FORBIDDEN) {
      truthTerms(x.condition, offset, terms);
      additiveTerms(x.then, offset, terms);
      return;
    }
    if (then !== undefined && then <= FORBIDDEN) {
      truthTerms(not(x.condition), offset, terms);
      additiveTerms(x.else, offset, terms);
      return;
    }
  }
  if (x.kind === 'arithmetic' && x.operator === 'Add') {
    for (const part of x.of) additiveTerms(part, offset, terms);
    return;
  }
  const element = onlyElement(x);
  if (element === undefined) throw new MaskError(`${describe(x)} is added to its scores`);
  const [atZero, atOne] = [evaluate(x, 0), evaluate(x, 1)];
  if (atOne === 0 && atZero !== undefined && atZero <= FORBIDDEN) terms.keys.push(keyTerm(element, false));
  else if (atZero === 0 && atOne !== undefined && atOne <= FORBIDDEN) terms.keys.push(keyTerm(element, true));
  else throw new MaskError(`${describe(x)} is added to its scores`);
}

function truthTerms(x: Expression, offset: Polynomial, terms: Terms): void {
  if (x.kind === 'truth') {
    if (!x.value) throw new MaskError('its mask allows no pair');
    return;
  }
  if (x.kind === 'and') {
    for (const part of x.of) truthTerms(part, offset, terms);
    return;
  }
  if (x.kind === 'not' && x.of.kind === 'or') {
    const [a, b] = x.of.of;
    truthTerms(and(not(a), not(b)), offset, terms);
    return;
  }
  const bound = boundOf(x);
  if (bound !== undefined) {
    terms.patterns.push(distancePattern(bound, offset));
    return;
  }
  const element = onlyElement(x);
  if (element === undefined) throw new MaskError(`its mask is ${describe(x)}`);
  const [atZero, atOne] = [evaluate(x, 0), evaluate(x, 1)];
  if (atZero === 0 && atOne === 1) terms.keys.push(keyTerm(element, false));
  else if (atZero === 1 && atOne === 0) terms.keys.push(keyTerm(element, true));
  else throw new MaskError(`its mask is ${describe(x)}`);
}

/** p where the expression says p >= 0. */
function boundOf(x: Expression): Polynomial | undefined {
  if (x.kind === 'not') {
    const inner = boundOf(x.of);
    return inner === undefined ? undefined : minus(constant(-1), inner);
  }
  if (x.kind !== 'compare' || x.relation === '==' || x.left.kind !== 'integer' || x.right.kind !== 'integer')
    return undefined;
  const difference = minus(x.right.value, x.left.value);
  return x.relation === '<=' ? difference : plus(difference, constant(-1));
}

/** The pairs with p >= 0, where p is a distance of query and key and a number. */
function distancePattern(p: Polynomial, offset: Polynomial): Pattern {
  const distance = minus(symbol(QUERY), symbol(KEY));
  const future = constantOf(minus(minus(p, distance), offset));
  if (future === 0) return { kind: 'causal' };
  if (future !== undefined && future > 0) return { kind: 'window', left: EVER, right: future };
  const past = constantOf(plus(plus(p, distance), offset));
  if (past !== undefined && past >= 0) return { kind: 'window', left: past, right: EVER };
  throw new MaskError(`its mask allows pairs with ${format(p)} >= 0`);
}

type Element = Extract<Expression, { kind: 'element' }>;

/** The one element that an expression is computed from; undefined where there are several, or indices beside it. */
function onlyElement(x: Expression): Element | undefined {
  const found: Element[] = [];
  const isPlain = collect(x, found);
  const [first] = found;
  if (!isPlain || first === undefined) return undefined;
  const isSame = (other: Element): boolean =>
    other.of === first.of && other.at.every((place, i) => isEqual(place, first.at[i] ?? constant(-1)));
  return found.every(isSame) ? first : undefined;
}

/** Adds all elements of an expression; false where it has anything else that varies. */
function collect(x: Expression, found: Element[]): boolean {
  switch (x.kind) {
    case 'element':
      found.push(x);
      return true;
    case 'integer':
      return constantOf(x.value) !== undefined;
    case 'number':
    case 'truth':
      return true;
    case 'compare':
      return collect(x.left, found) && collect(x.right, found);
    case 'not':
      return collect(x.of, found);
    case 'where':
      return collect(x.condition, found) && collect(x.then, found) && collect(x.else, found);
    case 'and':
    case 'or':
    case 'arithmetic':
      return x.of.every((part) => collect(part, found));
    case 'unknown':
      return false;
  }
}

/** The expression's number where its element has this value. */
function evaluate(x: Expression, element: number): number | undefined {
  const of = (part: Expression): number => evaluate(part, element) ?? Number.NaN;
  const result = ((): number => {
    switch (x.kind) {
      case 'element':
        return element;
      case 'integer':
      case 'number':
      case 'truth':
        return numberOf(x) ?? Number.NaN;
      case 'compare':
        return Number(
          x.relation === '<='
            ? of(x.left) <= of(x.right)
            : x.relation === '<'
              ? of(x.left) < of(x.right)
              : of(x.left) === of(x.right),
        );
      case 'and':
        return of(x.of[0]) * of(x.of[1]);
      case 'or':
        return Math.max(of(x.of[0]), of(x.of[1]));
      case 'not':
        return 1 - of(x.of);
      case 'where':
        return of(x.condition) === 0 ? of(x.else) : of(x.then);
      case 'arithmetic': {
        const [a, b = integer(0)] = x.of;
        if (a === undefined) return Number.NaN;
        if (x.operator === 'Add') return of(a) + of(b);
        if (x.operator === 'Sub') return of(a) - of(b);
        if (x.operator === 'Mul') return of(a) * of(b);
        return x.operator === 'Div' ? of(a) / of(b) : Number.NaN;
      }
      case 'unknown':
        return Number.NaN;
    }
  })();
  return Number.isNaN(result) ? undefined : result;
}

function keyTerm({ of: value, at }: Element, isInverted: boolean): KeyTerm {
  const axisOf = (name: string): number | undefined => {
    const axis = at.findIndex((place) => isEqual(place, symbol(name)));
    return axis === -1 ? undefined : axis;
  };
  const keyAxis = axisOf(KEY);
  const batchAxis = axisOf(BATCH);
  const isPlain = at.every((place, axis) => axis === keyAxis || axis === batchAxis || constantOf(place) === 0);
  if (keyAxis === undefined || !isPlain || (batchAxis !== undefined && batchAxis > keyAxis)) {
    throw new MaskError(`its mask is read from ${value}[${at.map(format).join(', ')}], which is no mask of keys`);
  }
  return { value, batchAxis, keyAxis, rank: at.length, isInverted };
}

function describe(x: Expression): string {
  if (x.kind === 'unknown') return x.why;
  if (x.kind === 'element') return `${x.of}[${x.at.map(format).join(', ')}]`;
  return x.kind === 'integer'
    ? format(x.value)
    : `an expression (${x.kind === 'arithmetic' ? x.operator : x.kind}) that is neither a distance of positions nor a mask of keys`;
}
