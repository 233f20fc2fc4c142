import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { allows } from '../pattern/allows.ts';
import { arbitraryPattern } from '../pattern/arbitrary.ts';
import { causal, intersect, perHead, sinks, union, window } from '../pattern/constructors.ts';
import { attentionCost } from './analysis/cost.ts';
import { graphMeasures } from './analysis/graph-measures.ts';
import { compileMask } from './compile.ts';
import { drawPng } from './draw-png.ts';
import { drawSvg } from './draw-svg.ts';
import { drawText } from './draw-text.ts';
import { patternFromMask, toBsr, toCsr } from './explicit.ts';
import { isAllowed, maskOfBatchEntry, toDense } from './read.ts';
import { type Refinement, refineMask } from './refine.ts';
import { statistics } from './statistics.ts';
import { transpose } from './transpose.ts';

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
          const mask = compileMask(pattern, { queries, keys, heads: 2, length: Infinity });
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

  it('is counted entry by entry, and in all', () => {
    fc.assert(
      fc.property(
        arbitraryPattern(120),
        fc.array(fc.nat({ max: 150 }), { minLength: 1, maxLength: 4 }),
        (pattern, lengths) => {
          const mask = compileMask(pattern, { queries: 130, keys: 150, heads: 2, length: Infinity });
          const refined = refineMask(mask, { lengths });
          const all = statistics(refined);
          const entries = (refined.batch ?? []).map((entry) => statistics(entry));
          expect(all.entries).toEqual(entries);
          const dense = (refined.batch ?? []).flatMap((entry) => [0, 1].map((head) => toDense(entry, head)));
          const pairs = dense.map((one) => one.reduce((sum, bit) => sum + bit, 0));
          expect(all.pairs).toBe(pairs.reduce((sum, count) => sum + count, 0));
          expect(all.pairsPerHead).toEqual(
            [0, 1].map((head) => pairs.reduce((sum, n, i) => sum + (i % 2 === head ? n : 0), 0)),
          );
          expect(all.density).toBe(all.pairs / (lengths.length * 2 * 130 * 150));
          const { full, partial, empty, total } = all.blocks;
          expect(full + partial + empty).toBe(total);
          expect(total).toBe(lengths.length * 2 * 3 * 3);
          expect(all.computedPairs).toBe(entries.reduce((sum, entry) => sum + entry.computedPairs, 0));
          // What entries share counts once.
          expect(all.bytes).toBeLessThanOrEqual(entries.reduce((sum, entry) => sum + entry.bytes, 0));
          expect(all.bytes).toBeGreaterThanOrEqual(Math.max(...entries.map((entry) => entry.bytes)));
        },
      ),
      { numRuns: 30 },
    );
  });

  it('is drawn and read by the entry, and refused where none is given', () => {
    const mask = compileMask(causal(), { queries: 70, keys: 70, heads: 1 });
    const refined = refineMask(mask, { lengths: [70, 20] });
    const second = maskOfBatchEntry(refined, 1);
    expect(second).toBe(refined.batch?.[1]);
    expect(maskOfBatchEntry(mask)).toBe(mask);
    expect(drawText(refined, { entry: 1 })).toBe(drawText(second));
    expect(drawText(refined, { entry: 1 })).not.toBe(drawText(mask));
    expect(drawSvg(refined, { entry: 1, title: 'x' })).toBe(drawSvg(second, { title: 'x' }));
    expect(drawPng(refined, { entry: 1 })).toEqual(drawPng(second));
    const message = 'the mask was refined for batch entries 0 to 1; say which is meant';
    for (const read of [drawText, drawSvg, drawPng, transpose, patternFromMask, attentionCost, graphMeasures])
      expect(() => read(refined)).toThrow(message);
    for (const read of [toDense, toCsr, toBsr]) expect(() => read(refined, 0)).toThrow(message);
    expect(() => isAllowed(refined, 0, 0, 0)).toThrow(message);
    expect(() => drawText(refined, { entry: 2 })).toThrow(/entries 0 to 1; got 2/);
  });

  it('refuses a mask that was refined before', () => {
    const mask = compileMask(causal(), { queries: 7, keys: 7, heads: 1 });
    expect(() => refineMask(refineMask(mask, { lengths: [3] }), { lengths: [3] })).toThrow(/refined before/);
  });
});
