import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { allows } from '../../pattern/allows.ts';
import { arbitraryPattern } from '../../pattern/arbitrary.ts';
import { causal, dense, globalTokens, intersect, perHead, sinks, union, window } from '../../pattern/constructors.ts';
import type { Pattern } from '../../pattern/pattern.ts';
import { layersUntilConnected } from './layers-until-connected.ts';
import { receptiveField } from './receptive-field.ts';

/** Distances from every query to every key by Floyd and Warshall's three loops, over the definition of the pattern. */
function allDistances(pattern: Pattern, length: number, heads: number): number[][] {
  const distance = Array.from({ length }, (_, q) =>
    Array.from({ length }, (_, k) => {
      if (q === k) return 0;
      for (let head = 0; head < heads; head++) if (allows(pattern, { head, q, k })) return 1;
      return Infinity;
    }),
  );
  for (let via = 0; via < length; via++) {
    for (const row of distance) {
      for (let k = 0; k < length; k++) {
        row[k] = Math.min(row[k] ?? Infinity, (row[via] ?? Infinity) + (distance[via]?.[k] ?? Infinity));
      }
    }
  }
  return distance;
}

describe('receptive field', () => {
  it('is what all shortest paths say', () => {
    fc.assert(
      fc.property(
        arbitraryPattern(40, 20),
        fc.integer({ min: 1, max: 140 }),
        fc.integer({ min: 1, max: 3 }),
        fc.integer({ min: 0, max: 6 }),
        fc.nat(),
        (pattern, length, heads, layers, seed) => {
          const distance = allDistances(pattern, length, heads);
          const query = seed % length;
          const { count, ranges, countAfterLayer } = receptiveField(pattern, { length, layers, query, heads });
          const want = (distance[query] ?? []).flatMap((hops, token) => (hops <= layers ? [token] : []));
          const got = ranges.flatMap(({ start, end }) => Array.from({ length: end - start }, (_, i) => start + i));
          expect(got).toEqual(want);
          expect(count).toBe(want.length);
          for (const [l, own] of countAfterLayer.entries()) {
            expect(own).toBe((distance[query] ?? []).filter((hops) => hops <= l + 1).length);
          }
          const isCausal = distance.every((row, q) => row.every((hops, k) => k <= q || hops === Infinity));
          const asked = distance.flatMap((row, q) => row.filter((_, k) => !isCausal || k <= q));
          const layersNeeded = Math.max(...asked);
          expect(layersUntilConnected(pattern, { length, heads })).toEqual({
            atLeast: layersNeeded,
            atMost: layersNeeded,
          });
          // Bounds from 32 queries hold the exact number.
          const bounds = layersUntilConnected(pattern, { length, heads, exactLength: 0 });
          expect(bounds.atLeast).toBeLessThanOrEqual(layersNeeded);
          expect(bounds.atMost).toBeGreaterThanOrEqual(layersNeeded);
        },
      ),
      { numRuns: 60 },
    );
  });

  it('grows by a window for each layer (Longformer, section 3.1)', () => {
    const { ranges, countAfterLayer } = receptiveField(window(256), { length: 100_000, layers: 12, query: 50_000 });
    expect(ranges).toEqual([{ start: 50_000 - 12 * 256, end: 50_000 + 12 * 256 + 1 }]);
    expect(countAfterLayer).toEqual(Array.from({ length: 12 }, (_, l) => (l + 1) * 512 + 1));
  });

  it('joins the heads, whose dilations differ', () => {
    const pattern = perHead([window(1), window({ left: 1, right: 1, dilation: 10 })]);
    expect(receptiveField(pattern, { length: 101, layers: 1, query: 50, heads: 2 }).ranges).toEqual([
      { start: 40, end: 41 },
      { start: 49, end: 52 },
      { start: 60, end: 61 },
    ]);
  });

  it('follows layers that differ, the last one first', () => {
    const [near, far] = [window(1), window({ left: 1, right: 1, dilation: 10 })];
    const reach = (layers: number): readonly unknown[] =>
      receptiveField([near, far], { length: 101, layers, query: 50 }).ranges;
    // Layers are near, far, near, ...: the last of two is far, and sees 40 and 60, which saw their neighbours.
    expect(reach(1)).toEqual([{ start: 49, end: 52 }]);
    expect(reach(2)).toEqual([40, 50, 60].map((token) => ({ start: token - 1, end: token + 2 })));
    expect(reach(3)).toEqual([40, 50, 60].map((token) => ({ start: token - 2, end: token + 3 })));
    const causalThenNear = receptiveField([causal(), near], { length: 101, layers: 2, query: 50 });
    expect(causalThenNear.ranges).toEqual([{ start: 0, end: 52 }]);
    for (const own of [near, far, causal()]) {
      const same = { length: 101, layers: 7, query: 13 };
      expect(receptiveField([own, own], same).ranges).toEqual(receptiveField(own, same).ranges);
    }
  });

  it('refuses a query outside the text', () => {
    expect(() => receptiveField(dense(), { length: 10, layers: 1, query: 10 })).toThrow('receptiveField query is 10');
  });
});

describe('layers until everything is connected', () => {
  it.each([
    ['dense', dense(), 1000, 1],
    ['causal', causal(), 1000, 1],
    ['a window, from one end to the other', window(7), 1000, Math.ceil(999 / 7)],
    ['a causal window', window({ left: 100 }), 1000, Math.ceil(999 / 100)],
    ['a window and a global token', union(window(8), globalTokens({ positions: [500] })), 1000, 2],
    ['two dilations', union(window(1), window({ left: 10, right: 10, dilation: 50 })), 1001, 2 + 25],
    ['one token', window(0), 1, 0],
  ] as const)('%s', (_, pattern, length, layers) => {
    expect(layersUntilConnected(pattern, { length })).toEqual({ atLeast: layers, atMost: layers });
  });

  it('never, where a token is out of reach', () => {
    const never = { atLeast: Infinity, atMost: Infinity };
    expect(layersUntilConnected(window({ left: 9, right: 9, dilation: 2 }), { length: 300 })).toEqual(never);
    expect(layersUntilConnected(window({ left: 9, right: 9, dilation: 2 }), { length: 30_000 })).toEqual(never);
    expect(layersUntilConnected(sinks(3), { length: 300 })).toEqual(never);
    expect(layersUntilConnected(intersect(causal(), sinks(3)), { length: 300 })).toEqual(never);
  });

  it('bounds what is too long to be exact', () => {
    const hub = union(window(64), globalTokens({ positions: [0] }));
    expect(layersUntilConnected(hub, { length: 100_000 })).toEqual({ atLeast: 2, atMost: 2 });
    const ends = Math.ceil(99_999 / 500);
    const { atLeast, atMost } = layersUntilConnected(window(500), { length: 100_000 });
    expect(atLeast).toBe(ends);
    expect(atMost).toBeLessThanOrEqual(ends + 1);
    expect(layersUntilConnected(window({ left: 500 }), { length: 100_000 })).toEqual({
      atLeast: ends,
      atMost: Infinity,
    });
  });
});
