/** Stored tensors as the typed array of their type. */
import type { StoredTensor } from './checkpoint.ts';

export type TensorArray =
  | Float64Array
  | Float32Array
  | BigInt64Array
  | BigUint64Array
  | Int32Array
  | Uint32Array
  | Int16Array
  | Uint16Array
  | Int8Array
  | Uint8Array;

/**
 * The data as the typed array of its type: I64 as BigInt64Array, F16 and BF16 as their bits in a Uint16Array, BOOL, 8-bit floats
 * and quantized types as bytes. It shares memory with `data` where that is aligned, and is a copy where it is not.
 */
export function toTypedArray({ type, data }: StoredTensor): TensorArray {
  switch (type) {
    case 'F64':
      return new Float64Array(...aligned(data, 8));
    case 'F32':
      return new Float32Array(...aligned(data, 4));
    case 'I64':
      return new BigInt64Array(...aligned(data, 8));
    case 'U64':
      return new BigUint64Array(...aligned(data, 8));
    case 'I32':
      return new Int32Array(...aligned(data, 4));
    case 'U32':
      return new Uint32Array(...aligned(data, 4));
    case 'I16':
      return new Int16Array(...aligned(data, 2));
    case 'U16':
    case 'F16':
    case 'BF16':
      return new Uint16Array(...aligned(data, 2));
    case 'I8':
      return new Int8Array(...aligned(data, 1));
    default:
      return data;
  }
}

function aligned(data: Uint8Array, bytes: number): [ArrayBufferLike, number, number] {
  const from = data.byteOffset % bytes === 0 ? data : data.slice();
  return [from.buffer, from.byteOffset, from.byteLength / bytes];
}
