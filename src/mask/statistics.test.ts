import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { allows } from '../pattern/allows.ts';
import { arbitraryPattern } from '../pattern/arbitrary.ts';
import { causal, dense, intersect, perHead, sinks, union, window } from '../pattern/constructors.ts';
import { BLOCK_SIDE } from './block-mask.ts';
import { compileMask } from './compile.ts';
import { statistics } from './statistics.ts';
import { transpose } from './transpose.ts';

describe('statistics', () => {
  it('counts what allows() allows', () => {
    fc.assert(
      fc.property(
        arbitraryPattern(),
        fc.nat({ max: 200 }),
        fc.nat({ max: 200 }),
        fc.integer({ min: 1, max: 3 }),
        fc.integer({ min: -100, max: 100 }),
        (pattern, queries, keys, heads, queryOffset) => {
          const counted = statistics(compileMask(pattern, { queries, keys, heads, queryOffset, length: Infinity }));
          const pairs = Array.from({ length: heads }, () => 0);
          const keptBlocks = new Map<string, number>();
          let causalPairs = 0;
          for (let head = 0; head < heads; head++) {
            for (let q = 0; q < queries; q++) {
              for (let k = 0; k < keys; k++) {
                if (k <= q + queryOffset) causalPairs++;
                if (!allows(pattern, { head, q: q + queryOffset, k })) continue;
                pairs[head] = (pairs[head] ?? 0) + 1;
                const block = `${head} ${Math.floor(q / BLOCK_SIDE)} ${Math.floor(k / BLOCK_SIDE)}`;
                keptBlocks.set(block, (keptBlocks.get(block) ?? 0) + 1);
              }
            }
          }
          const total = pairs.reduce((a, b) => a + b, 0);
          const full = [...keptBlocks.values()].filter((count) => count === BLOCK_SIDE ** 2).length;
          expect(counted.pairsPerHead).toEqual(pairs);
          expect(counted.pairs).toBe(total);
          expect(counted.blocks.full).toBe(full);
          expect(counted.blocks.partial).toBe(keptBlocks.size - full);
          expect(counted.blocks.full + counted.blocks.partial + counted.blocks.empty).toBe(counted.blocks.total);
          expect(counted.density).toBe(total === 0 ? 0 : total / (queries * keys * heads));
          expect(counted.densityOfCausal).toBe(causalPairs === 0 ? 0 : total / causalPairs);
          expect(counted.computedPairs).toBeGreaterThanOrEqual(total);
          expect(counted.computedPairs).toBeLessThanOrEqual(queries * keys * heads);
        },
      ),
      { numRuns: 60 },
    );
  });

  it('matches closed forms at a million tokens', () => {
    const n = 1_000_000;
    const window512 = 512;
    const { pairs, density, densityOfCausal, bytes, blocks } = statistics(
      compileMask(intersect(causal(), union(window(window512), sinks(4))), { queries: n, keys: n, heads: 12 }),
    );
    // Query q sees min(q, 512) + 1 keys of the window, and as many of the 4 sinks as lie before it.
    const inWindow = (window512 * (window512 + 1)) / 2 + (n - window512) * (window512 + 1);
    const sinksBefore = Array.from({ length: 4 }, (_, k) => n - (k + window512 + 1)).reduce((a, b) => a + b, 0);
    expect(pairs).toBe(12 * (inWindow + sinksBefore));
    expect(density).toBe(pairs / (12 * n * n));
    expect(densityOfCausal).toBe(pairs / (12 * ((n * (n + 1)) / 2)));
    expect(blocks.total).toBe(12 * 15_625 ** 2);
    expect(bytes).toBeLessThan(2_000_000);
  });

  it('counts the blocks a kernel computes', () => {
    const mask = compileMask(perHead([window(0), dense()]), { queries: 100, keys: 70, heads: 2, queryOffset: 0 });
    const { computedPairs, blocks } = statistics(mask);
    expect(computedPairs).toBe(64 * 64 + 36 * 6 + 100 * 70);
    expect(blocks).toEqual({ full: 1, partial: 5, empty: 2, total: 8 });
  });
});

describe('transpose', () => {
  it('lists the same blocks, by key block', () => {
    fc.assert(
      fc.property(arbitraryPattern(400), fc.nat({ max: 700 }), fc.nat({ max: 700 }), (pattern, queries, keys) => {
        const mask = compileMask(pattern, { queries, keys, heads: 2, length: Infinity });
        const columns = transpose(mask);
        expect(columns).toHaveLength(mask.rows.length);
        for (const [index, { rowStart, column, bitmap }] of mask.rows.entries()) {
          const want: number[][] = [];
          for (let i = 0; i + 1 < rowStart.length; i++) {
            for (let e = rowStart[i] ?? 0; e < (rowStart[i + 1] ?? 0); e++)
              want.push([column[e] ?? -1, i, bitmap[e] ?? -9, e]);
          }
          want.sort((a, b) => (a[0] ?? 0) - (b[0] ?? 0) || (a[1] ?? 0) - (b[1] ?? 0));
          const own = columns[index];
          const got: number[][] = [];
          for (let j = 0; own !== undefined && j + 1 < own.columnStart.length; j++) {
            for (let e = own.columnStart[j] ?? 0; e < (own.columnStart[j + 1] ?? 0); e++) {
              got.push([j, own.row[e] ?? -1, own.bitmap[e] ?? -9, own.entry[e] ?? -1]);
            }
          }
          expect(got).toEqual(want);
        }
      }),
      { numRuns: 60 },
    );
  });
});
