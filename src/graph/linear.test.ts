import { describe, expect, test } from 'vitest';
import { ArgumentError } from '../errors.ts';
import {
  canConcatRows,
  concatRows,
  createNodeBackend,
  linear,
  type QuantizedWeight,
  split,
  type Weight,
} from './index.ts';
import { allClose, evaluate, random } from './testing.ts';

const backend = await createNodeBackend({ threads: 2 });

interface Format {
  readonly bits: 4 | 8;
  readonly zeroPoint: number;
  readonly blockSize: number;
  readonly minimaBlock?: number;
}

/** A random quantized weight, and the same in float64 from the definition scale * (u - zeroPoint) + minimum. */
function quantized(rows: number, columns: number, format: Format, seed: number) {
  const { bits, zeroPoint, blockSize, minimaBlock } = format;
  const levels = 2 ** bits;
  const codes = random(rows * columns, seed).map((value) =>
    Math.min(levels - 1, Math.floor(((value + 1) / 2) * levels)),
  );
  const scales = random((rows * columns) / blockSize, seed + 1).map((value) => (value + 2) / levels);
  const minima = minimaBlock && random((rows * columns) / minimaBlock, seed + 2);
  const packed = new Uint8Array((rows * columns * bits) / 8);
  for (const [i, code] of codes.entries()) {
    if (bits === 8) packed[i] = code;
    else packed[i >> 1] = (packed[i >> 1] ?? 0) | (code << (4 * (i & 1)));
  }
  let loads = 0;
  const weight: QuantizedWeight = {
    rows,
    columns,
    ...format,
    load: async () => {
      loads++;
      return { packed, scales, ...(minima ? { minima } : {}) };
    },
  };
  const dense = Array.from(codes, (code, i) => {
    const minimum = minima && minimaBlock ? (minima[Math.floor(i / minimaBlock)] ?? 0) : 0;
    return (scales[Math.floor(i / blockSize)] ?? 0) * (code - zeroPoint) + minimum;
  });
  return { weight, dense, loads: () => loads };
}

/** x [., K] times the transpose of dense [N, K], in float64. */
function product(x: Float32Array, dense: readonly number[], columns: number): number[] {
  const result: number[] = [];
  for (let row = 0; row < x.length / columns; row++) {
    for (let o = 0; o < dense.length / columns; o++) {
      let sum = 0;
      for (let i = 0; i < columns; i++) sum += (x[row * columns + i] ?? 0) * (dense[o * columns + i] ?? 0);
      result.push(sum);
    }
  }
  return result;
}

/** Root mean square of the difference over that of the expected numbers. */
function relativeError(actual: Float32Array, expected: readonly number[]): number {
  let difference = 0;
  let size = 0;
  for (const [i, value] of expected.entries()) {
    difference += ((actual[i] ?? Number.NaN) - value) ** 2;
    size += value ** 2;
  }
  return Math.sqrt(difference / size);
}

const K = 96;
const N = 40;

describe.each<[string, Format]>([
  ['4 bits around 8 (Q4_0)', { bits: 4, zeroPoint: 8, blockSize: 32 }],
  ['4 bits from 0', { bits: 4, zeroPoint: 0, blockSize: 32 }],
  ['4 bits around 5, block 16', { bits: 4, zeroPoint: 5, blockSize: 16 }],
  ['4 bits with minima (Q4_1, Q4_K)', { bits: 4, zeroPoint: 0, blockSize: 32, minimaBlock: 32 }],
  ['4 bits with minima of another block', { bits: 4, zeroPoint: 8, blockSize: 16, minimaBlock: 48 }],
  ['8 bits around 128 (Q8_0)', { bits: 8, zeroPoint: 128, blockSize: 32 }],
  ['8 bits from 0, with minima', { bits: 8, zeroPoint: 0, blockSize: 32, minimaBlock: 32 }],
])('%s', (_, format) => {
  test.each([1, 37])('%i rows equal the dequantized product', async (rows) => {
    const x = random(rows * K, 1);
    const { weight, dense, loads } = quantized(N, K, format, 2);
    const expected = product(x, dense, K);
    const exact = await evaluate(backend, rows, { x }, (g, v) => linear(g, v.x, weight, { accuracyLevel: 0 }));
    expect(loads()).toBe(1);
    expect(relativeError(exact, expected)).toBeLessThan(1e-6);
    // Level 4 rounds x to 8 bits: an error of 1 / (127 sqrt(12)) of each block's largest element, about 0.4 % of the product.
    const rounded = await evaluate(backend, rows, { x }, (g, v) => linear(g, v.x, weight));
    expect(relativeError(rounded, expected)).toBeLessThan(8e-3);
  });
});

test('a bias is added, and block sums of one x are shared', async () => {
  const x = random(5 * K, 1);
  const format = { bits: 4, zeroPoint: 0, blockSize: 32, minimaBlock: 32 } as const;
  const a = quantized(N, K, format, 2);
  const b = quantized(N, K, format, 5);
  const bias = random(N, 9);
  let sums = 0;
  const result = await evaluate(backend, 5, { x }, (g, v) => {
    const first = linear(g, v.x, a.weight, { accuracyLevel: 0, bias: g.constant('float32', bias) });
    const second = linear(g, v.x, b.weight, { accuracyLevel: 0 });
    g.output(first, 'first');
    sums = g.build().nodes.filter((node) => node.operator === 'ReduceSum').length;
    return g.op1({ operator: 'Sub', inputs: [first, second] }, 'float32', first.shape);
  });
  expect(sums).toBe(1);
  const second = product(x, b.dense, K);
  allClose(
    result,
    product(x, a.dense, K).map((y, i) => y + (bias[i % N] ?? 0) - (second[i] ?? 0)),
    2e-6,
  );
});

test('a format that MatMulNBits does not have is refused when the node is made', async () => {
  const x = random(K, 1);
  for (const [format, message] of [
    [{ bits: 4, zeroPoint: 8, blockSize: 24 }, /a power of two/],
    [{ bits: 4, zeroPoint: 8, blockSize: 64 }, /not a multiple of the block of 64/],
    [{ bits: 4, zeroPoint: 16, blockSize: 32 }, /not an integer of 4 bits/],
    [{ bits: 4, zeroPoint: 8, blockSize: 32, minimaBlock: 40 }, /not a multiple of 40/],
  ] as const) {
    const weight: QuantizedWeight = { rows: N, columns: K, ...format, load: () => Promise.reject(new Error('loaded')) };
    const run = evaluate(backend, 1, { x }, (g, v) => linear(g, v.x, weight));
    await expect(run).rejects.toThrow(ArgumentError);
    await expect(run).rejects.toThrow(message);
  }
});

test('weights joined along their rows give the parts after a split', async () => {
  const x = random(3 * K, 1);
  const minima = { bits: 4, zeroPoint: 0, blockSize: 32, minimaBlock: 32 } as const;
  const a = quantized(24, K, minima, 2);
  const b = quantized(8, K, minima, 3);
  for (const [part, { dense }] of [a, b].entries()) {
    const result = await evaluate(backend, 3, { x }, (g, v) => {
      const joined = linear(g, v.x, concatRows([a.weight, b.weight]), { accuracyLevel: 0 });
      return split(g, joined, [24, 8], 1)[part] ?? joined;
    });
    allClose(result, product(x, dense, K), 2e-6);
  }
  const float = (rows: number, seed: number): Weight & { data: Float32Array } => {
    const data = random(rows * K, seed);
    return { rows, columns: K, bits: 32, load: () => data, data };
  };
  const [c, d] = [float(3, 4), float(5, 6)];
  const result = await evaluate(backend, 3, { x }, (g, v) => linear(g, v.x, concatRows([c, d])));
  allClose(result, product(x, [...c.data, ...d.data], K), 2e-6);

  const other = quantized(8, K, { bits: 4, zeroPoint: 8, blockSize: 32 }, 3).weight;
  expect(canConcatRows([a.weight, other])).toBe(false);
  expect(() => concatRows([a.weight, other])).toThrow(ArgumentError);
  expect(() => concatRows([a.weight, c])).toThrow(/96 columns of 4 bits.*96 columns of float32/);
});
