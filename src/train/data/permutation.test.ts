import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { feistelPermutation, permutation } from './permutation.ts';

const kinds = [
  ['permutation', permutation],
  ['feistelPermutation', feistelPermutation],
] as const;

describe.each(kinds)('%s', (_, make) => {
  it('has every entry exactly once', () => {
    fc.assert(
      fc.property(fc.integer({ min: 1, max: 3000 }), fc.nat(), fc.nat(), (count, seed, epoch) => {
        const at = make(count, seed, epoch);
        const entries = Array.from({ length: count }, (_, i) => at(i)).sort((a, b) => a - b);
        expect(entries).toEqual(Array.from({ length: count }, (_, i) => i));
      }),
      { numRuns: 60 },
    );
  });

  it('is the same for the same key and another for another', () => {
    const list = (...key: number[]): number[] => Array.from({ length: 1000 }, (_, i) => i).map(make(1000, ...key));
    expect(list(1, 2)).toEqual(list(1, 2));
    const other = list(1, 3);
    const unmoved = list(1, 2).filter((entry, i) => entry === other[i]).length;
    // One of a thousand places agrees by chance: a Poisson number of mean 1.
    expect(unmoved).toBeLessThan(8);
  });

  it('puts an entry anywhere with equal chance, over many keys', () => {
    const count = 12;
    const keys = 12_000;
    const places = Array.from({ length: count }, () => new Array<number>(count).fill(0));
    for (let key = 0; key < keys; key++) {
      const at = make(count, key);
      for (let i = 0; i < count; i++) places[i][at(i)]++;
    }
    for (const row of places) {
      const expected = keys / count;
      const chiSquare = row.reduce((sum, times) => sum + (times - expected) ** 2 / expected, 0);
      // 11 degrees of freedom: 36 is passed once in five thousand; there are 12 rows.
      expect(chiSquare).toBeLessThan(36);
    }
  });
});

describe('permutations too large to list', () => {
  it.each([2 ** 16 + 1, 1_000_003, 2 ** 40 + 7, 2 ** 52])('stay in the range of %d and repeat nothing', (count) => {
    const at = permutation(count, 9);
    const seen = new Set<number>();
    const taken = 50_000;
    for (let i = 0; i < taken; i++) {
      // From both ends and from all over.
      const index = i % 2 === 0 ? i / 2 : count - 1 - (i - 1) / 2;
      const entry = at(index);
      expect(Number.isInteger(entry) && entry >= 0 && entry < count).toBe(true);
      seen.add(entry);
    }
    expect(seen.size).toBe(taken);
  });

  it('have neighbours far apart: the mean distance is a third of the range', () => {
    const count = 1_000_003;
    const at = permutation(count, 3);
    let sum = 0;
    for (let i = 0; i < 20_000; i++) sum += Math.abs(at(i) - at(i + 1));
    // The standard deviation of a distance is 0.236 of the range.
    expect(Math.abs(sum / 20_000 / count - 1 / 3)).toBeLessThan((4 * 0.236) / Math.sqrt(20_000 / 2));
  });
});
