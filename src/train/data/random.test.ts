import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { hashOf, mix, randomStream, xoshiro } from './random.ts';

/** xoshiro128** once more, with integers of any size. */
function* reference(seed: readonly number[]): Generator<number> {
  const s = seed.map(BigInt);
  const word = (value: bigint): bigint => value & 0xffffffffn;
  const rotate = (value: bigint, by: bigint): bigint => word((value << by) | (value >> (32n - by)));
  for (;;) {
    yield Number(word(rotate(word(s[1] * 5n), 7n) * 9n));
    const t = word(s[1] << 9n);
    s[2] ^= s[0];
    s[3] ^= s[1];
    s[1] ^= s[2];
    s[0] ^= s[3];
    s[2] ^= t;
    s[3] = rotate(s[3], 11n);
  }
}

describe('xoshiro128**', () => {
  it('gives the words of its definition', () => {
    const words = fc.integer({ min: 1, max: 2 ** 32 - 1 });
    fc.assert(
      fc.property(fc.tuple(words, words, words, words), (seed) => {
        const stream = xoshiro(seed);
        const expected = reference(seed);
        for (let i = 0; i < 50; i++) expect(stream.word()).toBe(expected.next().value);
      }),
      { numRuns: 20 },
    );
  });

  it('draws integers evenly', () => {
    const stream = randomStream(1, 2, 3);
    const counts = new Array<number>(7).fill(0);
    const draws = 70_000;
    for (let i = 0; i < draws; i++) counts[stream.integer(7)]++;
    const chiSquare = counts.reduce((sum, count) => sum + (count - draws / 7) ** 2 / (draws / 7), 0);
    // 6 degrees of freedom: 22.5 is passed once in a thousand.
    expect(chiSquare).toBeLessThan(22.5);
  });

  it('never takes a word from the incomplete last run', () => {
    // 3 * 2^30 values: a fourth of all words would fall on the first third.
    const stream = randomStream(4);
    let low = 0;
    for (let i = 0; i < 10_000; i++) if (stream.integer(3 * 2 ** 30) < 2 ** 30) low++;
    expect(Math.abs(low - 10_000 / 3)).toBeLessThan(4 * Math.sqrt((10_000 * 2) / 9));
  });
});

describe('hashes', () => {
  it('differ where any number differs, and in both halves of a number', () => {
    const keys = [[], [0], [1], [2 ** 32], [2 ** 40], [0, 0], [0, 1], [1, 0], [2 ** 53 - 1]];
    expect(new Set(keys.map((key) => hashOf(0, ...key))).size).toBe(keys.length);
    expect(hashOf(0, 5)).not.toBe(hashOf(1, 5));
  });

  it('lose no word: for one hash, different words give different hashes', () => {
    const seen = new Set<number>();
    for (let word = 0; word < 100_000; word++) seen.add(mix(12345, word));
    expect(seen.size).toBe(100_000);
  });

  it('start streams of their own', () => {
    const first = [randomStream(1, 2), randomStream(2, 1), randomStream(1), randomStream(1, 2, 0)].map((s) => s.word());
    expect(new Set(first).size).toBe(4);
  });
});
