import { expect, it } from 'vitest';
import { ArgumentError } from '../../errors.ts';
import { expandMxfp4 } from './mxfp4.ts';

/** By the specification: sign, exponent with bias 1, mantissa of one bit; subnormal at exponent 0. */
function fp4(code: number): number {
  const [sign, exponent, mantissa] = [code & 8 ? -1 : 1, (code >> 1) & 3, code & 1];
  return sign * (exponent === 0 ? mantissa / 2 : 2 ** (exponent - 1) * (1 + mantissa / 2));
}

it('expands every code at every scale, the low bits first', () => {
  const scales = Uint8Array.from({ length: 255 }, (_, i) => i);
  const blocks = Uint8Array.from({ length: 16 * 255 }, (_, i) => (i * 37 + (i >> 4) * 11) & 255);
  const got = expandMxfp4(blocks, scales);
  expect(new Set(blocks).size).toBe(256);
  for (const [i, value] of got.entries()) {
    const byte = blocks[i >> 1] ?? 0;
    const code = i % 2 === 0 ? byte & 15 : byte >> 4;
    expect(value).toBe(Math.fround(fp4(code) * 2 ** ((scales[i >> 5] ?? 0) - 127)));
  }
});

it('gives NaN at scale 255, and refuses what does not fit', () => {
  expect([...expandMxfp4(new Uint8Array(16).fill(0x22), Uint8Array.of(255))].every(Number.isNaN)).toBe(true);
  expect(() => expandMxfp4(new Uint8Array(15), Uint8Array.of(1))).toThrow(ArgumentError);
});
