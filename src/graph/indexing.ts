import type { GraphBuilder } from './builder.ts';
import { axisOf, broadcast, integers, mismatch, wantType } from './check.ts';
import type { Dimension, Value } from './ir.ts';

/** Standard operators that pick, place and repeat elements, beside those of operators.ts. */

/** The shape of x at run time, int64 [axes of x]. */
export function shapeOf(graph: GraphBuilder, x: Value, name?: string): Value {
  return graph.op1({ operator: 'Shape', inputs: [x], name }, 'int64', [x.shape.length]);
}

/** x repeated to the shape of `like`, to which it must broadcast. */
export function expandLike(graph: GraphBuilder, x: Value, like: Value, name?: string): Value {
  const shape = broadcast(x.shape, like.shape);
  if (shape?.join() !== like.shape.join()) mismatch('Expand', name, 'x does not broadcast to like', { x, like });
  const target = sizesOf(graph, like);
  return graph.op1({ operator: 'Expand', inputs: [x, target], name }, x.type, like.shape);
}

/** Zeros in the shape of a value. */
export function zerosLike(graph: GraphBuilder, like: Value): Value {
  return expandLike(graph, graph.constant('float32', Float32Array.of(0), []), like);
}

/** Zeros of a known shape. */
export function zeros(graph: GraphBuilder, shape: readonly number[]): Value {
  const inputs = [graph.constant('float32', Float32Array.of(0), []), integers(graph, shape)];
  return graph.op1({ operator: 'Expand', inputs }, 'float32', shape);
}

function sizesOf(graph: GraphBuilder, like: Value): Value {
  const known = like.shape.filter((d) => typeof d === 'number');
  return known.length === like.shape.length ? integers(graph, known) : shapeOf(graph, like);
}

/** result[..., i, ...] = x[..., indices[..., i, ...], ...] along an axis; the result has the shape of indices. */
export function gatherElements(graph: GraphBuilder, x: Value, indices: Value, axis: number, name?: string): Value {
  wantType('GatherElements', 'indices', indices, 'int64', 'int32');
  const at = axisOf('GatherElements', x, axis);
  if (indices.shape.length !== x.shape.length) {
    mismatch('GatherElements', name, 'x and indices must have as many axes', { x, indices });
  }
  const attributes = { axis: { type: 'int', value: at } } as const;
  return graph.op1({ operator: 'GatherElements', inputs: [x, indices], attributes, name }, x.type, indices.shape);
}

/** x with updates[..., i, ...] added at [..., indices[..., i, ...], ...] along an axis: the transpose of gatherElements(). */
export function scatterAdd(
  graph: GraphBuilder,
  x: Value,
  indices: Value,
  updates: Value,
  axis: number,
  name?: string,
): Value {
  wantType('ScatterElements', 'indices', indices, 'int64', 'int32');
  if (indices.shape.join() !== updates.shape.join() || indices.shape.length !== x.shape.length) {
    mismatch('ScatterElements', name, 'indices and updates must have one shape, with the axes of x', {
      x,
      indices,
      updates,
    });
  }
  const attributes = {
    axis: { type: 'int', value: axisOf('ScatterElements', x, axis) },
    reduction: { type: 'string', value: 'add' },
  } as const;
  return graph.op1({ operator: 'ScatterElements', inputs: [x, indices, updates], attributes, name }, x.type, x.shape);
}

/** x with `before` and `after` zeros along an axis. */
export function padZeros(graph: GraphBuilder, x: Value, axis: number, before: number, after: number): Value {
  const at = axisOf('Pad', x, axis);
  const size = x.shape[at];
  if (typeof size !== 'number') return mismatch('Pad', undefined, `axis ${at} must have a known size`, { x });
  const axes = x.shape.length;
  const pads = Array.from({ length: 2 * axes }, (_, i) => (i === at ? before : i === at + axes ? after : 0));
  const shape = x.shape.map<Dimension>((d, i) => (i === at ? size + before + after : d));
  return graph.op1({ operator: 'Pad', inputs: [x, integers(graph, pads)] }, x.type, shape);
}
