/** The element types that weight files store, and how many bytes their blocks take. */

/**
 * Upper-case names of the two formats, which agree where they overlap: safetensors' dtypes and GGML's type names.
 * A quantized type stores rows in blocks of `elements` numbers, each of `bytes` bytes; for the others a block is one number.
 */
const BLOCKS = {
  F64: { elements: 1, bytes: 8 },
  F32: { elements: 1, bytes: 4 },
  F16: { elements: 1, bytes: 2 },
  BF16: { elements: 1, bytes: 2 },
  F8_E4M3: { elements: 1, bytes: 1 },
  F8_E5M2: { elements: 1, bytes: 1 },
  I64: { elements: 1, bytes: 8 },
  I32: { elements: 1, bytes: 4 },
  I16: { elements: 1, bytes: 2 },
  I8: { elements: 1, bytes: 1 },
  U64: { elements: 1, bytes: 8 },
  U32: { elements: 1, bytes: 4 },
  U16: { elements: 1, bytes: 2 },
  U8: { elements: 1, bytes: 1 },
  BOOL: { elements: 1, bytes: 1 },
  Q4_0: { elements: 32, bytes: 18 },
  Q4_1: { elements: 32, bytes: 20 },
  Q5_0: { elements: 32, bytes: 22 },
  Q5_1: { elements: 32, bytes: 24 },
  Q8_0: { elements: 32, bytes: 34 },
  Q2_K: { elements: 256, bytes: 84 },
  Q3_K: { elements: 256, bytes: 110 },
  Q4_K: { elements: 256, bytes: 144 },
  Q5_K: { elements: 256, bytes: 176 },
  Q6_K: { elements: 256, bytes: 210 },
  IQ4_NL: { elements: 32, bytes: 18 },
  IQ4_XS: { elements: 256, bytes: 136 },
  MXFP4: { elements: 32, bytes: 17 },
} as const;

export type StorageType = keyof typeof BLOCKS;

/** The types in which one stored unit is one number. */
export type ScalarType = Exclude<StorageType, QuantizedType>;

/** The types that store numbers in blocks with a common scale. */
export type QuantizedType =
  | 'Q4_0'
  | 'Q4_1'
  | 'Q5_0'
  | 'Q5_1'
  | 'Q8_0'
  | 'Q2_K'
  | 'Q3_K'
  | 'Q4_K'
  | 'Q5_K'
  | 'Q6_K'
  | 'IQ4_NL'
  | 'IQ4_XS'
  | 'MXFP4';

/** Numbers and bytes in one block of a type. */
export function blockOf(type: StorageType): { readonly elements: number; readonly bytes: number } {
  return BLOCKS[type];
}

/** The number of elements of a shape, or undefined where it is no shape or too large to count exactly. */
export function elementCount(shape: readonly number[]): number | undefined {
  let count = 1;
  for (const side of shape) {
    if (!Number.isSafeInteger(side) || side < 0) return undefined;
    count *= side;
    if (!Number.isSafeInteger(count)) return undefined;
  }
  return count;
}

/**
 * Bytes of a tensor, or undefined where its last axis is not whole blocks or the size cannot be counted exactly.
 * `shape` is row-major, so the last axis is the one that lies together in memory.
 */
export function storedBytes(type: StorageType, shape: readonly number[]): number | undefined {
  const { elements, bytes } = BLOCKS[type];
  const count = elementCount(shape);
  if (count === undefined || (shape.at(-1) ?? 1) % elements !== 0) return undefined;
  const total = (count / elements) * bytes;
  return Number.isSafeInteger(total) ? total : undefined;
}
