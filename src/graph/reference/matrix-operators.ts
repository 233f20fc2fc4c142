/** Matrix products, rotations and attention. */
import { allows } from '../../pattern/index.ts';
import type { Pattern } from '../../pattern/pattern.ts';
import { need, numberOf, type ReferenceOperator } from './operator.ts';
import { broadcastStrides, eachIndex, map, placeOf, type Tensor64, tensor } from './tensor.ts';

function transposed(x: Tensor64): Tensor64 {
  const [rows = 0, columns = 0] = x.shape;
  const result = tensor([columns, rows]);
  for (let r = 0; r < rows; r++) {
    for (let c = 0; c < columns; c++) result.data[c * rows + r] = x.data[r * columns + c] as number;
  }
  return result;
}

function product(a: Tensor64, b: Tensor64): Tensor64 {
  const [m, k] = a.shape.slice(-2) as [number, number];
  const n = b.shape.at(-1) as number;
  const batches = map(() => 0, tensor(a.shape.slice(0, -2)), tensor(b.shape.slice(0, -2))).shape;
  const result = tensor([...batches, m, n]);
  const [inA, inB] = [broadcastStrides(a.shape), broadcastStrides(b.shape)];
  eachIndex(result.shape, (index, flat) => {
    const outer = index.slice(0, -2);
    const [row, column] = index.slice(-2) as [number, number];
    let sum = 0;
    for (let i = 0; i < k; i++) {
      const x = a.data[placeOf(inA, [...outer, row, i])] as number;
      sum += x * (b.data[placeOf(inB, [...outer, i, column])] as number);
    }
    result.data[flat] = sum;
  });
  return result;
}

const gemm: ReferenceOperator = (inputs, node) => {
  const a = numberOf(node, 'transA', 0) === 1 ? transposed(need(inputs, 0)) : need(inputs, 0);
  const b = numberOf(node, 'transB', 0) === 1 ? transposed(need(inputs, 1)) : need(inputs, 1);
  const [alpha, beta] = [numberOf(node, 'alpha', 1), numberOf(node, 'beta', 1)];
  return [map((x, c) => alpha * x + beta * c, product(a, b), inputs[2] ?? tensor([1]))];
};

/** x [1, rows, heads * width], cos and sin [1, rows, R / 2]; the two halves of a head's first R elements are the pairs. */
const rotary: ReferenceOperator = (inputs, node) => {
  const [x, cos, sin] = [need(inputs, 0), need(inputs, 1), need(inputs, 2)];
  const [, rows = 0, columns = 0] = x.shape;
  const heads = numberOf(node, 'num_heads', 1);
  const half = cos.shape.at(-1) as number;
  const result = tensor(x.shape, x.data);
  for (let row = 0; row < rows; row++) {
    for (let head = 0; head < heads; head++) {
      for (let i = 0; i < half; i++) {
        const first = row * columns + (head * columns) / heads + i;
        const [a, b] = [x.data[first] as number, x.data[first + half] as number];
        const [c, s] = [cos.data[row * half + i] as number, sin.data[row * half + i] as number];
        result.data[first] = a * c - b * s;
        result.data[first + half] = b * c + a * s;
      }
    }
  }
  return [result];
};

/** farfield.SparseAttention over one sequence of rows, pair by pair: the output and its log-sum-exps. Without sink queries. */
const sparseAttention: ReferenceOperator = (inputs, node) => {
  const [q, k, v, sinkLogits] = [need(inputs, 0), need(inputs, 1), need(inputs, 2), inputs[4]];
  const heads = numberOf(node, 'heads', 1);
  const groups = numberOf(node, 'key_value_heads', heads);
  const cap = numberOf(node, 'softcap', 0);
  const [rows = 0, columns = 0] = q.shape;
  const width = columns / heads;
  const valueWidth = (v.shape[1] as number) / groups;
  const { pattern } = node.attributes;
  const seen = JSON.parse(pattern?.type === 'string' ? pattern.value : '') as Pattern;
  const scale = numberOf(node, 'scale', 1 / Math.sqrt(width));
  const result = tensor([rows, heads * valueWidth]);
  const lse = tensor([rows, heads]);
  for (let head = 0; head < heads; head++) {
    const group = Math.floor(head / (heads / groups));
    for (let row = 0; row < rows; row++) {
      const keys = Array.from({ length: rows }, (_, key) => key).filter((key) =>
        allows(seen, { head, q: row, k: key }),
      );
      const scores = keys.map((key) => {
        let dot = 0;
        for (let d = 0; d < width; d++) {
          dot +=
            (q.data[row * columns + head * width + d] as number) *
            (k.data[(key * groups + group) * width + d] as number);
        }
        return cap > 0 ? cap * Math.tanh((dot * scale) / cap) : dot * scale;
      });
      const sink = sinkLogits === undefined ? -Infinity : (sinkLogits.data[head] as number);
      const largest = Math.max(sink, ...scores);
      const shares = scores.map((score) => Math.exp(score - largest));
      const total = shares.reduce((sum, share) => sum + share, sink === -Infinity ? 0 : Math.exp(sink - largest));
      lse.data[row * heads + head] = largest + Math.log(total);
      for (let d = 0; d < valueWidth; d++) {
        const sum = keys.reduce(
          (found, key, i) =>
            found + (shares[i] as number) * (v.data[(key * groups + group) * valueWidth + d] as number),
          0,
        );
        result.data[(row * heads + head) * valueWidth + d] = keys.length === 0 ? 0 : sum / total;
      }
    }
  }
  return [result, lse];
};

export const matrixOperators: Readonly<Record<string, ReferenceOperator>> = {
  MatMul: (inputs) => [product(need(inputs, 0), need(inputs, 1))],
  Gemm: gemm,
  RotaryEmbedding: rotary,
  'farfield.SparseAttention': sparseAttention,
};
