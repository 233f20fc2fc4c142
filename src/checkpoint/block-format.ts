/**
 * What the quantized types have in common. Every one stores a number as
 *
 *     w = scale * (code - zeroPoint) + minimum
 *
 * with a small integer code for each number, a scale for each `scaleBlock` numbers, and for some types a minimum for each
 * `scaleBlock` numbers. So one function per type, which unpacks one block into codes, scales and minima, serves both
 * decoding to float32 and repacking for a quantized matrix product.
 */

/** Unpacks the block at `at` of `data`: `codes[toCode...]`, `scales[toScale...]` and, where the type has them, `minima[toScale...]`. */
export type Unpack = (
  data: Uint8Array,
  at: number,
  codes: Uint8Array,
  toCode: number,
  scales: Float32Array,
  minima: Float32Array,
  toScale: number,
) => void;

export interface BlockFormat {
  /** Numbers that share a scale. It divides the numbers in a block. */
  readonly scaleBlock: 16 | 32;
  /** Bits that hold every code: codes are below 2 ** bits. */
  readonly bits: 4 | 8;
  readonly zeroPoint: number;
  readonly hasMinima: boolean;
  readonly unpack: Unpack;
}
