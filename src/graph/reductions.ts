import type { GraphBuilder } from './builder.ts';
import { axisOf, fixedSize, integers, mismatch, wantType } from './check.ts';
import type { Dimension, Value } from './ir.ts';
import { type ReduceOptions, scaleBy } from './operators.ts';

/** Reductions beside reduceSum(), which is in operators.ts. */

function reduce(
  operator: string,
  graph: GraphBuilder,
  x: Value,
  axes: readonly number[],
  keep: boolean,
  name?: string,
) {
  const shape = keep
    ? x.shape.map<Dimension>((d, i) => (axes.includes(i) ? 1 : d))
    : x.shape.filter((_, i) => !axes.includes(i));
  return graph.op1(
    {
      operator,
      inputs: [x, integers(graph, axes)],
      attributes: { keepdims: { type: 'int', value: keep ? 1 : 0 } },
      name,
    },
    x.type,
    shape,
  );
}

/** The mean along one axis. */
export function reduceMean(graph: GraphBuilder, x: Value, options: ReduceOptions = {}): Value {
  wantType('ReduceMean', 'x', x, 'float32');
  const at = axisOf('ReduceMean', x, options.axis ?? -1);
  return reduce('ReduceMean', graph, x, [at], options.keepDimension ?? false, options.name);
}

/** The largest element along one axis. */
export function reduceMax(graph: GraphBuilder, x: Value, options: ReduceOptions = {}): Value {
  const at = axisOf('ReduceMax', x, options.axis ?? -1);
  return reduce('ReduceMax', graph, x, [at], options.keepDimension ?? false, options.name);
}

/** The sum along several axes. */
export function sumOver(graph: GraphBuilder, x: Value, axes: readonly number[], keepDimensions = false): Value {
  wantType('ReduceSum', 'x', x, 'float32');
  if (axes.length === 0) return x;
  return reduce(
    'ReduceSum',
    graph,
    x,
    axes.map((axis) => axisOf('ReduceSum', x, axis)),
    keepDimensions,
  );
}

/** The mean along the last axis, which stays with size 1. */
export function lastMean(graph: GraphBuilder, x: Value): Value {
  return scaleBy(graph, sumOver(graph, x, [-1], true), 1 / fixedSize('ReduceMean', x, -1));
}

/** The sum of x over all that was broadcast to make its shape from `shape`: the transpose of broadcasting. */
export function sumTo(graph: GraphBuilder, x: Value, shape: readonly Dimension[]): Value {
  const extra = x.shape.length - shape.length;
  if (extra < 0) mismatch('sumTo', undefined, `[${shape.join(', ')}] has more axes`, { x });
  const leading = Array.from({ length: extra }, (_, i) => i);
  const summed = sumOver(graph, x, leading);
  const ones = summed.shape.flatMap((d, i) => (shape[i] === 1 && d !== 1 ? [i] : []));
  const result = sumOver(graph, summed, ones, true);
  if (result.shape.join() !== shape.join()) {
    mismatch('sumTo', undefined, `[${shape.join(', ')}] does not broadcast to it`, { x });
  }
  return result;
}
