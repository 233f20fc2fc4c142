import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { allows } from '../../pattern/allows.ts';
import { arbitraryLeaf, arbitraryPattern } from '../../pattern/arbitrary.ts';
import { arbitraryFamilies } from '../../pattern/arbitrary-family.ts';
import {
  axial,
  bigBird,
  causal,
  complement,
  globalTokens,
  intersect,
  type Pattern,
  perHead,
  sinks,
  strided,
  union,
  window,
} from '../../pattern/index.ts';
import { BITMAP_WORDS, BLOCK_SIDE, type BlockMask, FULL_BLOCK } from '../block-mask.ts';
import { compileMask } from '../compile.ts';
import { refineMask } from '../refine.ts';
import { statistics } from '../statistics.ts';
import { arrangeMask } from './arrange.ts';
import type { Pass } from './passes.ts';

/** Any arrangement, whether it is worth it or not. */
const ANY = -Infinity;

/** How often the passes have each pair of a head, [N, M]. Checks what passes.ts promises of orders. */
function pairsOf(passes: readonly Pass[], head: number, { queries, keys }: BlockMask): Uint8Array {
  const counts = new Uint8Array(queries * keys);
  for (const [p, pass] of passes.entries()) {
    const rows = pass.rows[pass.headRows[head]];
    const { rowStart, column, bitmap, queryOrder, keyOrder } = rows;
    expect(rowStart).toHaveLength(Math.ceil(pass.queries / BLOCK_SIDE) + 1);
    const known = new Set(queryOrder?.filter((q) => q >= 0));
    expect(known.size).toBe(queryOrder?.filter((q) => q >= 0).length ?? 0);
    if (p === 0 && queryOrder) expect(known.size).toBe(queries);
    const tokens = keyOrder?.filter((k) => k >= 0) ?? [];
    expect(new Set(tokens).size).toBe(tokens.length);
    if (queryOrder) expect(queryOrder).toHaveLength((rowStart.length - 1) * BLOCK_SIDE);
    expect((keyOrder?.length ?? 0) % BLOCK_SIDE).toBe(0);
    expect(keyOrder === undefined || keyOrder.length <= pass.keys).toBe(true);
    const rowOf = (r: number): number => (queryOrder ? (queryOrder[r] ?? -1) : r);
    const keyOf = (c: number): number => (keyOrder ? (keyOrder[c] ?? -1) : c);
    for (let i = 0; i + 1 < rowStart.length; i++) {
      for (let e = rowStart[i]; e < rowStart[i + 1]; e++) {
        for (let r = 0; r < BLOCK_SIDE; r++) {
          for (let c = 0; c < BLOCK_SIDE; c++) {
            const word = bitmap[e] === FULL_BLOCK ? -1 : pass.bitmaps[bitmap[e] * BITMAP_WORDS + 2 * r + (c >> 5)];
            if (((word >>> (c & 31)) & 1) === 0) continue;
            const [q, k] = [rowOf(i * BLOCK_SIDE + r), keyOf(column[e] * BLOCK_SIDE + c)];
            if (!(q >= 0 && q < queries && k >= 0 && k < keys)) throw new Error(`pass ${p} has the pair ${q}, ${k}`);
            counts[q * keys + k]++;
          }
        }
      }
    }
  }
  return counts;
}

function expectArranged(mask: BlockMask, passes: readonly Pass[]): void {
  const { pattern, queries, keys, heads, queryOffset } = mask;
  for (let head = 0; head < heads; head++) {
    const want = new Uint8Array(queries * keys);
    for (let q = 0; q < queries; q++) {
      for (let k = 0; k < keys; k++) want[q * keys + k] = allows(pattern, { head, q: q + queryOffset, k }) ? 1 : 0;
    }
    const got = pairsOf(passes, head, mask);
    const wrong = got.findIndex((count, i) => count !== want[i]);
    if (wrong < 0) continue;
    const pair = `${Math.floor(wrong / keys) + queryOffset}, ${wrong % keys}`;
    expect.fail(`head ${head}: the pair ${pair} is there ${got[wrong]} times, and should be ${want[wrong]} times`);
  }
}

const families = arbitraryFamilies(200);
const dilated = fc.record({
  kind: fc.constant('window' as const),
  left: fc.nat({ max: 60 }),
  right: fc.nat({ max: 60 }),
  dilation: fc.oneof(fc.integer({ min: 2, max: 9 }), fc.integer({ min: 2, max: 70 })),
});
const scattered: fc.Arbitrary<Pattern> = fc.oneof(
  dilated,
  fc.oneof(families.axial, families.strided, families.sameCoordinate),
);
const plain: fc.Arbitrary<Pattern> = fc.oneof(
  arbitraryLeaf(200),
  fc.oneof(families.columns, families.rows, families.blockLocal, families.documents),
  fc.oneof(families.bigBird, families.randomBlocks, families.shiftedWindows, families.prefixLm, families.fixed),
);
const composed: fc.Arbitrary<Pattern> = fc.oneof(
  scattered,
  fc.tuple(scattered, plain).map((of) => union(...of)),
  fc.tuple(scattered, plain).map((of) => intersect(...of)),
  fc.tuple(scattered, plain).map(([a, b]) => intersect(a, complement(b))),
  fc.tuple(scattered, scattered, plain).map((of) => union(...of)),
  fc.tuple(scattered, scattered, plain).map(([a, b, c]) => intersect(union(a, c), b)),
  fc.tuple(scattered, plain, plain).map(([a, b, c]) => intersect(union(a, b), c)),
);
const headwise = fc.array(composed, { minLength: 2, maxLength: 3 }).map((heads) => perHead(heads));
const length = fc.oneof(fc.constantFrom(65, 128, 192), fc.integer({ min: 65, max: 300 }));
const offset = fc.option(fc.integer({ min: -150, max: 300 }), { nil: undefined });

const globals = globalTokens({ positions: [3, 99] });
const globalKeys = globalTokens({ positions: [3, 99], direction: 'keys' });

describe('arrangeMask', () => {
  it('has every pair in one pass and every query in the first, for any pattern, lengths and heads', () => {
    let arranged = 0;
    fc.assert(
      fc.property(
        fc.oneof({ weight: 5, arbitrary: composed }, { weight: 2, arbitrary: headwise }, arbitraryPattern()),
        length,
        fc.oneof(fc.nat({ max: 10 }), length),
        offset,
        (pattern, queries, keys, queryOffset) => {
          const mask = compileMask(pattern, {
            length: Infinity,
            queries,
            keys,
            heads: 3,
            ...(queryOffset === undefined ? {} : { queryOffset }),
          });
          const passes = arrangeMask(mask, ANY);
          if (passes === undefined) return;
          arranged++;
          expectArranged(mask, passes);
        },
      ),
      { numRuns: 300 },
    );
    expect(arranged).toBeGreaterThan(100);
  });

  it('makes a dilated window a plain one', () => {
    const n = 1536;
    const mask = compileMask(window({ left: 64, right: 64, dilation: 4 }), { queries: n, keys: n, heads: 2 });
    const passes = arrangeMask(mask) ?? [];
    const plainMask = compileMask(window(64), { queries: n / 4, keys: n / 4, heads: 2 });
    expect(passes).toHaveLength(1);
    expect(passes[0].rows).toHaveLength(1);
    expect(passes[0].bitmaps).toEqual(plainMask.bitmaps);
    expect(passes[0].rows[0].column).toHaveLength(4 * plainMask.rows[0].column.length);
    expect([...(passes[0].rows[0].queryOrder ?? [])].slice(0, 3)).toEqual([0, 4, 8]);
    expectArranged(mask, passes);
  });

  it.each<[string, Pattern, number]>([
    ['causal dilated window', intersect(causal(), window({ left: 50, right: 50, dilation: 8 })), 1],
    ['dilated window and sinks', union(sinks(4), window({ left: 50, dilation: 8 })), 1],
    ['causal dilated window and sinks', intersect(causal(), union(sinks(70), window({ left: 50, dilation: 8 }))), 2],
    ['dilated window and global keys', union(globalKeys, window({ left: 50, dilation: 8 })), 1],
    ['dilated window and globals', union(globals, sinks(2), window({ left: 50, right: 9, dilation: 8 })), 2],
    ['axial and sinks, beyond the grid', union(sinks(4), axial({ grid: [30, 30], axes: [0] })), 1],
    ['strided', strided(32), 2],
    ['axial in two dimensions', axial({ grid: [32, 32], axes: [[0], [1]] }), 2],
    ['axial in three dimensions', axial({ grid: [8, 8, 16], axes: [[0], [1], [2]] }), 3],
    [
      'planes of a volume',
      axial({
        grid: [8, 8, 16],
        axes: [
          [0, 1],
          [0, 2],
          [1, 2],
        ],
      }),
      3,
    ],
    ['causal axial', intersect(causal(), axial({ grid: [32, 32], axes: [[0], [1]] })), 2],
  ])('understands: %s', (_, pattern, count) => {
    const mask = compileMask(pattern, { queries: 1024, keys: 1024, heads: 1, length: Infinity });
    const passes = arrangeMask(mask, ANY) ?? [];
    expect(passes).toHaveLength(count);
    expectArranged(mask, passes);
  });

  it('takes heads as they are: one dilated, one plain, one with a pass more', () => {
    const heads = [window({ left: 40, dilation: 5 }), window(64), union(window(3), window({ left: 30, dilation: 16 }))];
    const mask = compileMask(perHead(heads), { queries: 1000, keys: 1000, heads: 6 });
    const passes = arrangeMask(mask) ?? [];
    expect(passes).toHaveLength(2);
    expect(passes[0].rows.map(({ queryOrder }) => queryOrder !== undefined)).toEqual([true, false, false]);
    expect(passes[1].rows.map(({ queryOrder, column }) => queryOrder !== undefined && column.length > 0)).toEqual([
      false,
      false,
      true,
    ]);
    expectArranged(mask, passes);
  });

  it('compiles what looks alike once, and keeps blocks in proportion to the tokens', () => {
    const n = 2 ** 20;
    const mask = compileMask(intersect(causal(), window({ left: 256, dilation: 16 })), {
      queries: n,
      keys: n,
      heads: 4,
    });
    const [pass] = arrangeMask(mask) ?? [];
    expect(pass.bitmaps.length / BITMAP_WORDS).toBe(2);
    expect(pass.rows[0].column).toHaveLength(5 * (n / BLOCK_SIDE) - 16 * (1 + 2 + 3 + 4));
  });

  it.each<[string, Pattern]>([
    ['a window', window(100)],
    ['BigBird', bigBird({ block: 64, window: 3, global: 2, random: 3, seed: 1, length: 1024 })],
    ['the rows of a grid', axial({ grid: [32, 32], axes: [[1]] })],
    ['steps farther than the sequence', window({ left: 3, dilation: 5000 })],
    ['a few keys beside a wide window', union(window(400), window({ left: 2, dilation: 300 }))],
  ])('leaves alone: %s', (_, pattern) => {
    expect(arrangeMask(compileMask(pattern, { queries: 1024, keys: 1024, heads: 2 }))).toBeUndefined();
  });

  it('leaves alone masks whose pattern may say something else, and few queries', () => {
    const pattern = window({ left: 50, dilation: 8 });
    const mask = compileMask(pattern, { queries: 512, keys: 512, heads: 1 });
    expect(arrangeMask(mask)).toBeDefined();
    expect(arrangeMask({ ...mask })).toBeUndefined();
    expect(arrangeMask(refineMask(mask, { lengths: [100] }))).toBeUndefined();
    expect(arrangeMask(compileMask(pattern, { queries: 64, keys: 512, heads: 1 }))).toBeUndefined();
    expect(statistics(mask).pairs).toBeGreaterThan(0);
  });
});
