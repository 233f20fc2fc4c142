/** Stored tensors as float32, whatever they are stored in. */
import { float16Table } from '../attention/half.ts';
import { counted } from '../counted.ts';
import { CheckpointError } from '../errors.ts';
import type { BlockFormat } from './block-format.ts';
import { blockFormat } from './block-formats.ts';
import type { Checkpoint, StoredTensor } from './checkpoint.ts';
import { float8e4m3, float8e5m2 } from './half.ts';
import { blockOf, elementCount, type StorageType, storedBytes } from './storage-type.ts';
import { toTypedArray } from './typed-array.ts';

/**
 * The numbers of a tensor in float32, row-major. F16, BF16 and all quantized types are exact up to the one rounding of
 * scale * code + minimum; F64 and the integer types are rounded to float32.
 * The result for F32 may share memory with `tensor.data`. Throws CheckpointError where the data is not
 * as long as type and shape say.
 */
export function toFloat32(tensor: StoredTensor): Float32Array {
  checkLength(tensor);
  const format = blockFormat(tensor.type);
  if (format !== undefined) return dequantize(tensor, format);
  const values = toTypedArray(tensor);
  if (values instanceof Float32Array) return values;
  switch (tensor.type) {
    case 'F16':
      return lookUp(values, float16Table());
    case 'BF16':
      return fromBFloat16(values);
    case 'F8_E4M3':
      return lookUp(
        values,
        Float32Array.from({ length: 256 }, (_, bits) => float8e4m3(bits)),
      );
    case 'F8_E5M2':
      return lookUp(
        values,
        Float32Array.from({ length: 256 }, (_, bits) => float8e5m2(bits)),
      );
    default:
      return Float32Array.from(values as ArrayLike<number | bigint>, Number);
  }
}

/** Reads a tensor and decodes it. */
export async function readFloat32(checkpoint: Checkpoint, name: string): Promise<Float32Array> {
  return toFloat32(await checkpoint.read(name));
}

/** Throws CheckpointError where `data` is not as long as type and shape say; gives the number of elements. */
export function checkLength(tensor: {
  readonly name: string;
  readonly type: StorageType;
  readonly shape: readonly number[];
  readonly data: Uint8Array;
}): number {
  const expected = storedBytes(tensor.type, tensor.shape);
  if (expected !== tensor.data.byteLength) {
    throw new CheckpointError(
      `tensor "${tensor.name}" of type ${tensor.type} and shape [${tensor.shape}] ` +
        (expected === undefined
          ? `is impossible: rows of this type are blocks of ${blockOf(tensor.type).elements} numbers`
          : `takes ${counted(expected, 'byte')}, but has ${tensor.data.byteLength}`),
    );
  }
  return elementCount(tensor.shape) ?? 0;
}

function lookUp(bits: ArrayLike<number | bigint>, table: Float32Array): Float32Array {
  const result = new Float32Array(bits.length);
  for (let i = 0; i < result.length; i++) result[i] = table[Number(bits[i])] ?? 0;
  return result;
}

/** bfloat16 is the upper half of a float32. */
function fromBFloat16(bits: ArrayLike<number | bigint>): Float32Array {
  const result = new Float32Array(bits.length);
  const resultBits = new Uint32Array(result.buffer);
  for (let i = 0; i < resultBits.length; i++) resultBits[i] = Number(bits[i]) << 16;
  return result;
}

/** One block at a time through a scratch that stays in cache. */
function dequantize(tensor: StoredTensor, format: BlockFormat): Float32Array {
  const { scaleBlock, zeroPoint, hasMinima, unpack } = format;
  const block = blockOf(tensor.type);
  const parts = block.elements / scaleBlock;
  const codes = new Uint8Array(block.elements);
  const scales = new Float32Array(parts);
  const minima = new Float32Array(parts);
  const result = new Float32Array(elementCount(tensor.shape) ?? 0);
  const blocks = result.length / block.elements;
  for (let b = 0, to = 0; b < blocks; b++) {
    unpack(tensor.data, b * block.bytes, codes, 0, scales, minima, 0);
    for (let part = 0, i = 0; part < parts; part++) {
      const scale = scales[part] ?? 0;
      if (hasMinima) {
        const minimum = minima[part] ?? 0;
        for (let end = i + scaleBlock; i < end; i++) result[to++] = scale * (codes[i] ?? 0) + minimum;
      } else {
        for (let end = i + scaleBlock; i < end; i++) result[to++] = scale * ((codes[i] ?? 0) - zeroPoint);
      }
    }
  }
  return result;
}
