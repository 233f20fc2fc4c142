import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { ArgumentError } from '../../errors.ts';
import { allows } from '../../pattern/allows.ts';
import { arbitraryPattern } from '../../pattern/arbitrary.ts';
import { causal, dense, intersect, sinks, union, window } from '../../pattern/constructors.ts';
import { compileMask } from '../compile.ts';
import { attentionCost } from './cost.ts';

describe('attentionCost', () => {
  it('counts what a plain walk over the pairs counts', () => {
    fc.assert(
      fc.property(
        arbitraryPattern(),
        fc.integer({ min: 1, max: 150 }),
        fc.integer({ min: 1, max: 150 }),
        fc.integer({ min: 1, max: 3 }),
        (pattern, queries, keys, heads) => {
          const [d, e, b] = [24, 40, 2];
          const offset = keys - queries;
          const walk = (sees: (head: number, q: number, k: number) => boolean) => {
            let [forward, last] = [0, 0];
            const blocks = new Map<string, [number, number]>();
            for (let head = 0; head < heads; head++) {
              for (let q = 0; q < queries; q++) {
                for (let k = 0; k < keys; k++) {
                  if (!sees(head, q + offset, k)) continue;
                  forward++;
                  if (q === queries - 1) last++;
                  const [i, j] = [q >> 6, k >> 6];
                  blocks.set(`${head} ${i} ${j}`, [Math.min(64, queries - i * 64), Math.min(64, keys - j * 64)]);
                }
              }
            }
            const sizes = [...blocks.values()];
            const queryRows = sizes.reduce((sum, [height]) => sum + height, 0);
            const keyRows = sizes.reduce((sum, [, width]) => sum + width, 0);
            return {
              pairs: forward,
              blocks: blocks.size,
              computedPairs: sizes.reduce((sum, [height, width]) => sum + height * width, 0),
              forward: {
                // 2 D for q . k and 2 E for its share of the output; q and o, k and v by block, lse.
                flops: forward * 2 * d + forward * 2 * e,
                bytes:
                  b * (queries * heads * d + queries * heads * e + keyRows * d + keyRows * e) + 4 * queries * heads,
              },
              backward: {
                // q . k again, dO . v, and one row each for dQ, dK (D wide) and dV (E wide).
                flops: forward * (2 * d + 2 * e + 2 * d + 2 * d + 2 * e),
                bytes:
                  b * ((queryRows + keyRows) * (d + e) + (queries + keys) * heads * 2 * (d + e)) + 8 * queries * heads,
              },
              decode: { flops: last * 2 * (d + e), bytes: b * (last + heads) * (d + e) },
            };
          };
          const shape = { queries, keys, heads };
          const counted = attentionCost(pattern, { ...shape, queryWidth: d, valueWidth: e, bytesPerNumber: b });
          expect(counted.pattern).toMatchObject(walk((head, q, k) => allows(pattern, { head, q, k })));
          expect(counted.dense).toMatchObject(walk(() => true));
          expect(counted.causal).toMatchObject(walk((_, q, k) => k <= q));
          const widths = { queryWidth: d, valueWidth: e, bytesPerNumber: b };
          expect(attentionCost(compileMask(pattern, { ...shape, length: Infinity }), widths)).toEqual(counted);
        },
      ),
      { numRuns: 40 },
    );
  });

  it('is 4 N^2 D for a dense head, two and a half times that backwards, and half of it causal', () => {
    const n = 4096;
    const { pattern, causal: half } = attentionCost(dense(), { queries: n });
    expect(pattern.forward.flops).toBe(4 * n * n * 64);
    expect(pattern.backward.flops).toBe(2.5 * 4 * n * n * 64);
    expect(half.pairs).toBe((n * (n + 1)) / 2);
    expect(half.densityOfCausal).toBe(1);
  });

  it('keeps a cache that does not grow with the text where the pattern forgets', () => {
    const pattern = intersect(causal(), union(sinks(4), window({ left: 1023 })));
    const bytes = (length: number): number => attentionCost(pattern, { queries: length, heads: 2 }).pattern.cacheBytes;
    // The next query sees itself, 1023 tokens before it and 4 sinks; itself is not in the cache yet.
    expect(bytes(10_000)).toBe((1023 + 4) * 2 * 2 * 64 * 4);
    expect(bytes(100_000)).toBe(bytes(10_000));
    const { decode, forward } = attentionCost(pattern, { queries: 10_000, heads: 2 }).pattern;
    expect(decode.flops).toBe((1024 + 4) * 2 * 4 * 64);
    expect(forward.flops).toBeLessThan(10_000 * decode.flops);
  });

  it('refuses a shape that is missing, or given twice', () => {
    expect(() => attentionCost(dense())).toThrow(ArgumentError);
    expect(() => attentionCost(compileMask(dense(), { queries: 2, keys: 2, heads: 1 }), { queries: 2 })).toThrow(
      ArgumentError,
    );
    expect(() => attentionCost(dense(), { queries: 2, queryWidth: 0 })).toThrow('attentionCost queryWidth is 0');
    expect(() => attentionCost(dense(), { queries: 2, bytesPerNumber: Number.NaN })).toThrow('bytesPerNumber');
  });
});
