/** A tensor of the reference interpreter: every type of element as float64, row-major. */
export interface Tensor64 {
  readonly shape: readonly number[];
  readonly data: Float64Array;
}

export function sizeOf(shape: readonly number[]): number {
  return shape.reduce((product, size) => product * size, 1);
}

export function tensor(shape: readonly number[], data?: ArrayLike<number>): Tensor64 {
  return { shape, data: data === undefined ? new Float64Array(sizeOf(shape)) : Float64Array.from(data) };
}

/** Steps between neighbours along each axis; 0 along axes of size 1, which broadcast. */
export function broadcastStrides(shape: readonly number[]): number[] {
  const strides: number[] = [];
  let step = 1;
  for (const size of shape.toReversed()) {
    strides.unshift(size === 1 ? 0 : step);
    step *= size;
  }
  return strides;
}

/** Calls `visit` with every index of a shape, in row-major order. The index is reused. */
export function eachIndex(shape: readonly number[], visit: (index: readonly number[], flat: number) => void): void {
  const index = shape.map(() => 0);
  const count = sizeOf(shape);
  for (let flat = 0; flat < count; flat++) {
    visit(index, flat);
    for (let axis = shape.length - 1; axis >= 0; axis--) {
      index[axis] = (index[axis] as number) + 1;
      if ((index[axis] as number) < (shape[axis] as number)) break;
      index[axis] = 0;
    }
  }
}

/** The place of an index of a larger shape in a tensor that broadcasts to it. */
export function placeOf(strides: readonly number[], index: readonly number[]): number {
  const extra = index.length - strides.length;
  return strides.reduce((sum, stride, axis) => sum + stride * (index[axis + extra] as number), 0);
}

/** f of each element of tensors that broadcast. */
export function map(f: (...elements: number[]) => number, ...tensors: readonly Tensor64[]): Tensor64 {
  const axes = Math.max(...tensors.map(({ shape }) => shape.length));
  const shape = Array.from({ length: axes }, (_, axis) => {
    const sizes = tensors.map((each) => each.shape[axis - axes + each.shape.length] ?? 1);
    return sizes.find((size) => size !== 1) ?? 1;
  });
  const strides = tensors.map((each) => broadcastStrides(each.shape));
  const result = tensor(shape);
  eachIndex(shape, (index, flat) => {
    result.data[flat] = f(...tensors.map((each, i) => each.data[placeOf(strides[i] ?? [], index)] as number));
  });
  return result;
}

/** The places of the lines along an axis: the first element of each, the step between elements, their number. */
export function linesOf(shape: readonly number[], axis: number): { starts: number[]; step: number; count: number } {
  const step = sizeOf(shape.slice(axis + 1));
  const count = shape[axis] as number;
  const starts: number[] = [];
  for (let outer = 0; outer < sizeOf(shape.slice(0, axis)); outer++) {
    for (let inner = 0; inner < step; inner++) starts.push(outer * step * count + inner);
  }
  return { starts, step, count };
}

/** f of each line along an axis; the result has the same shape. */
export function mapLines(x: Tensor64, axis: number, f: (line: number[]) => readonly number[]): Tensor64 {
  const at = axis < 0 ? axis + x.shape.length : axis;
  const result = tensor(x.shape);
  const { starts, step, count } = linesOf(x.shape, at);
  for (const start of starts) {
    const line = f(Array.from({ length: count }, (_, i) => x.data[start + i * step] as number));
    for (const [i, value] of line.entries()) result.data[start + i * step] = value;
  }
  return result;
}

/** f of all elements along some axes. */
export function reduce(
  x: Tensor64,
  axes: readonly number[],
  keepDimensions: boolean,
  f: (elements: readonly number[]) => number,
): Tensor64 {
  const own = axes.map((axis) => (axis < 0 ? axis + x.shape.length : axis));
  const kept = x.shape.map((size, axis) => (own.includes(axis) ? 1 : size));
  const groups = Array.from({ length: sizeOf(kept) }, (): number[] => []);
  const strides = broadcastStrides(kept);
  eachIndex(x.shape, (index, flat) => groups[placeOf(strides, index)]?.push(x.data[flat] as number));
  const shape = keepDimensions ? kept : x.shape.filter((_, axis) => !own.includes(axis));
  return tensor(shape, groups.map(f));
}
