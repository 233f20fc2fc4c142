/**
 * Polynomials with integer coefficients over named symbols that are never negative: dimensions of tensors, and indices along their
 * axes. The arithmetic of shapes and masks in exported graphs is made of them ("batch * sequence + key").
 */

/** Symbols of a term, ascending, joined by this; no name in a file has it alone between two others. */
const JOIN = '\u0001';

/** Coefficients by the term's symbols; '' is the constant term. No coefficient is 0. */
export type Polynomial = ReadonlyMap<string, number>;

/** Arithmetic that real models have none of: more terms, or larger numbers, than are worth following. Caught by the importer. */
export class TooComplexError extends Error {
  override name = 'TooComplexError';
}

const MOST_TERMS = 256;

export function constant(value: number): Polynomial {
  return value === 0 ? new Map() : new Map([['', value]]);
}

export function symbol(name: string): Polynomial {
  return new Map([[name, 1]]);
}

/** A dimension of a value. */
export function dimension(size: number | string): Polynomial {
  return typeof size === 'number' ? constant(size) : symbol(size);
}

/** The number that it is, where it has no symbol. */
export function constantOf(p: Polynomial): number | undefined {
  if (p.size === 0) return 0;
  return p.size === 1 ? p.get('') : undefined;
}

export function plus(a: Polynomial, b: Polynomial, factor = 1): Polynomial {
  const sum = new Map(a);
  for (const [term, coefficient] of b) {
    const total = (sum.get(term) ?? 0) + factor * coefficient;
    if (total === 0) sum.delete(term);
    else if (Number.isSafeInteger(total)) sum.set(term, total);
    else throw new TooComplexError('a coefficient is too large');
  }
  return sum;
}

export function minus(a: Polynomial, b: Polynomial): Polynomial {
  return plus(a, b, -1);
}

export function times(a: Polynomial, b: Polynomial): Polynomial {
  if (a.size * b.size > MOST_TERMS) throw new TooComplexError('a product has too many terms');
  let product: Polynomial = new Map();
  for (const [s, x] of a) {
    for (const [t, y] of b) product = plus(product, new Map([[multiplied(s, t), x * y]]));
  }
  return product;
}

export function isEqual(a: Polynomial, b: Polynomial): boolean {
  return minus(a, b).size === 0;
}

/** a = quotient * b + remainder, term by term, where b is one term; undefined where it has several. */
export function divide(a: Polynomial, b: Polynomial): { quotient: Polynomial; remainder: Polynomial } | undefined {
  const [first, ...others] = b;
  if (first === undefined || others.length > 0) {
    return isEqual(a, b) && b.size > 0 ? { quotient: constant(1), remainder: constant(0) } : undefined;
  }
  const [divisor, factor] = first;
  const quotient = new Map<string, number>();
  const remainder = new Map<string, number>();
  for (const [term, coefficient] of a) {
    const rest = without(term, divisor);
    if (rest !== undefined && coefficient % factor === 0) quotient.set(rest, coefficient / factor);
    else remainder.set(term, coefficient);
  }
  return { quotient, remainder };
}

/** The same with every symbol that `values` names replaced. */
export function substitute(p: Polynomial, values: ReadonlyMap<string, Polynomial>): Polynomial {
  let result: Polynomial = new Map();
  for (const [term, coefficient] of p) {
    let product = constant(coefficient);
    for (const name of symbolsOf(term)) product = times(product, values.get(name) ?? symbol(name));
    result = plus(result, product);
  }
  return result;
}

/** Whether it is at least 0 whatever its symbols are, so far as the signs of its terms show. */
export function isNeverNegative(p: Polynomial): boolean {
  return [...p.values()].every((coefficient) => coefficient > 0);
}

/** For people, and for names of dimensions: "batch*sequence + 1". */
export function format(p: Polynomial): string {
  if (p.size === 0) return '0';
  return [...p]
    .map(([term, coefficient]) => {
      const names = symbolsOf(term);
      return [...(coefficient === 1 && names.length > 0 ? [] : [String(coefficient)]), ...names].join('*');
    })
    .join(' + ');
}

function symbolsOf(term: string): string[] {
  return term === '' ? [] : term.split(JOIN);
}

function multiplied(a: string, b: string): string {
  return [...symbolsOf(a), ...symbolsOf(b)].sort().join(JOIN);
}

/** The term divided by the divisor, or undefined where it has not all of its symbols. */
function without(term: string, divisor: string): string | undefined {
  const left = symbolsOf(term);
  for (const name of symbolsOf(divisor)) {
    const at = left.indexOf(name);
    if (at === -1) return undefined;
    left.splice(at, 1);
  }
  return left.join(JOIN);
}
