import { counted } from '../counted.ts';
import { ArgumentError } from '../errors.ts';
import type { HostTensor } from './backend.ts';
import type { Dimension, ElementType, TensorData } from './ir.ts';

const ARRAYS = {
  float32: Float32Array,
  int64: BigInt64Array,
  int32: Int32Array,
  uint8: Uint8Array,
  bool: Uint8Array,
  float64: Float64Array,
  float16: Uint16Array,
  bfloat16: Uint16Array,
  int16: Int16Array,
  int8: Int8Array,
  uint64: BigUint64Array,
  uint32: Uint32Array,
  uint16: Uint16Array,
} as const;

export const ELEMENT_BYTES: Readonly<Record<ElementType, number>> = {
  float32: 4,
  int64: 8,
  int32: 4,
  uint8: 1,
  bool: 1,
  float64: 8,
  float16: 2,
  bfloat16: 2,
  int16: 2,
  int8: 1,
  uint64: 8,
  uint32: 4,
  uint16: 2,
};

/** Bytes of a tensor. */
export function bytesOfShape(type: ElementType, shape: readonly number[]): number {
  return shape.reduce((product, side) => product * side, ELEMENT_BYTES[type]);
}

/** The number of elements, or -1 where the array is of another type. */
export function dataLength(type: ElementType, data: TensorData): number {
  return data instanceof ARRAYS[type] ? data.length : -1;
}

export function createData(type: ElementType, length: number): TensorData {
  return new ARRAYS[type](length);
}

export function describeShape(shape: readonly Dimension[]): string {
  return `[${shape.join(', ')}]`;
}

/** A HostTensor of a type that is known at run time only. Throws where the array is of another type or length. */
export function hostTensor(type: ElementType, data: TensorData, shape: readonly number[]): HostTensor {
  const wanted = shape.reduce((product, dimension) => product * dimension, 1);
  if (dataLength(type, data) !== wanted) {
    throw new ArgumentError(
      `${type} ${describeShape(shape)} needs ${counted(wanted, 'element')}, got ${data.constructor.name} of length ${data.length}`,
    );
  }
  return { type, data, shape } as HostTensor;
}
