import type { ConstantTensor, ElementType } from '../ir.ts';
import { type Expression, type Extents, isBelow, number, truth, unknown } from './expression.ts';
import { constant, constantOf, divide, isEqual, type Polynomial, plus, TooComplexError, times } from './polynomial.ts';

/** A question about elements: how far the indices in it go, and how many more steps it may take. */
export class Query {
  readonly extents: Extents;
  #steps = 20_000;

  constructor(extents: Extents = new Map()) {
    this.extents = extents;
  }

  step(): void {
    if (this.#steps-- === 0) throw new TooComplexError('too many steps');
  }
}

/** What is known of a value before the graph runs. */
export interface SymbolicTensor {
  readonly type: ElementType | undefined;
  /** undefined where not even the number of axes is known. */
  readonly shape: readonly Polynomial[] | undefined;
  /** The element at one index per axis. */
  readonly at: (index: readonly Polynomial[], query: Query) => Expression;
}

/** A value that only running the graph gives. */
export function opaque(
  name: string,
  type: ElementType | undefined,
  shape: readonly Polynomial[] | undefined,
): SymbolicTensor {
  return { type, shape, at: (index) => ({ kind: 'element', of: name, at: index }) };
}

export function constantTensor(name: string, { type, shape, data }: ConstantTensor): SymbolicTensor {
  return {
    type,
    shape: shape.map(constant),
    at(index) {
      let offset = 0;
      for (const [axis, each] of index.entries()) {
        const place = constantOf(each);
        if (place === undefined && shape[axis] !== 1) return { kind: 'element', of: name, at: index };
        offset = offset * (shape[axis] ?? 1) + (shape[axis] === 1 ? 0 : (place ?? 0));
      }
      const value = data[offset];
      if (value === undefined) return unknown(`an index of ${name} is out of range`);
      if (type === 'bool') return truth(value !== 0);
      if (type === 'float16' || type === 'bfloat16') return { kind: 'element', of: name, at: index };
      return number(Number(value));
    },
  };
}

/** A one-dimensional tensor of known elements, e.g. a shape. */
export function listTensor(type: ElementType, values: readonly Expression[]): SymbolicTensor {
  return {
    type,
    shape: [constant(values.length)],
    at([index]) {
      const place = index === undefined ? undefined : constantOf(index);
      return (place === undefined ? undefined : values[place]) ?? unknown('an index of a list is not known');
    },
  };
}

/** The elements of a tensor of at most one axis and a known, small number of them; undefined where there is no such. */
export function elementsOf(tensor: SymbolicTensor | undefined): Expression[] | undefined {
  const { shape } = tensor ?? {};
  if (tensor === undefined || shape === undefined || shape.length > 1) return undefined;
  const count = shape[0] === undefined ? 1 : constantOf(shape[0]);
  if (count === undefined || count > 64) return undefined;
  const query = new Query();
  return Array.from({ length: count }, (_, i) => tensor.at(shape.length === 0 ? [] : [constant(i)], query));
}

/** The elements as integers, each undefined where it is not one that is known. */
export function integersOf(tensor: SymbolicTensor | undefined): (Polynomial | undefined)[] | undefined {
  return elementsOf(tensor)?.map((each) => (each.kind === 'integer' ? each.value : undefined));
}

/** The elements as plain numbers, where all are. */
export function numbersOf(tensor: SymbolicTensor | undefined): number[] | undefined {
  const numbers = integersOf(tensor)?.map((each) => (each === undefined ? undefined : constantOf(each)));
  return numbers?.every((each) => each !== undefined) ? numbers : undefined;
}

/** Whether a dimension is the number 1, along which a tensor is repeated. */
export function isOne(side: Polynomial | undefined): boolean {
  return side !== undefined && constantOf(side) === 1;
}

/** The shape of an element-wise result. Two symbols that differ are taken for equal: ONNX Runtime checks it when it runs. */
export function broadcastShapes(
  a: readonly Polynomial[] | undefined,
  b: readonly Polynomial[] | undefined,
): Polynomial[] | undefined {
  if (a === undefined || b === undefined) return undefined;
  return Array.from({ length: Math.max(a.length, b.length) }, (_, i) => {
    const x = a[a.length - Math.max(a.length, b.length) + i] ?? constant(1);
    const y = b[b.length - Math.max(a.length, b.length) + i] ?? constant(1);
    if (isOne(x)) return y;
    return constantOf(x) === undefined && constantOf(y) !== undefined && !isOne(y) ? y : x;
  });
}

/** The indices into an operand of the indices into a broadcast result. */
export function broadcastIndex(shape: readonly Polynomial[], index: readonly Polynomial[]): Polynomial[] {
  const skipped = index.length - shape.length;
  return shape.map((side, axis) => (isOne(side) ? constant(0) : (index[skipped + axis] ?? constant(0))));
}

/** The place of an element in row-major order. */
export function ravel(shape: readonly Polynomial[], index: readonly Polynomial[]): Polynomial {
  return shape.reduce((place, side, axis) => plus(times(place, side), index[axis] ?? constant(0)), constant(0));
}

/** The indices of a place in row-major order; undefined where the terms do not show them. */
export function unravel(shape: readonly Polynomial[], place: Polynomial, extents: Extents): Polynomial[] | undefined {
  const index: Polynomial[] = [];
  let rest = place;
  for (const [axis, side] of [...shape.entries()].reverse()) {
    if (axis === 0) {
      index.unshift(rest);
      break;
    }
    if (isOne(side)) {
      index.unshift(constant(0));
      continue;
    }
    if (isBelow(rest, side, extents)) {
      index.unshift(rest);
      rest = constant(0);
      continue;
    }
    const parts = divide(rest, side);
    if (parts === undefined || !isBelow(parts.remainder, side, extents)) return undefined;
    index.unshift(parts.remainder);
    rest = parts.quotient;
  }
  return index;
}

/** The number of elements. */
export function countOf(shape: readonly Polynomial[]): Polynomial {
  return shape.reduce((product, side) => times(product, side), constant(1));
}

/** Whether two shapes are known to be the same. */
export function isSameShape(a: readonly Polynomial[], b: readonly Polynomial[]): boolean {
  return a.length === b.length && a.every((side, i) => isEqual(side, b[i] ?? constant(-1)));
}
