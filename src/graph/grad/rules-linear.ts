/** Gradient rules of matrix products and rotations. g is the gradient of the output. */

import type { GraphBuilder } from '../builder.ts';
import { neg } from '../elementwise.ts';
import type { Dimension, Value } from '../ir.ts';
import { gemm, matmul, scaleBy, transpose } from '../operators.ts';
import { sumTo } from '../reductions.ts';
import { float, input, integer, type Rule, type Site, upstream } from './rule.ts';

/** Y = A B: dA = g B^T, dB = A^T g, summed over batch axes that were broadcast. */
function matmulRule(site: Site): (Value | undefined)[] {
  const { graph, wanted } = site;
  const [a, b, g] = [input(site, 0), input(site, 1), upstream(site)];
  if (b.shape.length === 2) {
    // All but the last axis of A are rows of one product.
    const rows = leadingRows(graph, a);
    const rowsOfG = leadingRows(graph, g);
    return [
      wanted[0] ? reshaped(graph, gemm(graph, rowsOfG, b, undefined, { transB: true }), a.shape) : undefined,
      wanted[1] ? summedOverRows(graph, rows, rowsOfG) : undefined,
    ];
  }
  return [
    wanted[0] ? sumTo(graph, matmul(graph, g, lastAxesSwapped(graph, b)), a.shape) : undefined,
    wanted[1] ? sumTo(graph, matmul(graph, lastAxesSwapped(graph, a), g), b.shape) : undefined,
  ];
}

/** x^T y for matrices with the same rows. */
function summedOverRows(graph: GraphBuilder, x: Value, y: Value): Value {
  const [, m] = x.shape;
  const [, n] = y.shape;
  if (Number(n) <= Number(m)) return gemm(graph, x, y, undefined, { transA: true });
  return transpose(graph, gemm(graph, y, x, undefined, { transA: true }), [1, 0]);
}

/**
 * Sums over rows are made as matrices with at least as many rows as columns, and transposed where they must be: ONNX Runtime then
 * sums in an order that does not depend on the number of threads (thread-order.ts).
 */
function isTall({ shape }: Value): boolean {
  return !(Number(shape[1]) > Number(shape[0]));
}

/** Y = alpha A' B' + beta C, where A' and B' are A and B or their transposes: dA' = alpha g B'^T, dB' = alpha A'^T g. */
function gemmRule(site: Site): (Value | undefined)[] {
  const { graph, node, wanted, inputs } = site;
  const [a, b, c, g] = [input(site, 0), input(site, 1), inputs[2], upstream(site)];
  const [transA, transB] = [integer(node, 'transA', 0) === 1, integer(node, 'transB', 0) === 1];
  const alpha = float(node, 'alpha', 1);
  const beta = float(node, 'beta', 1);
  const product = (x: Value, y: Value, left: boolean, right: boolean): Value =>
    gemm(graph, x, y, undefined, { transA: left, transB: right, alpha });
  const gradientOfC = (of: Value): Value => {
    const sum = sumTo(graph, g, of.shape);
    return beta === 1 ? sum : scaleBy(graph, sum, beta);
  };
  const gradientOfB = (): Value => {
    const plain = () => product(a, g, !transA, false);
    const transposed = () => product(g, a, true, transA);
    if (isTall(b)) return transB ? transposed() : plain();
    return transpose(graph, transB ? plain() : transposed(), [1, 0]);
  };
  return [
    wanted[0] ? (transA ? product(b, g, transB, true) : product(g, b, false, !transB)) : undefined,
    wanted[1] ? gradientOfB() : undefined,
    wanted[2] && c !== undefined ? gradientOfC(c) : undefined,
  ];
}

/** A rotation's transpose is the rotation by the opposite angle. */
function rotaryRule(site: Site): (Value | undefined)[] {
  const { graph, node, inputs } = site;
  const [cosines, sines, ...rest] = [input(site, 1), input(site, 2), ...inputs.slice(3)];
  const { operator, domain, attributes } = node;
  const x = input(site, 0);
  const back = graph.once(`negative of ${sines.name}`, () => neg(graph, sines));
  return [
    graph.op1({ operator, domain, attributes, inputs: [upstream(site), cosines, back, ...rest] }, 'float32', x.shape),
  ];
}

/** x [..., K] as a matrix [rows, K]. */
function leadingRows(graph: GraphBuilder, x: Value): Value {
  if (x.shape.length === 2) return x;
  const leading = x.shape.slice(0, -1);
  const rows = leading.every((d) => typeof d === 'number')
    ? leading.reduce<number>((product, d) => product * (d as number), 1)
    : leading.filter((d) => d !== 1).join('*');
  return reshaped(graph, x, [rows, x.shape.at(-1) ?? 1]);
}

/** reshape() for shapes whose product of unknown dimensions stays, which that function cannot see. */
function reshaped(graph: GraphBuilder, x: Value, shape: readonly Dimension[]): Value {
  if (x.shape.join() === shape.join()) return x;
  const unknown = shape.flatMap((d, i) => (typeof d === 'string' ? [i] : []));
  const target = shape.map((d, i) => (typeof d === 'number' ? d : i === unknown[0] ? -1 : 0));
  const sizes = graph.constant('int64', BigInt64Array.from(target, BigInt));
  return graph.op1({ operator: 'Reshape', inputs: [x, sizes] }, x.type, shape);
}

function lastAxesSwapped(graph: GraphBuilder, x: Value): Value {
  const axes = x.shape.length;
  const order = Array.from({ length: axes }, (_, i) => (i < axes - 2 ? i : i === axes - 2 ? axes - 1 : axes - 2));
  return transpose(graph, x, order);
}

export const linearRules: Readonly<Record<string, Rule>> = {
  MatMul: matmulRule,
  Gemm: gemmRule,
  RotaryEmbedding: rotaryRule,
};
