/** 8- and 16-bit floating-point numbers as float32. */

/** IEEE 754 binary16 bits to the number. */
export function float16(bits: number): number {
  const sign = bits & 0x8000 ? -1 : 1;
  const exponent = (bits >> 10) & 31;
  const fraction = bits & 1023;
  if (exponent === 0) return sign * fraction * 2 ** -24;
  if (exponent === 31) return fraction === 0 ? sign * Infinity : NaN;
  return sign * (1024 + fraction) * 2 ** (exponent - 25);
}

let table: Float32Array | undefined;

/** All 65,536 half-precision numbers by their bits: decoding becomes one look-up. 256 KiB, made on first use. */
export function float16Table(): Float32Array {
  table ??= Float32Array.from({ length: 65536 }, (_, bits) => float16(bits));
  return table;
}

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
