/**
 * Quantized weights that stay quantized: repacking, without loss, into the layout of ONNX Runtime's `com.microsoft.MatMulNBits`
 * (https://github.com/microsoft/onnxruntime/blob/main/docs/ContribOperators.md#commicrosoftmatmulnbits).
 */
import { CheckpointError } from '../errors.ts';
import type { BlockFormat } from './block-format.ts';
import { blockFormat } from './block-formats.ts';
import type { StoredTensor } from './checkpoint.ts';
import { blockOf } from './storage-type.ts';
import { checkLength } from './to-float32.ts';

/**
 * A matrix w [N, K] with w = scale * (u - zeroPoint) + minimum for an integer u of `bits` bits. Scale and minimum are common to
 * `blockSize` and `minimaBlock` numbers that follow each other in a row.
 */
export interface QuantizedMatrix {
  /** N, the outputs. Leading axes of a tensor of rank 3 or 4 (experts) are folded into it. */
  readonly rows: number;
  /** K, the inputs. */
  readonly columns: number;
  readonly bits: 4 | 8;
  readonly blockSize: 16 | 32;
  /** [N, K / blockSize, blockSize * bits / 8]; of two 4-bit numbers in a byte the first along K is the low half. */
  readonly packed: Uint8Array;
  /** [N, K / blockSize] */
  readonly scales: Float32Array;
  /** The same for all. MatMulNBits assumes 2 ** (bits - 1) where it is given none. */
  readonly zeroPoint: number;
  /** [N, K / minimaBlock], absent where all are zero by the type's definition. */
  readonly minima?: Float32Array;
  readonly minimaBlock?: 16 | 32;
}

/**
 * A quantized tensor of rank 2 or more as a QuantizedMatrix, exactly: every scale is a float16 times a small integer, which float32
 * holds. Undefined where the tensor is not quantized or is a vector. Q4_0, Q4_1, Q2_K, Q3_K and Q4_K take 4 bits, the others 8.
 */
export function toQuantizedMatrix(tensor: StoredTensor): QuantizedMatrix | undefined {
  const format = blockFormat(tensor.type);
  const columns = tensor.shape.at(-1);
  if (format === undefined || columns === undefined || tensor.shape.length < 2) return undefined;
  const elements = checkLength(tensor);
  if (elements === 0) {
    throw new CheckpointError(`tensor "${tensor.name}" is empty: its shape is [${tensor.shape}]`);
  }
  const scales = new Float32Array(elements / format.scaleBlock);
  const minima = new Float32Array(format.hasMinima ? scales.length : 0);
  const repack = format.bits === 8 ? unpackAll : packHalves;
  return {
    rows: elements / columns,
    columns,
    bits: format.bits,
    blockSize: format.scaleBlock,
    packed: repack(tensor, format, elements, scales, minima),
    scales,
    zeroPoint: format.zeroPoint,
    ...(format.hasMinima ? { minima, minimaBlock: format.scaleBlock } : {}),
  };
}

/** 8 bits: the codes are the packed matrix. */
function unpackAll(
  tensor: StoredTensor,
  { scaleBlock, unpack }: BlockFormat,
  elements: number,
  scales: Float32Array,
  minima: Float32Array,
): Uint8Array {
  const block = blockOf(tensor.type);
  const parts = block.elements / scaleBlock;
  const packed = new Uint8Array(elements);
  const blocks = elements / block.elements;
  for (let b = 0; b < blocks; b++) {
    unpack(tensor.data, b * block.bytes, packed, b * block.elements, scales, minima, b * parts);
  }
  return packed;
}

/** 4 bits: codes go through a scratch of one block, and from there two by two into bytes. */
function packHalves(
  tensor: StoredTensor,
  { scaleBlock, unpack }: BlockFormat,
  elements: number,
  scales: Float32Array,
  minima: Float32Array,
): Uint8Array {
  const block = blockOf(tensor.type);
  const parts = block.elements / scaleBlock;
  const codes = new Uint8Array(block.elements);
  const packed = new Uint8Array(elements / 2);
  const blocks = elements / block.elements;
  for (let b = 0, to = 0; b < blocks; b++) {
    unpack(tensor.data, b * block.bytes, codes, 0, scales, minima, b * parts);
    for (let i = 0; i < block.elements; i += 2) packed[to++] = (codes[i] ?? 0) | ((codes[i + 1] ?? 0) << 4);
  }
  return packed;
}
