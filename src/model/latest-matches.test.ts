import fc from 'fast-check';
import { expect, test } from 'vitest';
import { ArgumentError } from '../errors.ts';
import { LatestMatches, matchRows, NO_MATCH } from './latest-matches.ts';
import { latestMatch } from './testing.ts';

const definition = (ids: readonly number[], at: number, size: number) => latestMatch(ids, at, size) ?? NO_MATCH;

const texts = fc.array(fc.integer({ min: 0, max: 2 }), { maxLength: 400 });
const someSizes = fc
  .uniqueArray(fc.integer({ min: 1, max: 9 }), { minLength: 1, maxLength: 3 })
  .map((sizes) => sizes.toSorted((a, b) => a - b));

test('matches are those of the definition, read in any pieces', () => {
  fc.assert(
    fc.property(texts, someSizes, fc.integer({ min: 1, max: 50 }), (ids, sizes, piece) => {
      const matches = new LatestMatches(sizes);
      const found: number[] = [];
      for (let from = 0; from < ids.length; from += piece) found.push(...matches.append(ids.slice(from, from + piece)));
      expect(found).toEqual(ids.flatMap((_, at) => sizes.map((size) => definition(ids, at, size))));
    }),
  );
});

test('what is forgotten leaves no trace', () => {
  fc.assert(
    fc.property(texts, texts, someSizes, (ids, others, sizes) => {
      const matches = new LatestMatches(sizes);
      const keep = ids.length >> 1;
      matches.append(ids);
      matches.truncate(keep);
      const fresh = new LatestMatches(sizes);
      fresh.append(ids.slice(0, keep));
      expect(matches.length).toBe(keep);
      expect(matches.append(others)).toEqual(fresh.append(others));
    }),
  );
});

test('a long text of few tokens, whose tables grow', () => {
  const ids = Array.from({ length: 5000 }, (_, i) => ((i * i) >> 3) % 7);
  const found = new LatestMatches([3, 8]).append(ids);
  for (let at = 0; at < ids.length; at += 13) {
    expect([found[2 * at], found[2 * at + 1]]).toEqual([definition(ids, at, 3), definition(ids, at, 8)]);
  }
});

test('sequences of a batch do not see each other; rows are by size and token', () => {
  const sequence = [5, 6, 5, 6, 5];
  const rows = matchRows(Int32Array.from([...sequence, ...sequence]), Int32Array.of(0, 5), [1, 2], 10);
  const one = [-1, -1, -1, -1, 6, -1, 5, 15, 6, 16];
  expect([...rows]).toEqual([...one, ...one]);
});

test('sizes that cannot be', () => {
  for (const sizes of [[0], [2, 2], [3, 2], [1.5]]) expect(() => new LatestMatches(sizes)).toThrow(ArgumentError);
  expect(() => new LatestMatches([4, 2])).toThrow('matches are [4, 2]; they must be ascending integers from 1');
});
