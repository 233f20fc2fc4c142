import type { ElementType } from './ir.ts';

/** TensorProto.DataType (onnx.proto): the number of each element type in ONNX files and in Cast's attribute. */
export const ONNX_TYPE: Readonly<Record<ElementType, number>> = {
  float32: 1,
  uint8: 2,
  int8: 3,
  uint16: 4,
  int16: 5,
  int32: 6,
  int64: 7,
  bool: 9,
  float16: 10,
  float64: 11,
  uint32: 12,
  uint64: 13,
  bfloat16: 16,
};

const TYPES = new Map(Object.entries(ONNX_TYPE).map(([type, number]) => [number, type as ElementType]));

/** The element type of a TensorProto.DataType; undefined for those that Farfield has no array for (text, complex, 4 and 8 bit floats). */
export function elementType(number: number): ElementType | undefined {
  return TYPES.get(number);
}
