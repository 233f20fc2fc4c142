/**
 * The quantized types with 32 numbers in a block and one scale. Layouts from ggml-common.h and the scalar decoders of
 * ggml-quants.c (https://github.com/ggml-org/ggml). `d` and `m` are float16. Where codes are 4 bits, byte j of `qs` has
 * number j in its low half and number j + 16 in its high half.
 */
import type { BlockFormat } from './block-format.ts';
import { readFloat16 } from './half.ts';

/** The 16 values of IQ4_NL and IQ4_XS (`kvalues_iq4nl`), plus 128 so that they fit an unsigned byte. */
export const NONLINEAR_CODES = Uint8Array.from(
  [-127, -104, -83, -65, -49, -35, -22, -10, 1, 13, 25, 38, 53, 69, 89, 113],
  (v) => v + 128,
);

/** The 16 values of a 4-bit float E2M1, doubled so that they are integers (`kvalues_mxfp4`), plus 128. */
const FLOAT4_CODES = Uint8Array.from([0, 1, 2, 3, 4, 6, 8, 12, 0, -1, -2, -3, -4, -6, -8, -12], (v) => v + 128);

/** 16 bytes to 32 codes: low halves, then high halves. */
export function unpackHalves(data: Uint8Array, at: number, codes: Uint8Array, to: number): void {
  for (let j = 0; j < 16; j++) {
    const byte = data[at + j] ?? 0;
    codes[to + j] = byte & 15;
    codes[to + j + 16] = byte >> 4;
  }
}

/** The same, each code replaced by its entry of a table. */
export function lookUpHalves(data: Uint8Array, at: number, codes: Uint8Array, to: number, table: Uint8Array): void {
  for (let j = 0; j < 16; j++) {
    const byte = data[at + j] ?? 0;
    codes[to + j] = table[byte & 15] ?? 0;
    codes[to + j + 16] = table[byte >> 4] ?? 0;
  }
}

/** 4 bytes of fifth bits (bit j is of number j) and 16 bytes of low halves and high halves to 32 codes of 5 bits. */
function unpackFiveBits(data: Uint8Array, at: number, codes: Uint8Array, to: number): void {
  const low = (data[at] ?? 0) | ((data[at + 1] ?? 0) << 8);
  const high = (data[at + 2] ?? 0) | ((data[at + 3] ?? 0) << 8);
  for (let j = 0; j < 16; j++) {
    const byte = data[at + 4 + j] ?? 0;
    codes[to + j] = (byte & 15) | (((low >> j) & 1) << 4);
    codes[to + j + 16] = (byte >> 4) | (((high >> j) & 1) << 4);
  }
}

/** d, qs[16]: w = d * (code - 8). */
export const Q4_0: BlockFormat = {
  scaleBlock: 32,
  bits: 4,
  zeroPoint: 8,
  hasMinima: false,
  unpack(data, at, codes, toCode, scales, _minima, toScale) {
    scales[toScale] = readFloat16(data, at);
    unpackHalves(data, at + 2, codes, toCode);
  },
};

/** d, m, qs[16]: w = d * code + m. */
export const Q4_1: BlockFormat = {
  scaleBlock: 32,
  bits: 4,
  zeroPoint: 0,
  hasMinima: true,
  unpack(data, at, codes, toCode, scales, minima, toScale) {
    scales[toScale] = readFloat16(data, at);
    minima[toScale] = readFloat16(data, at + 2);
    unpackHalves(data, at + 4, codes, toCode);
  },
};

/** d, qh[4], qs[16]: w = d * (code - 16). */
export const Q5_0: BlockFormat = {
  scaleBlock: 32,
  bits: 8,
  zeroPoint: 16,
  hasMinima: false,
  unpack(data, at, codes, toCode, scales, _minima, toScale) {
    scales[toScale] = readFloat16(data, at);
    unpackFiveBits(data, at + 2, codes, toCode);
  },
};

/** d, m, qh[4], qs[16]: w = d * code + m. */
export const Q5_1: BlockFormat = {
  scaleBlock: 32,
  bits: 8,
  zeroPoint: 0,
  hasMinima: true,
  unpack(data, at, codes, toCode, scales, minima, toScale) {
    scales[toScale] = readFloat16(data, at);
    minima[toScale] = readFloat16(data, at + 2);
    unpackFiveBits(data, at + 4, codes, toCode);
  },
};

/** d, signed qs[32]: w = d * q, here with code = q + 128. */
export const Q8_0: BlockFormat = {
  scaleBlock: 32,
  bits: 8,
  zeroPoint: 128,
  hasMinima: false,
  unpack(data, at, codes, toCode, scales, _minima, toScale) {
    scales[toScale] = readFloat16(data, at);
    for (let j = 0; j < 32; j++) codes[toCode + j] = (data[at + 2 + j] ?? 0) ^ 128;
  },
};

/** d, qs[16]: w = d * value[code]. */
export const IQ4_NL: BlockFormat = {
  scaleBlock: 32,
  bits: 8,
  zeroPoint: 128,
  hasMinima: false,
  unpack(data, at, codes, toCode, scales, _minima, toScale) {
    scales[toScale] = readFloat16(data, at);
    lookUpHalves(data, at + 2, codes, toCode, NONLINEAR_CODES);
  },
};

/** e, qs[16], as the OCP Microscaling Formats specification: w = 2 ** (e - 127) * float4, here with doubled values. */
export const MXFP4: BlockFormat = {
  scaleBlock: 32,
  bits: 8,
  zeroPoint: 128,
  hasMinima: false,
  unpack(data, at, codes, toCode, scales, _minima, toScale) {
    scales[toScale] = 2 ** ((data[at] ?? 0) - 128);
    lookUpHalves(data, at + 1, codes, toCode, FLOAT4_CODES);
  },
};
