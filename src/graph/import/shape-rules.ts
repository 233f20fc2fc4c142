/** Operators whose results are computed at run time: only their types and shapes are followed (ONNX, "Operators"). */
import type { ElementType } from '../ir.ts';
import { constant, constantOf, divide, type Polynomial, plus } from './polynomial.ts';
import type { NodeView, Rule } from './rule.ts';
import { broadcastShapes, isOne, numbersOf, opaque, type SymbolicTensor } from './symbolic-tensor.ts';

type Shape = readonly Polynomial[] | undefined;

/** The view's outputs with these shapes, in the type of the first input where none is given. */
function results(view: NodeView, shapes: readonly Shape[], type?: ElementType): SymbolicTensor[] {
  return shapes.map((shape, i) => opaque(view.node.outputs[i] ?? '', type ?? view.inputs[0]?.type, shape));
}

/** Operators whose first output has the shape of their first input. */
const SAME_SHAPE =
  'BatchNormalization Celu CumSum Hardmax InstanceNormalization LayerNormalization GroupNormalization LogSoftmax LpNormalization MeanVarianceNormalization RMSNormalization ScatterElements ScatterND SimplifiedLayerNormalization Softmax SkipLayerNormalization SkipSimplifiedLayerNormalization FastGelu BiasGelu QuickGelu RotaryEmbedding'.split(
    ' ',
  );

const sameShape: Rule = (view) => {
  const shape = view.inputs[0]?.shape;
  // The sum is the last output of the skip normalizations; mean and deviation are not followed.
  return view.node.outputs.map((name, i) =>
    opaque(
      name,
      view.inputs[0]?.type,
      i === 0 || (i === 3 && view.node.operator.startsWith('Skip')) ? shape : undefined,
    ),
  );
};

function matmul(view: NodeView): SymbolicTensor[] {
  const [a, b] = view.inputs.map((input) => input?.shape);
  if (a === undefined || b === undefined || a.length === 0 || b.length === 0) return results(view, [undefined]);
  const batch = broadcastShapes(a.slice(0, -2), b.slice(0, -2)) ?? [];
  const rows = a.length > 1 ? a.slice(-2, -1) : [];
  const columns = b.length > 1 ? b.slice(-1) : [];
  return results(view, [[...batch, ...rows, ...columns]]);
}

function gemm(view: NodeView): SymbolicTensor[] {
  const [a, b] = view.inputs.map((input) => input?.shape);
  const row = a?.[view.int('transA', 0) === 1 ? 1 : 0];
  const column = b?.[view.int('transB', 0) === 1 ? 0 : 1];
  return results(view, [row === undefined || column === undefined ? undefined : [row, column]]);
}

/** com.microsoft.MatMulNBits: [..., K] times the transpose of a packed [N, K]. */
function matmulNBits(view: NodeView): SymbolicTensor[] {
  const shape = view.inputs[0]?.shape;
  return results(view, [shape === undefined ? undefined : [...shape.slice(0, -1), constant(view.int('N', 0))]]);
}

function reduce(view: NodeView): SymbolicTensor[] {
  const shape = view.inputs[0]?.shape;
  const axes = view.node.inputs[1]
    ? numbersOf(view.inputs[1])
    : (view.attribute('axes', 'ints') ?? (view.int('noop_with_empty_axes', 0) === 1 ? [] : shape?.map((_, i) => i)));
  const type = view.node.operator.startsWith('Arg') ? 'int64' : undefined;
  if (shape === undefined || axes === undefined) return results(view, [undefined], type);
  const reduced = new Set(axes.map((axis) => (axis < 0 ? axis + shape.length : axis)));
  const keeps = view.int('keepdims', 1) === 1;
  const sides = shape.flatMap((side, axis) => (reduced.has(axis) ? (keeps ? [constant(1)] : []) : [side]));
  return results(view, [sides], type);
}

function argReduce(view: NodeView): SymbolicTensor[] {
  const shape = view.inputs[0]?.shape;
  if (shape === undefined) return results(view, [undefined], 'int64');
  const axis = view.int('axis', 0);
  const at = axis < 0 ? axis + shape.length : axis;
  const keeps = view.int('keepdims', 1) === 1;
  return results(view, [shape.flatMap((side, i) => (i === at ? (keeps ? [constant(1)] : []) : [side]))], 'int64');
}

function split(view: NodeView): SymbolicTensor[] {
  const shape = view.inputs[0]?.shape;
  const parts = view.node.outputs.length;
  if (shape === undefined) return results(view, Array<Shape>(parts).fill(undefined));
  const axis = view.int('axis', 0) < 0 ? view.int('axis', 0) + shape.length : view.int('axis', 0);
  const sizes = view.node.inputs[1] ? numbersOf(view.inputs[1]) : view.attribute('split', 'ints');
  const even = divide(shape[axis] ?? constant(0), constant(parts));
  return results(
    view,
    view.node.outputs.map((_, i) => {
      const size = sizes?.[i];
      const side = size !== undefined ? constant(size) : even?.remainder.size === 0 ? even.quotient : undefined;
      return side === undefined ? undefined : shape.map((each, j) => (j === axis ? side : each));
    }),
  );
}

/** The indices' shape in the data's type. */
const gatherElements: Rule = (view) => results(view, [view.inputs[1]?.shape]);

/** Attention (opset 23): [B, N, H*E] for queries [B, N, H*D], [B, H, N, E] for four axes. */
function attention(view: NodeView): SymbolicTensor[] {
  const [q, , v] = view.inputs.map((input) => input?.shape);
  if (q === undefined || v === undefined) return results(view, [undefined]);
  if (q.length === 4) return results(view, [[...q.slice(0, 3), v[3] ?? constant(0)]]);
  const [batch, rows] = q;
  const width = constantOf(v.at(-1) ?? new Map());
  const heads = view.int('q_num_heads', 0);
  const keyValueHeads = view.int('kv_num_heads', heads);
  if (batch === undefined || rows === undefined || width === undefined) return results(view, [undefined]);
  return results(view, [[batch, rows, constant((width / keyValueHeads) * heads)]]);
}

/** com.microsoft's MultiHeadAttention and GroupQueryAttention: [B, N, H*D] like the queries, where those are not packed. */
function multiHeadAttention(view: NodeView): SymbolicTensor[] {
  const [q, k, v] = view.inputs.map((input) => input?.shape);
  if (q?.length !== 3 || k === undefined) return results(view, [undefined]);
  const isWider = view.node.operator === 'MultiHeadAttention' && v?.length === 3;
  return results(view, [isWider ? [...q.slice(0, 2), v[2] ?? constant(0)] : q]);
}

/** com.microsoft.Attention: the width of the values, a third of the weight's columns where nothing else is said. */
function packedAttention(view: NodeView): SymbolicTensor[] {
  const [x, weight] = view.inputs.map((input) => input?.shape);
  const columns = constantOf(weight?.[1] ?? new Map());
  const sizes = view.attribute('qkv_hidden_sizes', 'ints');
  const width = sizes?.[2] ?? (columns === undefined ? undefined : columns / 3);
  return results(view, [x === undefined || width === undefined ? undefined : [...x.slice(0, 2), constant(width)]]);
}

function tile(view: NodeView): SymbolicTensor[] {
  const shape = view.inputs[0]?.shape;
  const repeats = numbersOf(view.inputs[1]);
  if (shape === undefined || repeats === undefined) return results(view, [undefined]);
  return results(view, [
    shape.map((side, axis) => (isOne(side) ? constant(repeats[axis] ?? 1) : scaled(side, repeats[axis] ?? 1))),
  ]);
}

function scaled(side: Polynomial, by: number): Polynomial {
  return plus(new Map(), side, by);
}

/** Types of results that are not those of the first input. */
const RESULT_TYPES: Readonly<Record<string, ElementType>> = {
  Size: 'int64',
  NonZero: 'int64',
  ArgMax: 'int64',
  ArgMin: 'int64',
  Shape: 'int64',
  Xor: 'bool',
  RandomNormal: 'float32',
  RandomUniform: 'float32',
  DequantizeLinear: 'float32',
  DynamicQuantizeLinear: 'uint8',
  MatMulInteger: 'int32',
  ConvInteger: 'int32',
};

/** Operators whose result has the type of a later input, by its place. */
const TYPE_OF_INPUT: Readonly<Record<string, number>> = {
  OneHot: 2,
  CastLike: 1,
  QuantizeLinear: 2,
  DequantizeLinear: 1,
};

/** Whatever else there is: the type of its first input, unless ONNX says otherwise, and no shape. */
export const anyOperator: Rule = (view) => {
  const { operator, outputs } = view.node;
  const place = TYPE_OF_INPUT[operator];
  const type = (place === undefined ? undefined : view.inputs[place]?.type) ?? RESULT_TYPES[operator];
  return outputs.map((name) => opaque(name, type ?? view.inputs[0]?.type, undefined));
};

const REDUCTIONS: Readonly<Record<string, Rule>> = Object.fromEntries(
  'ReduceL1 ReduceL2 ReduceLogSum ReduceLogSumExp ReduceMax ReduceMean ReduceMin ReduceProd ReduceSum ReduceSumSquare'
    .split(' ')
    .map((operator) => [operator, reduce]),
);

export const SHAPES: Readonly<Record<string, Rule>> = {
  ...Object.fromEntries(SAME_SHAPE.map((operator) => [operator, sameShape])),
  ...REDUCTIONS,
  MatMul: matmul,
  Gemm: gemm,
  MatMulNBits: matmulNBits,
  ArgMax: argReduce,
  ArgMin: argReduce,
  Split: split,
  GatherElements: gatherElements,
  Attention: (view) => (view.node.domain === '' ? attention(view) : packedAttention(view)),
  MultiHeadAttention: multiHeadAttention,
  GroupQueryAttention: multiHeadAttention,
  Tile: tile,
};
