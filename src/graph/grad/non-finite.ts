/** Which tensor of a step was the first that is not finite: asked where a loss or a gradient is not, in a step that is computed again for it. */
import type { NumberType } from '../../attention/index.ts';
import type { Edge } from '../edge.ts';
import type { Value } from '../ir.ts';
import { edgesOf, logSumExpsOf, type Operation } from './training-operation.ts';

export interface NonFinite {
  /** The value's name in the graph, or what it is to attention or to a weight. */
  readonly tensor: string;
  /** Of the value; undefined for what has no rows, such as the gradient of a weight. */
  readonly row?: number;
}

export interface NonFiniteOptions {
  readonly rows: number;
  /** Edges that are stored in 16 bits, and how. */
  readonly halves: ReadonlySet<Edge>;
  readonly precision: NumberType;
  readonly parameters: readonly Value[];
  readonly gradients: readonly Float32Array[];
}

/** Names of values that attention reads or makes: those of the graph are numbers there. */
export function attentionNames(operations: readonly Operation[]): Map<Edge, string> {
  const names = new Map<Edge, string>();
  for (const operation of operations) {
    if (operation.kind === 'dense') continue;
    const { q, k, v, output } = operation.rows;
    const parts = [
      [q, 'queries'],
      [k, 'keys'],
      [v, 'values'],
    ] as const;
    const place = output.value.name;
    for (const [edge, part] of parts) names.set(edge, `the ${part} of ${place}`);
    if (operation.kind === 'attention') continue;
    names.set(operation.gradOutput, `the gradient of ${place}`);
    for (const [i, { into }] of operation.gradients.entries()) {
      names.set(into, `the gradient of the ${parts[i]?.[1]} of ${place}`);
    }
  }
  return names;
}

/** The first that an operation wrote and that has a number that is not finite. */
export function nonFiniteOf(
  operation: Operation,
  names: ReadonlyMap<Edge, string>,
  { rows, halves, precision, parameters, gradients }: NonFiniteOptions,
): NonFinite | undefined {
  // A row that sees no key has a log-sum-exp of -Infinity.
  const skipped = new Set(logSumExpsOf(operation));
  for (const edge of edgesOf(operation).writes) {
    if (skipped.has(edge)) continue;
    const data = edge.byRows ? edge.rows(0, rows) : edge.data.subarray(0, edge.width);
    const place = placeOf(data, halves.has(edge) ? precision : 'f32');
    if (place < 0) continue;
    const name = edge.value.name.replace(/^grad:/, 'the gradient of ');
    return {
      tensor: names.get(edge) ?? name,
      ...(edge.byRows ? { row: Math.floor(place / (edge.width ?? 1)) } : {}),
    };
  }
  if (operation.kind !== 'dense') return undefined;
  for (const target of operation.targets) {
    if (target === undefined || 'edge' in target) continue;
    const own = gradients[target.gradientOf];
    if (own !== undefined && placeOf(own, 'f32') >= 0) {
      return { tensor: `the gradient of weight ${parameters[target.gradientOf]?.name}` };
    }
  }
  return undefined;
}

/** The first number that is not finite, or -1. */
function placeOf(data: unknown, type: NumberType): number {
  if (data instanceof Float32Array) return data.findIndex((value) => !Number.isFinite(value));
  if (!(data instanceof Uint16Array)) return -1;
  const exponent = type === 'bf16' ? 0x7f80 : 0x7c00;
  return data.findIndex((bits) => (bits & exponent) === exponent);
}
