/** Floating-point numbers in bytes: 16-bit ones at any place, and 8-bit ones. */
import { float16, float16Table } from '../attention/half.ts';

/** The half-precision number whose two bytes are at `at`. */
export function readFloat16(data: Uint8Array, at: number): number {
  return float16Table()[(data[at] ?? 0) | ((data[at + 1] ?? 0) << 8)] ?? 0;
}

/** OCP 8-bit E4M3 (the finite-only variant, bias 7, no infinity, NaN is 0x7F) to the number. */
export function float8e4m3(bits: number): number {
  const sign = bits & 0x80 ? -1 : 1;
  const exponent = (bits >> 3) & 15;
  const fraction = bits & 7;
  if (exponent === 15 && fraction === 7) return NaN;
  return exponent === 0 ? sign * fraction * 2 ** -9 : sign * (8 + fraction) * 2 ** (exponent - 10);
}

/** OCP 8-bit E5M2 to the number: the upper byte of a binary16. */
export function float8e5m2(bits: number): number {
  return float16(bits << 8);
}
