import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { allows } from '../pattern/allows.ts';
import { arbitraryPattern } from '../pattern/arbitrary.ts';
import { causal, intersect, perHead, sinks, union, window } from '../pattern/constructors.ts';
import { compileMask } from './compile.ts';
import { toDense } from './read.ts';
import { type Refinement, refineMask } from './refine.ts';

describe('refineMask', () => {
  it('allows for each batch entry what the given lists say, over any mask', () => {
    const keys = 150;
    const position = fc.nat({ max: keys - 1 });
    const each = <T>(item: fc.Arbitrary<T>) =>
      fc.option(fc.array(item, { minLength: 2, maxLength: 2 }), { nil: undefined });
    const tokens = (least: number, most: number) =>
      fc.array(fc.integer({ min: least, max: most }), { minLength: keys, maxLength: keys });
    fc.assert(
      fc.property(
        arbitraryPattern(120),
        fc.integer({ min: 1, max: 150 }),
        fc.record({
          lengths: each(fc.nat({ max: keys })),
          padding: fc.constantFrom('left' as const, 'right' as const, undefined),
          documents: each(
            fc.oneof(
              tokens(-1, 2),
              tokens(0, 9).map((ids) => ids.sort((a, b) => a - b)),
            ),
          ),
          globalTokens: each(fc.array(position, { maxLength: 3 })),
          prefixes: each(fc.nat({ max: keys })),
          positions: each(tokens(0, keys)),
        }),
        (pattern, queries, lists) => {
          const refinement = Object.fromEntries(Object.entries(lists).filter(([, list]) => list !== undefined));
          if (Object.keys(refinement).every((name) => name === 'padding')) return;
          const mask = compileMask(pattern, { queries, keys, heads: 2 });
          const refined = refineMask(mask, refinement as Refinement);
          expect(refined.batch).toHaveLength(2);
          for (let b = 0; b < 2; b++) {
            const entry = refined.batch?.[b];
            if (entry === undefined) throw new Error('no entry');
            const length = lists.lengths?.[b] ?? keys;
            const start = lists.padding === 'left' ? keys - length : 0;
            const ids = lists.documents?.[b];
            const places = lists.positions?.[b];
            const globals = lists.globalTokens?.[b] ?? [];
            for (let head = 0; head < 2; head++) {
              const dense = toDense(entry, head);
              for (let i = 0; i < queries; i++) {
                const q = i + mask.queryOffset;
                for (let k = 0; k < keys; k++) {
                  const isSeen =
                    (allows(pattern, { head, q, k }) ||
                      globals.includes(q) ||
                      globals.includes(k) ||
                      k < (lists.prefixes?.[b] ?? 0)) &&
                    k >= start &&
                    k < start + length &&
                    (ids === undefined || ((ids[q] ?? -1) >= 0 && ids[q] === ids[k])) &&
                    (places === undefined || (places[k] ?? 0) <= (places[q] ?? -1));
                  if ((dense[i * keys + k] === 1) !== isSeen) {
                    throw new Error(`entry ${b}, head ${head}, q ${q}, k ${k}: should be ${isSeen}`);
                  }
                  // The pattern that the entry carries is its definition, for whoever compiles it again.
                  if ((i + k) % 61 === 0) expect(allows(entry.pattern, { head, q, k })).toBe(isSeen);
                }
              }
            }
          }
        },
      ),
      { numRuns: 60 },
    );
  });

  it('shares what it does not touch', () => {
    const n = 64 * 100;
    const mask = compileMask(perHead([window(100), union(window(300), sinks(4))]), { queries: n, keys: n, heads: 4 });
    const { batch } = refineMask(mask, { lengths: [n, 5000, 5000, n] });
    const [whole, cut, same, other] = batch ?? [];
    expect(whole?.rows[0]).toBe(mask.rows[0]);
    expect(other).toBe(whole);
    expect(same).toBe(cut);
    expect(cut?.bitmaps).toBe(whole?.bitmaps);
    // The length cuts through one column of blocks, which no more than a few kinds of blocks stand in.
    const before = mask.bitmaps.length / 128;
    expect((cut?.bitmaps.length ?? 0) / 128 - before).toBeLessThan(16);
    expect([...(cut?.bitmaps ?? [])].slice(0, mask.bitmaps.length)).toEqual([...mask.bitmaps]);
  });

  it('empties an entry without a key', () => {
    const mask = compileMask(causal(), { queries: 70, keys: 70, heads: 1 });
    const [none] = refineMask(mask, { lengths: [0], padding: 'left' }).batch ?? [];
    expect(none?.rows[0]?.column).toHaveLength(0);
  });

  const wrong: [string, Refinement, RegExp][] = [
    ['nothing', {}, /nothing is given/],
    ['lists of two lengths', { lengths: [1], prefixes: [1, 2] }, /prefixes has 2 elements; the lists before it have 1/],
    ['a length', { lengths: [3, 71] }, /lengths\[1\] is 71; it must be an integer from 0 to the 70 keys/],
    ['padding', { lengths: [3], padding: 'up' as 'left' }, /padding is up; it must be left or right/],
    ['documents', { documents: [[1, 2]] }, /documents\[0\] has 2 numbers; .* each of the 70 keys/],
    ['a global token', { globalTokens: [[70]] }, /globalTokens\[0\] has 70; positions must be integers from 0 to 69/],
    ['heads', { within: [perHead([causal()])] }, /within\[0\] differs by head/],
    ['a list', { lengths: 3 as unknown as number[] }, /lengths is number; it must be a list/],
  ];
  it.each(wrong)('refuses wrong %s', (_, refinement, message) => {
    const mask = compileMask(intersect(causal(), window(3)), { queries: 70, keys: 70, heads: 1 });
    expect(() => refineMask(mask, refinement)).toThrow(message);
  });

  it('refuses a mask that was refined before', () => {
    const mask = compileMask(causal(), { queries: 7, keys: 7, heads: 1 });
    expect(() => refineMask(refineMask(mask, { lengths: [3] }), { lengths: [3] })).toThrow(/refined before/);
  });
});
