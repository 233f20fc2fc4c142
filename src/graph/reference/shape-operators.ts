/** Operators that move, pick and repeat elements. */
import { listOf, need, numberOf, type ReferenceOperator } from './operator.ts';
import { broadcastStrides, eachIndex, map, placeOf, sizeOf, type Tensor64, tensor } from './tensor.ts';

function positive(axis: number, x: Tensor64): number {
  return axis < 0 ? axis + x.shape.length : axis;
}

/** Elements of x, where the place of each is made from the place in the result. */
function picked(
  x: Tensor64,
  shape: readonly number[],
  from: (index: readonly number[]) => readonly number[],
): Tensor64 {
  const strides = broadcastStrides(x.shape);
  const result = tensor(shape);
  eachIndex(shape, (index, flat) => {
    result.data[flat] = x.data[placeOf(strides, from(index))] as number;
  });
  return result;
}

const reshaped: ReferenceOperator = (inputs) => {
  const x = need(inputs, 0);
  const wanted = Array.from(need(inputs, 1).data).map((size, i) => (size === 0 ? (x.shape[i] as number) : size));
  const known = wanted.filter((size) => size !== -1);
  const shape = wanted.map((size) => (size === -1 ? sizeOf(x.shape) / sizeOf(known) : size));
  return [{ shape, data: x.data }];
};

const transpose: ReferenceOperator = (inputs, node) => {
  const x = need(inputs, 0);
  const order = listOf(node, 'perm') ?? x.shape.map((_, i) => x.shape.length - 1 - i);
  const shape = order.map((axis) => x.shape[axis] as number);
  return [picked(x, shape, (index) => x.shape.map((_, axis) => index[order.indexOf(axis)] as number))];
};

const concat: ReferenceOperator = (inputs, node) => {
  const first = need(inputs, 0);
  const axis = positive(numberOf(node, 'axis', 0), first);
  const sizes = inputs.map((_, i) => need(inputs, i).shape[axis] as number);
  const shape = first.shape.map((size, i) => (i === axis ? sizes.reduce((a, b) => a + b, 0) : size));
  const result = tensor(shape);
  eachIndex(shape, (index, flat) => {
    let at = index[axis] as number;
    let part = 0;
    while (at >= (sizes[part] as number)) at -= sizes[part++] as number;
    const x = need(inputs, part);
    const place = index.map((value, i) => (i === axis ? at : value));
    result.data[flat] = x.data[placeOf(broadcastStrides(x.shape), place)] as number;
  });
  return [result];
};

const split: ReferenceOperator = (inputs, node) => {
  const x = need(inputs, 0);
  const axis = positive(numberOf(node, 'axis', 0), x);
  let start = 0;
  return Array.from(need(inputs, 1).data, (size) => {
    const from = start;
    start += size;
    const shape = x.shape.map((own, i) => (i === axis ? size : own));
    return picked(x, shape, (index) => index.map((value, i) => (i === axis ? value + from : value)));
  });
};

const slice: ReferenceOperator = (inputs) => {
  const x = need(inputs, 0);
  const starts = [...need(inputs, 1).data];
  const ends = [...need(inputs, 2).data];
  const axes = inputs[3] === undefined ? starts.map((_, i) => i) : [...inputs[3].data].map((axis) => positive(axis, x));
  const bound = (value: number, size: number) => Math.min(size, value < 0 ? Math.max(0, value + size) : value);
  const from = x.shape.map(() => 0);
  const shape = [...x.shape];
  for (const [i, axis] of axes.entries()) {
    const size = x.shape[axis] as number;
    from[axis] = bound(starts[i] as number, size);
    shape[axis] = bound(ends[i] as number, size) - (from[axis] as number);
  }
  return [picked(x, shape, (index) => index.map((value, i) => value + (from[i] as number)))];
};

/** Zeros before and after. */
const pad: ReferenceOperator = (inputs) => {
  const x = need(inputs, 0);
  const pads = need(inputs, 1).data;
  const axes = x.shape.length;
  const shape = x.shape.map((size, i) => size + (pads[i] as number) + (pads[i + axes] as number));
  const result = tensor(shape);
  const strides = broadcastStrides(shape);
  eachIndex(x.shape, (index, flat) => {
    const place = index.map((value, i) => value + (pads[i] as number));
    result.data[placeOf(strides, place)] = x.data[flat] as number;
  });
  return [result];
};

const expand: ReferenceOperator = (inputs) => {
  const sizes = Array.from(need(inputs, 1).data);
  return [map((x) => x, need(inputs, 0), tensor(sizes))];
};

const gather: ReferenceOperator = (inputs, node) => {
  const [x, indices] = [need(inputs, 0), need(inputs, 1)];
  const axis = positive(numberOf(node, 'axis', 0), x);
  const shape = [...x.shape.slice(0, axis), ...indices.shape, ...x.shape.slice(axis + 1)];
  const strides = broadcastStrides(indices.shape);
  const width = indices.shape.length;
  return [
    picked(x, shape, (index) => [
      ...index.slice(0, axis),
      indices.data[placeOf(strides, index.slice(axis, axis + width))] as number,
      ...index.slice(axis + width),
    ]),
  ];
};

const gatherElements: ReferenceOperator = (inputs, node) => {
  const [x, indices] = [need(inputs, 0), need(inputs, 1)];
  const axis = positive(numberOf(node, 'axis', 0), x);
  const strides = broadcastStrides(indices.shape);
  return [
    picked(x, indices.shape, (index) =>
      index.map((value, i) => (i === axis ? (indices.data[placeOf(strides, index)] as number) : value)),
    ),
  ];
};

/** With reduction "add". */
const scatterElements: ReferenceOperator = (inputs, node) => {
  const [x, indices, updates] = [need(inputs, 0), need(inputs, 1), need(inputs, 2)];
  const axis = positive(numberOf(node, 'axis', 0), x);
  const result = tensor(x.shape, x.data);
  const strides = broadcastStrides(x.shape);
  eachIndex(indices.shape, (index, flat) => {
    const place = placeOf(
      strides,
      index.map((value, i) => (i === axis ? (indices.data[flat] as number) : value)),
    );
    result.data[place] = (result.data[place] as number) + (updates.data[flat] as number);
  });
  return [result];
};

/** Squeeze and Unsqueeze by their axes. */
function axesChanged(change: (shape: readonly number[], axes: readonly number[]) => number[]): ReferenceOperator {
  return (inputs) => {
    const x = need(inputs, 0);
    return [{ shape: change(x.shape, [...need(inputs, 1).data]), data: x.data }];
  };
}

const flatten: ReferenceOperator = (inputs, node) => {
  const x = need(inputs, 0);
  const axis = numberOf(node, 'axis', 1);
  return [{ shape: [sizeOf(x.shape.slice(0, axis)), sizeOf(x.shape.slice(axis))], data: x.data }];
};

export const shapeOperators: Readonly<Record<string, ReferenceOperator>> = {
  Reshape: reshaped,
  Squeeze: axesChanged((shape, axes) => shape.filter((_, i) => !axes.includes(i))),
  Unsqueeze: axesChanged((shape, axes) => {
    const rest = [...shape];
    return Array.from({ length: shape.length + axes.length }, (_, i) => (axes.includes(i) ? 1 : (rest.shift() ?? 1)));
  }),
  Flatten: flatten,
  Transpose: transpose,
  Concat: concat,
  Split: split,
  Slice: slice,
  Pad: pad,
  Expand: expand,
  Gather: gather,
  GatherElements: gatherElements,
  ScatterElements: scatterElements,
  Shape: (inputs) => [tensor([need(inputs, 0).shape.length], need(inputs, 0).shape)],
};
