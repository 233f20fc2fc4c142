/**
 * A weight [rows, columns] that stays quantized: w = scale * (u - zeroPoint) + minimum, with u of `bits` bits, one scale
 * for `blockSize` columns and, where there are minima, one minimum for `minimaBlock` columns. The layout is that of
 * com.microsoft.MatMulNBits. `rows` is the linear's output width N, `columns` its input width K.
 */
export interface QuantizedWeight {
  readonly rows: number;
  readonly columns: number;
  readonly bits: 4 | 8;
  /** A power of two, at least 16; divides `columns`. */
  readonly blockSize: number;
  readonly zeroPoint: number;
  /** Absent: no minima. Divides `columns`. */
  readonly minimaBlock?: number;
  readonly load: () => Promise<QuantizedData>;
}

export interface QuantizedData {
  /** [rows, columns / blockSize, blockSize * bits / 8], low bits first. */
  readonly packed: Uint8Array;
  /** [rows, columns / blockSize] */
  readonly scales: Float32Array;
  /** [rows, columns / minimaBlock] */
  readonly minima?: Float32Array;
}

/** A weight [rows, columns] in float32, row-major: `rows` is a linear's output width. */
export interface DenseWeight {
  readonly rows: number;
  readonly columns: number;
  readonly bits: 32;
  readonly load: () => Float32Array | Promise<Float32Array>;
}

export type Weight = DenseWeight | QuantizedWeight;
