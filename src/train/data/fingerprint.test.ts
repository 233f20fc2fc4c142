import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { Fingerprint, hex } from './fingerprint.ts';

function whole(bytes: Uint8Array, seed = 0): number {
  const fingerprint = new Fingerprint(seed);
  fingerprint.update(bytes);
  return fingerprint.digest();
}

describe('Fingerprint', () => {
  // From the documentation of the Python package xxhash, and of the reference implementation.
  it.each([
    ['', 0, '02cc5d05'],
    ['a', 0, '550d7456'],
    ['abc', 0, '32d153ff'],
    ['Nobody inspects the spammish repetition', 0, 'e2293b2f'],
    ['I want an unsigned 32-bit seed!', 0, 'f7a35af8'],
    ['I want an unsigned 32-bit seed!', 1, 'd8d4b4ba'],
  ])('of %j with seed %d is XXH32', (text, seed, expected) => {
    expect(hex(whole(new TextEncoder().encode(text), seed))).toBe(expected);
  });

  it('does not depend on the pieces', () => {
    const pieces = fc.array(fc.uint8Array({ maxLength: 50 }), { maxLength: 8 });
    fc.assert(
      fc.property(pieces, (parts) => {
        const fingerprint = new Fingerprint();
        for (const part of parts) {
          fingerprint.update(part);
          fingerprint.digest();
        }
        expect(fingerprint.digest()).toBe(whole(Uint8Array.from(parts.flatMap((part) => [...part]))));
      }),
    );
  });
});
