import { counted } from '../counted.ts';
import { ArgumentError } from '../errors.ts';
import { bfloat16Bits, float16Bits, float16Table } from './half.ts';
import type { Float16Numbers, NumberArray, NumberType, Tensor } from './types.ts';

/** Bytes of a number. */
export const NUMBER_BYTES: Readonly<Record<NumberType, number>> = { f32: 4, f16: 2, bf16: 2 };

/**
 * Numbers as the bits of f16 (IEEE 754 binary16) or bf16: rounded to the nearest, ties to even. What is too large becomes infinite
 * (f16: from 65,520 on), NaN stays NaN. `to`: where to put them, of the same length. Default: a new array.
 * @throws ArgumentError for another type, or a `to` of another length.
 */
export function toStorage(
  values: Float32Array,
  type: 'f16' | 'bf16',
  to: Uint16Array = new Uint16Array(values.length),
): Uint16Array {
  if (type !== 'f16' && type !== 'bf16')
    throw new ArgumentError(`toStorage: type must be 'f16' or 'bf16', got '${type}'`);
  if (to.length !== values.length)
    throw new ArgumentError(`toStorage: to has room for ${counted(to.length, 'number')}, values has ${values.length}`);
  const bits = new Int32Array(values.buffer, values.byteOffset, values.length);
  if (type === 'f16') for (let i = 0; i < bits.length; i++) to[i] = float16Bits(bits[i]);
  else for (let i = 0; i < bits.length; i++) to[i] = bfloat16Bits(bits[i]);
  return to;
}

/** The numbers that the bits of f16 or bf16 stand for, exactly. @throws ArgumentError for another type. */
export function fromStorage(bits: Uint16Array, type: 'f16' | 'bf16'): Float32Array {
  if (type !== 'f16' && type !== 'bf16')
    throw new ArgumentError(`fromStorage: type must be 'f16' or 'bf16', got '${type}'`);
  const values = new Float32Array(bits.length);
  if (type === 'f16') {
    const table = float16Table();
    for (let i = 0; i < bits.length; i++) values[i] = table[bits[i]];
  } else {
    const words = new Uint32Array(values.buffer);
    for (let i = 0; i < bits.length; i++) words[i] = bits[i] << 16;
  }
  return values;
}

function isFloat16(data: unknown): data is Float16Numbers {
  return ArrayBuffer.isView(data) && Object.prototype.toString.call(data) === '[object Float16Array]';
}

/** How a tensor is stored. @throws ArgumentError that names it, where its array and its type do not go together. */
export function numberType(name: string, { data, type }: Tensor<NumberArray>): NumberType {
  if (type !== undefined && !(type in NUMBER_BYTES))
    throw new ArgumentError(`attention: ${name}.type must be 'f32', 'f16' or 'bf16', got '${type}'`);
  if (data instanceof Float32Array) {
    if (type === undefined || type === 'f32') return 'f32';
    throw new ArgumentError(
      `attention: ${name}.data is a Float32Array and ${name}.type is '${type}'; toStorage() makes the Uint16Array of that type`,
    );
  }
  if (data instanceof Uint16Array) {
    if (type === 'f16' || type === 'bf16') return type;
    throw new ArgumentError(
      `attention: ${name}.data is a Uint16Array, so ${name}.type must be 'f16' or 'bf16', got ${type ?? 'none'}`,
    );
  }
  if (!isFloat16(data))
    throw new ArgumentError(`attention: ${name}.data must be a Float32Array, a Uint16Array or a Float16Array`);
  if (type === undefined || type === 'f16') return 'f16';
  throw new ArgumentError(`attention: ${name}.data is a Float16Array and ${name}.type is '${type}'`);
}

/** The same memory as whole numbers of bits where it is not f32: what copies without a change. */
export function bitsOf(data: NumberArray): Float32Array | Uint16Array {
  return isFloat16(data) ? new Uint16Array(data.buffer, data.byteOffset, data.length) : data;
}

/** The numbers of a tensor as float32; those of f32 are not copied. */
export function numbersOf(name: string, tensor: Tensor<NumberArray>): Float32Array {
  const type = numberType(name, tensor);
  const bits = bitsOf(tensor.data);
  return bits instanceof Float32Array || type === 'f32' ? (bits as Float32Array) : fromStorage(bits, type);
}

/** Zeros of a shape, stored as `like` is. */
export function emptyTensor(like: Tensor<NumberArray>, shape: Tensor['shape']): Tensor<NumberArray> {
  const make = like.data.constructor as new (length: number) => NumberArray;
  const data = new make(shape.reduce((product, size) => product * size, 1));
  return { data, ...(like.type === undefined ? {} : { type: like.type }), shape, layout: like.layout ?? 'BHND' };
}
