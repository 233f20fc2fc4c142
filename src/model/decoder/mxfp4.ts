/**
 * MXFP4 (Open Compute Project, "OCP Microscaling Formats (MX) Specification v1.0", sections 5.3.3 and 6.3): numbers of 4 bits (sign, two bits of
 * exponent, one of mantissa) in groups of 32, each with a scale of 8 bits that is a power of two. As gpt-oss is published, two numbers to a
 * byte, the first in the low bits.
 */
import { counted } from '../../counted.ts';
import { ArgumentError } from '../../errors.ts';

/** Numbers with one scale. */
export const MXFP4_GROUP = 32;

const NUMBERS = Float32Array.of(0, 0.5, 1, 1.5, 2, 3, 4, 6, -0, -0.5, -1, -1.5, -2, -3, -4, -6);

/** `blocks` [groups, 16] and `scales` [groups] to float32 [groups, 32], exact. */
export function expandMxfp4(blocks: Uint8Array, scales: Uint8Array): Float32Array {
  if (blocks.length !== (scales.length * MXFP4_GROUP) / 2) {
    throw new ArgumentError(
      `expandMxfp4: ${counted(blocks.length, 'byte')} for ${counted(scales.length, 'group')}; each has 16`,
    );
  }
  const result = new Float32Array(2 * blocks.length);
  for (let i = 0; i < blocks.length; i++) {
    const byte = blocks[i] ?? 0;
    const exponent = scales[i >> 4] ?? 0;
    // 255 stands for NaN.
    const scale = exponent === 255 ? Number.NaN : 2 ** (exponent - 127);
    result[2 * i] = scale * (NUMBERS[byte & 15] ?? 0);
    result[2 * i + 1] = scale * (NUMBERS[byte >> 4] ?? 0);
  }
  return result;
}
