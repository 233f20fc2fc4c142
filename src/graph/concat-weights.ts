import { counted } from '../counted.ts';
import { ArgumentError } from '../errors.ts';
import type { QuantizedWeight, Weight } from './quantized-weight.ts';

/** Whether concatRows() takes these weights: one kind, one width, and for quantized ones one format. */
export function canConcatRows(weights: readonly Weight[]): boolean {
  const [first] = weights;
  return first !== undefined && weights.every((weight) => formatOf(weight) === formatOf(first));
}

/**
 * Several weights [N_i, K] that read the same x as one [sum of N_i, K], lazily: one multiplication, then a Split. For queries,
 * keys and values it saves up to 5 % of a segment of a 135M model at one row; for gate and up nothing, as the Split of their wide
 * result costs what is saved (and float32 weights became slower at one row: 0.50 instead of 0.33 ms). Throws ArgumentError
 * where their formats differ.
 */
export function concatRows(weights: readonly Weight[]): Weight {
  const [first] = weights;
  if (first === undefined || !canConcatRows(weights)) {
    throw new ArgumentError(
      `concatRows: weights must agree in columns and format, got ${weights.map(formatOf).join('; ')}`,
    );
  }
  const rows = weights.reduce((sum, weight) => sum + weight.rows, 0);
  if (first.bits === 32) {
    const parts = weights.filter((weight) => weight.bits === 32);
    const load = async () =>
      join(await Promise.all(parts.map((part) => part.load())), new Float32Array(rows * first.columns));
    return { rows, columns: first.columns, bits: 32, load };
  }
  return concatQuantized(weights.filter((weight) => weight.bits !== 32));
}

/** concatRows() for quantized weights. */
export function concatQuantized(weights: readonly QuantizedWeight[]): QuantizedWeight {
  const [first] = weights;
  if (first === undefined || !canConcatRows(weights)) {
    throw new ArgumentError(
      `concatQuantized: weights must agree in columns and format, got ${weights.map(formatOf).join('; ')}`,
    );
  }
  const rows = weights.reduce((sum, weight) => sum + weight.rows, 0);
  const { columns, bits, blockSize, minimaBlock } = first;
  const load = async () => {
    const parts = await Promise.all(weights.map((weight) => weight.load()));
    const packed = join(
      parts.map((part) => part.packed),
      new Uint8Array((rows * columns * bits) / 8),
    );
    const scales = join(
      parts.map((part) => part.scales),
      new Float32Array((rows * columns) / blockSize),
    );
    if (minimaBlock === undefined) return { packed, scales };
    const minima = join(
      parts.map((part) => part.minima ?? new Float32Array()),
      new Float32Array((rows * columns) / minimaBlock),
    );
    return { packed, scales, minima };
  };
  return { ...first, rows, load };
}

function formatOf(weight: Weight): string {
  if (weight.bits === 32) return `${weight.columns} columns of float32`;
  const { columns, bits, blockSize, zeroPoint, minimaBlock = 'none' } = weight;
  return `${columns} columns of ${bits} bits, block ${blockSize}, zero point ${zeroPoint}, minima ${minimaBlock}`;
}

function join<T extends Float32Array | Uint8Array>(parts: readonly T[], into: T): T {
  let offset = 0;
  for (const part of parts) {
    into.set(part, offset);
    offset += part.length;
  }
  if (offset !== into.length)
    throw new ArgumentError(`the weights have ${counted(offset, 'element')}, expected ${into.length}`);
  return into;
}
