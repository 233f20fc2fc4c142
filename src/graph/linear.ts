import { ArgumentError } from '../errors.ts';
import type { GraphBuilder } from './builder.ts';
import { fixedSize, mismatch, wantType } from './check.ts';
import type { Dimension, Value } from './ir.ts';
import { add, gemm, matmul, reduceSum, reshape } from './operators.ts';
import type { QuantizedData, QuantizedWeight, Weight } from './quantized-weight.ts';

export interface LinearOptions {
  /** [N] */
  readonly bias?: Value;
  /**
   * For a quantized weight: 4 (default) rounds each block of x to 8-bit integers and multiplies integers; 0 computes in float32.
   * Not 0 with 8 bits for decoding: ONNX Runtime 1.30 then takes 4 to 13 ms for one row, where level 4 takes 0.06 ms.
   */
  readonly accuracyLevel?: 0 | 4;
  /** Name of the node; the weight's initializer is named `${name}.weight`. */
  readonly name?: string;
}

/** x [rows, K] times the transpose of a weight [N, K], plus the bias: [rows, N]. */
export function linear(graph: GraphBuilder, x: Value, weight: Weight, options: LinearOptions = {}): Value {
  const { name = 'linear', bias } = options;
  wantType('linear', 'x', x, 'float32');
  const width = fixedSize('linear', x, -1);
  if (x.shape.length !== 2 || width !== weight.columns) {
    mismatch('linear', name, `x must be [rows, ${weight.columns}] for a weight [${weight.rows}, ${weight.columns}]`, {
      x,
    });
  }
  if (bias !== undefined && bias.shape.join() !== `${weight.rows}`) {
    mismatch('linear', name, `the bias must be [${weight.rows}]`, { x, bias });
  }
  if (weight.bits !== 32) return quantizedLinear(graph, x, weight, options, name);
  const matrix = graph.initializer(`${name}.weight`, 'float32', [weight.rows, weight.columns], weight.load);
  return gemm(graph, x, matrix, bias, { transB: true, name });
}

/**
 * com.microsoft.MatMulNBits (ONNX Runtime, ContribOperators.md), plus the share of the minima: x times their expansion is the sums of
 * x over blocks times the minima. Measured with 2 threads, weights [1536, 576] and [576, 576], fastest of many on a shared machine:
 *
 *   | rows | f32 Gemm       | 4 bits, level 4 | 4 bits, level 0 | level 4 + minima | 8 bits, level 4 |
 *   | 1    | 82 us; 42 us   | 54; 38          | 170; 73         | 93; 43           | 57; 32          |
 *   | 1024 | 23 ms; 4.6 ms  | 27; 6.1         | 24; 4.8         | 25; 6.4          | 24; 7.8         |
 */
function quantizedLinear(
  graph: GraphBuilder,
  x: Value,
  weight: QuantizedWeight,
  options: LinearOptions,
  name: string,
): Value {
  const { rows, columns, bits, blockSize, zeroPoint } = weight;
  const blocks = columns / blockSize;
  if (!Number.isInteger(blocks)) {
    mismatch('MatMulNBits', name, `${columns} columns are not a multiple of the block of ${blockSize}`, { x });
  }
  if (blockSize < 16 || (blockSize & (blockSize - 1)) !== 0) {
    mismatch('MatMulNBits', name, `the block must be a power of two of at least 16, it is ${blockSize}`, { x });
  }
  if (!(Number.isInteger(zeroPoint) && zeroPoint >= 0 && zeroPoint < 2 ** bits)) {
    mismatch('MatMulNBits', name, `the zero point ${zeroPoint} is not an integer of ${bits} bits`, { x });
  }
  const part = partsOf(weight);
  const packed = graph.initializer(`${name}.packed`, 'uint8', [rows, blocks, (blockSize * bits) / 8], part('packed'));
  const scales = graph.initializer(`${name}.scales`, 'float32', [rows, blocks], part('scales'));
  const product = graph.op1(
    {
      operator: 'MatMulNBits',
      domain: 'com.microsoft',
      inputs: [x, packed, scales, zeroPoints(graph, weight, name), undefined, options.bias],
      attributes: {
        K: { type: 'int', value: columns },
        N: { type: 'int', value: rows },
        bits: { type: 'int', value: bits },
        block_size: { type: 'int', value: blockSize },
        accuracy_level: { type: 'int', value: options.accuracyLevel ?? 4 },
      },
      name,
    },
    'float32',
    [x.shape[0] as Dimension, rows],
  );
  if (weight.minimaBlock === undefined) return product;
  const sums = blockSums(graph, x, weight.minimaBlock);
  const minima = graph.initializer(
    `${name}.minima`,
    'float32',
    [columns / weight.minimaBlock, rows],
    part('minima', (data) => transposed(data, rows)),
  );
  return add(graph, product, matmul(graph, sums, minima, `${name}.minima_product`), `${name}.sum`);
}

/** One integer for each block, two to a byte for 4 bits; absent where it is the operator's default 2^(bits - 1). */
function zeroPoints(graph: GraphBuilder, weight: QuantizedWeight, name: string): Value | undefined {
  const { rows, columns, bits, blockSize, zeroPoint } = weight;
  if (zeroPoint === 2 ** (bits - 1)) return undefined;
  const bytes = Math.ceil((columns / blockSize / 8) * bits);
  const byte = bits === 4 ? zeroPoint * 17 : zeroPoint;
  return graph.initializer(`${name}.zero_points`, 'uint8', [rows, bytes], () =>
    new Uint8Array(rows * bytes).fill(byte),
  );
}

/**
 * Sums of x over blocks of columns [rows, K / block], shared by all linears that read the same x. Measured on K = 1536, block 32:
 * Reshape and ReduceSum 16 us for 1 row and 0.24 ms for 1024; a MatMul with a 0/1 matrix 31 us and 1.8 ms.
 */
function blockSums(graph: GraphBuilder, x: Value, block: number): Value {
  const width = fixedSize('block sums', x, -1);
  const [rows = 1] = x.shape;
  if (width % block !== 0) mismatch('block sums', undefined, `width is not a multiple of ${block}`, { x });
  return graph.once(`block sums of ${x.name} by ${block}`, () =>
    reduceSum(graph, reshape(graph, x, [rows, width / block, block]), { name: 'block_sums' }),
  );
}

/** Loads a weight once for its several initializers, and forgets it when each of them has been read. */
function partsOf(weight: QuantizedWeight) {
  let pending: Promise<QuantizedData> | undefined;
  const taken = new Set<keyof QuantizedData>();
  const parts = weight.minimaBlock === undefined ? 2 : 3;
  return <K extends keyof QuantizedData>(
    key: K,
    change: (data: NonNullable<QuantizedData[K]>) => NonNullable<QuantizedData[K]> = (data) => data,
  ) =>
    async (): Promise<NonNullable<QuantizedData[K]>> => {
      if (pending === undefined || taken.has(key)) {
        taken.clear();
        pending = weight.load();
      }
      taken.add(key);
      const loading = pending;
      if (taken.size === parts) pending = undefined;
      const data = (await loading)[key];
      if (data === undefined) {
        throw new ArgumentError(`the weight [${weight.rows}, ${weight.columns}] has no ${key}`);
      }
      return change(data);
    };
}

/** [rows, n] to [n, rows]. */
function transposed(data: Float32Array, rows: number): Float32Array {
  const columns = data.length / rows;
  const result = new Float32Array(data.length);
  for (let r = 0; r < rows; r++) {
    for (let c = 0; c < columns; c++) result[c * rows + r] = data[r * columns + c] ?? 0;
  }
  return result;
}
