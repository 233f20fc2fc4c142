/** Reductions, softmax and norms. */
import type { Node } from '../ir.ts';
import { listOf, need, numberOf, type ReferenceOperator } from './operator.ts';
import { map, mapLines, reduce, type Tensor64 } from './tensor.ts';

function reduction(f: (elements: readonly number[]) => number): ReferenceOperator {
  return (inputs, node) => {
    const x = need(inputs, 0);
    const axes = inputs[1] === undefined ? (listOf(node, 'axes') ?? x.shape.map((_, i) => i)) : [...inputs[1].data];
    return [reduce(x, axes, numberOf(node, 'keepdims', 1) === 1, f)];
  };
}

function sum(elements: readonly number[]): number {
  return elements.reduce((total, x) => total + x, 0);
}

function mean(elements: readonly number[]): number {
  return sum(elements) / elements.length;
}

function softmaxOf(line: readonly number[]): number[] {
  const largest = Math.max(...line);
  const shares = line.map((x) => Math.exp(x - largest));
  return shares.map((share) => share / sum(shares));
}

function logSoftmaxOf(line: readonly number[]): number[] {
  const largest = Math.max(...line);
  const total = largest + Math.log(sum(line.map((x) => Math.exp(x - largest))));
  return line.map((x) => x - total);
}

/** The normalized lines and one over their deviations. */
function normalize(
  x: Tensor64,
  isCentered: boolean,
  epsilon: number,
): { unit: Tensor64; center: Tensor64; inverse: Tensor64 } {
  const center = reduce(x, [-1], true, isCentered ? mean : () => 0);
  const moved = map((a, b) => a - b, x, center);
  const inverse = reduce(moved, [-1], true, (line) => 1 / Math.sqrt(mean(line.map((a) => a * a)) + epsilon));
  return { unit: map((a, b) => a * b, moved, inverse), center, inverse };
}

function affine(unit: Tensor64, weight: Tensor64 | undefined, bias: Tensor64 | undefined): Tensor64 {
  const scaled = weight === undefined ? unit : map((a, b) => a * b, unit, weight);
  return bias === undefined ? scaled : map((a, b) => a + b, scaled, bias);
}

/** Outputs of LayerNormalization: y, mean, 1 / deviation. */
const layerNormalization: ReferenceOperator = (inputs, node) => {
  const { unit, center, inverse } = normalize(need(inputs, 0), true, epsilonOf(node));
  return [affine(unit, inputs[1], inputs[2]), center, inverse];
};

/** Outputs of SimplifiedLayerNormalization: y, 1 / deviation. */
const simplified: ReferenceOperator = (inputs, node) => {
  const { unit, inverse } = normalize(need(inputs, 0), false, epsilonOf(node));
  return [affine(unit, inputs[1], undefined), inverse];
};

function skip(isCentered: boolean): ReferenceOperator {
  return (inputs, node) => {
    const bias = inputs[isCentered ? 4 : 3];
    const plain = map((a, b) => a + b, need(inputs, 0), need(inputs, 1));
    const total = bias === undefined ? plain : map((a, b) => a + b, plain, bias);
    const { unit, center, inverse } = normalize(total, isCentered, numberOf(node, 'epsilon', 1e-12));
    return [affine(unit, inputs[2], isCentered ? inputs[3] : undefined), center, inverse, total];
  };
}

function epsilonOf(node: Node): number {
  return numberOf(node, 'epsilon', 1e-5);
}

export const normOperators: Readonly<Record<string, ReferenceOperator>> = {
  Softmax: (inputs, node) => [mapLines(need(inputs, 0), numberOf(node, 'axis', -1), softmaxOf)],
  LogSoftmax: (inputs, node) => [mapLines(need(inputs, 0), numberOf(node, 'axis', -1), logSoftmaxOf)],
  ReduceSum: reduction(sum),
  ReduceMean: reduction(mean),
  ReduceMax: reduction((elements) => Math.max(...elements)),
  ReduceMin: reduction((elements) => Math.min(...elements)),
  LayerNormalization: layerNormalization,
  SimplifiedLayerNormalization: simplified,
  RMSNormalization: simplified,
  'com.microsoft.SkipLayerNormalization': skip(true),
  'com.microsoft.SkipSimplifiedLayerNormalization': skip(false),
};
