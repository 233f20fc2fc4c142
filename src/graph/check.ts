import { ArgumentError } from '../errors.ts';
import type { GraphBuilder } from './builder.ts';
import type { Dimension, ElementType, Value } from './ir.ts';
import { describeShape } from './tensor-data.ts';

/** "argument b: y [rows, 5]" */
export function describe(argument: string, value: Value): string {
  return `${argument}: ${value.name} ${value.type} ${describeShape(value.shape)}`;
}

/** The error of an operator whose arguments do not fit: names the node, the operator, and the arguments with their shapes. */
export function mismatch(operator: string, name: string | undefined, why: string, args: Record<string, Value>): never {
  const listed = Object.entries(args).map(([argument, value]) => describe(argument, value));
  throw new ArgumentError(`${operator}${name === undefined ? '' : ` ${name}`}: ${why} (${listed.join('; ')})`);
}

/** Dimension `axis`, counted from the end where negative. Throws where the value has no such axis. */
export function axisOf(operator: string, value: Value, axis: number): number {
  const positive = axis < 0 ? axis + value.shape.length : axis;
  if (!Number.isInteger(axis) || positive < 0 || positive >= value.shape.length) {
    mismatch(operator, undefined, `axis ${axis} does not exist`, { x: value });
  }
  return positive;
}

/** The size along an axis, which must be known when the graph is built. */
export function fixedSize(operator: string, value: Value, axis: number): number {
  const size = value.shape[axisOf(operator, value, axis)];
  if (typeof size !== 'number') {
    return mismatch(operator, undefined, `axis ${axis} must have a known size`, { x: value });
  }
  return size;
}

export function wantType(operator: string, argument: string, value: Value, ...types: ElementType[]): void {
  if (!types.includes(value.type)) {
    mismatch(operator, undefined, `expected ${types.join(' or ')}`, { [argument]: value });
  }
}

/** The shape of an element-wise result (ONNX, "Multidirectional Broadcasting"), or undefined where the two do not fit. */
export function broadcast(a: readonly Dimension[], b: readonly Dimension[]): Dimension[] | undefined {
  const result: Dimension[] = [];
  for (let i = Math.max(a.length, b.length); i >= 1; i--) {
    const x = a.at(-i) ?? 1;
    const y = b.at(-i) ?? 1;
    if (a.length >= i && b.length >= i && x !== y && x !== 1 && y !== 1) return undefined;
    result.push(x === 1 ? y : x);
  }
  return result;
}

/** A constant int64 vector, e.g. the axes of a reduction. */
export function integers(graph: GraphBuilder, values: readonly number[]): Value {
  return graph.constant('int64', BigInt64Array.from(values, BigInt));
}
