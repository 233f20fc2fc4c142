/**
 * The quantized types with 256 numbers in a block: one or two float16 for the block, and small integer scales (and minima)
 * for its 8 or 16 parts. Layouts from ggml-common.h and the scalar decoders of ggml-quants.c (https://github.com/ggml-org/ggml).
 * The product of a float16 (11 bits) and a scale of at most 8 bits is exact in float32.
 */
import type { BlockFormat } from './block-format.ts';
import { lookUpHalves, NONLINEAR_CODES } from './blocks-of-32.ts';
import { readFloat16 } from './half.ts';

/** 64 bytes of 2-bit codes: byte l of each 32 has numbers l, l + 32, l + 64 and l + 96 of 128, lowest bits first. */
function unpackTwoBits(data: Uint8Array, at: number, codes: Uint8Array, to: number): void {
  for (let part = 0; part < 2; part++) {
    const from = at + 32 * part;
    const first = to + 128 * part;
    for (let l = 0; l < 32; l++) {
      const byte = data[from + l] ?? 0;
      codes[first + l] = byte & 3;
      codes[first + l + 32] = (byte >> 2) & 3;
      codes[first + l + 64] = (byte >> 4) & 3;
      codes[first + l + 96] = byte >> 6;
    }
  }
}

/** scales[16] (low half: scale, high half: minimum), qs[64], d, dmin: w = d * scale * code - dmin * minimum, 16 at a time. */
export const Q2_K: BlockFormat = {
  scaleBlock: 16,
  bits: 4,
  zeroPoint: 0,
  hasMinima: true,
  unpack(data, at, codes, toCode, scales, minima, toScale) {
    const d = readFloat16(data, at + 80);
    const dmin = readFloat16(data, at + 82);
    for (let j = 0; j < 16; j++) {
      const byte = data[at + j] ?? 0;
      scales[toScale + j] = d * (byte & 15);
      minima[toScale + j] = -(dmin * (byte >> 4));
    }
    unpackTwoBits(data, at + 16, codes, toCode);
  },
};

/**
 * hmask[32], qs[64], scales[12], d: w = d * (scale - 32) * (q - 4), 16 at a time; q has its third bit in hmask, bit g of byte l
 * for number 32 g + l. Here code = q + 4, so that the zero point is 8, the default of 4-bit matrix products.
 * The 6-bit scales: low 4 bits as the halves of scales[0..7], high 2 bits as the quarters of scales[8..11].
 */
export const Q3_K: BlockFormat = {
  scaleBlock: 16,
  bits: 4,
  zeroPoint: 8,
  hasMinima: false,
  unpack(data, at, codes, toCode, scales, _minima, toScale) {
    const d = readFloat16(data, at + 108);
    for (let j = 0; j < 16; j++) {
      const low = j < 8 ? (data[at + 96 + j] ?? 0) & 15 : (data[at + 88 + j] ?? 0) >> 4;
      const high = ((data[at + 104 + (j & 3)] ?? 0) >> (2 * (j >> 2))) & 3;
      scales[toScale + j] = d * ((low | (high << 4)) - 32);
    }
    unpackTwoBits(data, at + 32, codes, toCode);
    for (let g = 0; g < 8; g++) {
      for (let l = 0; l < 32; l++) {
        const third = ((data[at + l] ?? 0) >> g) & 1;
        codes[toCode + 32 * g + l] = (codes[toCode + 32 * g + l] ?? 0) + 4 * third + 4;
      }
    }
  },
};

/** The 6-bit scales and minima of Q4_K and Q5_K, for 8 parts of 32, packed into 12 bytes at `at`. */
function unpackScalesAndMinima(
  data: Uint8Array,
  at: number,
  d: number,
  dmin: number,
  scales: Float32Array,
  minima: Float32Array,
  to: number,
): void {
  for (let j = 0; j < 4; j++) {
    const scale = data[at + j] ?? 0;
    const minimum = data[at + j + 4] ?? 0;
    const rest = data[at + j + 8] ?? 0;
    scales[to + j] = d * (scale & 63);
    minima[to + j] = -(dmin * (minimum & 63));
    scales[to + j + 4] = d * ((rest & 15) | ((scale >> 6) << 4));
    minima[to + j + 4] = -(dmin * ((rest >> 4) | ((minimum >> 6) << 4)));
  }
}

/** d, dmin, scales[12], qs[128]: w = d * scale * code - dmin * minimum. 32 bytes of qs have two parts: low halves, high halves. */
export const Q4_K: BlockFormat = {
  scaleBlock: 32,
  bits: 4,
  zeroPoint: 0,
  hasMinima: true,
  unpack(data, at, codes, toCode, scales, minima, toScale) {
    unpackScalesAndMinima(data, at + 4, readFloat16(data, at), readFloat16(data, at + 2), scales, minima, toScale);
    for (let pair = 0; pair < 4; pair++) {
      const from = at + 16 + 32 * pair;
      const to = toCode + 64 * pair;
      for (let l = 0; l < 32; l++) {
        const byte = data[from + l] ?? 0;
        codes[to + l] = byte & 15;
        codes[to + l + 32] = byte >> 4;
      }
    }
  },
};

/** d, dmin, scales[12], qh[32], qs[128]: as Q4_K with a fifth bit, bit g of qh[l] for number 32 g + l. */
export const Q5_K: BlockFormat = {
  scaleBlock: 32,
  bits: 8,
  zeroPoint: 0,
  hasMinima: true,
  unpack(data, at, codes, toCode, scales, minima, toScale) {
    unpackScalesAndMinima(data, at + 4, readFloat16(data, at), readFloat16(data, at + 2), scales, minima, toScale);
    for (let pair = 0; pair < 4; pair++) {
      const from = at + 48 + 32 * pair;
      const to = toCode + 64 * pair;
      for (let l = 0; l < 32; l++) {
        const byte = data[from + l] ?? 0;
        const fifth = (data[at + 16 + l] ?? 0) >> (2 * pair);
        codes[to + l] = (byte & 15) | ((fifth & 1) << 4);
        codes[to + l + 32] = (byte >> 4) | ((fifth & 2) << 3);
      }
    }
  },
};

/**
 * ql[128], qh[64], signed scales[16], d: w = d * scale * (code - 32), 16 at a time. In each 128 numbers, number l + 32 s has its
 * low half in ql[l + 32 (s & 1)] (low half of the byte for s < 2, high half after) and its high 2 bits in quarter s of qh[l].
 */
export const Q6_K: BlockFormat = {
  scaleBlock: 16,
  bits: 8,
  zeroPoint: 32,
  hasMinima: false,
  unpack(data, at, codes, toCode, scales, _minima, toScale) {
    const d = readFloat16(data, at + 208);
    for (let j = 0; j < 16; j++) scales[toScale + j] = d * (((data[at + 192 + j] ?? 0) << 24) >> 24);
    for (let part = 0; part < 2; part++) {
      const low = at + 64 * part;
      const high = at + 128 + 32 * part;
      const to = toCode + 128 * part;
      for (let l = 0; l < 32; l++) {
        const first = data[low + l] ?? 0;
        const second = data[low + l + 32] ?? 0;
        const top = data[high + l] ?? 0;
        codes[to + l] = (first & 15) | ((top & 3) << 4);
        codes[to + l + 32] = (second & 15) | ((top & 12) << 2);
        codes[to + l + 64] = (first >> 4) | (top & 48);
        codes[to + l + 96] = (second >> 4) | ((top & 192) >> 2);
      }
    }
  },
};

/** d, scales_h (2 bytes: 2 high bits of each scale), scales_l[4] (halves), qs[128]: w = d * (scale - 32) * value[code], 32 at a time. */
export const IQ4_XS: BlockFormat = {
  scaleBlock: 32,
  bits: 8,
  zeroPoint: 128,
  hasMinima: false,
  unpack(data, at, codes, toCode, scales, _minima, toScale) {
    const d = readFloat16(data, at);
    const high = (data[at + 2] ?? 0) | ((data[at + 3] ?? 0) << 8);
    for (let j = 0; j < 8; j++) {
      const low = ((data[at + 4 + (j >> 1)] ?? 0) >> (4 * (j & 1))) & 15;
      scales[toScale + j] = d * ((low | (((high >> (2 * j)) & 3) << 4)) - 32);
      lookUpHalves(data, at + 8 + 16 * j, codes, toCode + 32 * j, NONLINEAR_CODES);
    }
  },
};
