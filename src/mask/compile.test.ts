import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { ArgumentError, PatternError } from '../errors.ts';
import { allows } from '../pattern/allows.ts';
import { arbitraryPattern } from '../pattern/arbitrary.ts';
import { causal, dense, globalTokens, intersect, perHead, sinks, union, window } from '../pattern/constructors.ts';
import type { Pattern } from '../pattern/pattern.ts';
import { BITMAP_WORDS, BLOCK_SIDE, type BlockMask, FULL_BLOCK } from './block-mask.ts';
import { compileMask } from './compile.ts';
import { isAllowed, toDense } from './read.ts';

/** The mask of one head from the definition, pair by pair. */
function denseByDefinition(pattern: Pattern, head: number, queries: number, keys: number, offset: number): Uint8Array {
  const dense = new Uint8Array(queries * keys);
  for (let q = 0; q < queries; q++) {
    for (let k = 0; k < keys; k++) dense[q * keys + k] = allows(pattern, { head, q: q + offset, k }) ? 1 : 0;
  }
  return dense;
}

/** Every promise of block-mask.ts that does not depend on the pattern. */
function checkContract(mask: BlockMask): void {
  const { queries, keys, heads, rows, headRows, bitmaps } = mask;
  expect(headRows).toHaveLength(heads);
  expect(bitmaps.length % BITMAP_WORDS).toBe(0);
  const distinct = new Set<string>();
  for (let b = 0; b < bitmaps.length; b += BITMAP_WORDS) {
    const words = bitmaps.subarray(b, b + BITMAP_WORDS);
    expect(words.some((word) => word !== 0)).toBe(true);
    expect(words.some((word) => word !== 0xffffffff)).toBe(true);
    distinct.add(words.join());
  }
  expect(distinct.size).toBe(bitmaps.length / BITMAP_WORDS);
  for (const { rowStart, column, bitmap } of rows) {
    expect(rowStart).toHaveLength(Math.ceil(queries / BLOCK_SIDE) + 1);
    expect(rowStart[0]).toBe(0);
    expect(column).toHaveLength(rowStart.at(-1) ?? -1);
    expect(bitmap).toHaveLength(column.length);
    for (let i = 0; i + 1 < rowStart.length; i++) {
      for (let e = rowStart[i] ?? 0; e < (rowStart[i + 1] ?? 0); e++) {
        const j = column[e] ?? 0;
        if (e > (rowStart[i] ?? 0)) expect(j).toBeGreaterThan(column[e - 1] ?? 0);
        expect(j).toBeLessThan(Math.ceil(keys / BLOCK_SIDE));
        const isCut = (i + 1) * BLOCK_SIDE > queries || (j + 1) * BLOCK_SIDE > keys;
        const index = bitmap[e] ?? NaN;
        if (index === FULL_BLOCK) {
          expect(isCut).toBe(false);
          continue;
        }
        expect(index).toBeGreaterThanOrEqual(0);
        expect(index * BITMAP_WORDS).toBeLessThan(bitmaps.length);
        for (let r = 0; isCut && r < BLOCK_SIDE; r++) {
          for (let c = 0; c < BLOCK_SIDE; c++) {
            if (i * BLOCK_SIDE + r < queries && j * BLOCK_SIDE + c < keys) continue;
            const word = bitmaps[index * BITMAP_WORDS + r * 2 + (c >>> 5)] ?? 0;
            if (((word >>> (c & 31)) & 1) !== 0)
              throw new Error(`a pair outside the lengths is set: ${i},${j} ${r},${c}`);
          }
        }
      }
    }
  }
}

const length = fc.oneof(
  fc.integer({ min: 0, max: 3 }),
  fc.constantFrom(63, 64, 65, 128),
  fc.integer({ min: 0, max: 330 }),
);

describe('compileMask', () => {
  it('is allows(), for any pattern, lengths, offset and heads, and keeps the contract', () => {
    fc.assert(
      fc.property(
        arbitraryPattern(),
        length,
        length,
        fc.integer({ min: 1, max: 4 }),
        fc.option(fc.integer({ min: -150, max: 300 }), { nil: undefined }),
        (pattern, queries, keys, heads, queryOffset) => {
          const mask = compileMask(pattern, {
            length: Infinity,
            queries,
            keys,
            heads,
            ...(queryOffset === undefined ? {} : { queryOffset }),
          });
          expect(mask.queryOffset).toBe(queryOffset ?? keys - queries);
          checkContract(mask);
          for (let head = 0; head < heads; head++) {
            const want = denseByDefinition(pattern, head, queries, keys, mask.queryOffset);
            expect(Buffer.compare(toDense(mask, head), want)).toBe(0);
          }
        },
      ),
      { numRuns: 300 },
    );
  });

  it('is allows() for every place of an edge within a block', () => {
    const check = (pattern: Pattern, queries: number, keys: number, queryOffset: number): void => {
      const mask = compileMask(pattern, { queries, keys, heads: 1, queryOffset, length: Infinity });
      expect(Buffer.compare(toDense(mask, 0), denseByDefinition(pattern, 0, queries, keys, queryOffset))).toBe(0);
    };
    // Steps at which the edge of the window meets a corner of a block, exactly or but for one.
    for (const size of [0, 1, 2, 18, 19, 20, 21, 22, 61, 62, 63, 64, 65, 66, 125, 126, 127, 128, 129]) {
      for (const dilation of [1, 3, 65]) {
        check(window({ left: size, right: 200, dilation }), 192, 320, 0);
        check(window({ left: 200, right: size, dilation }), 192, 320, 128);
        check(window({ left: size, right: size, dilation }), 128, 192, 0);
      }
    }
    for (let step = -66; step <= 66; step++) {
      check(causal(), 128, 128, step);
      check(sinks(step + 66), 64, 128, 0);
      check(intersect(window({ left: 66, right: 3 }), sinks(step + 66)), 64, 128, 64);
      check(union(window({ left: step + 66 }), globalTokens({ positions: [step + 66] })), 128, 128, 0);
    }
    // A block with every token but one global, in turn as queries, as keys and as both.
    for (const missing of [0, 31, 32, 63]) {
      const positions = Array.from({ length: 64 }, (_, i) => i + 64).filter((position) => position !== 64 + missing);
      for (const direction of ['queries', 'keys', 'both'] as const) {
        check(globalTokens({ positions, direction }), 192, 192, 0);
      }
    }
  });

  it('is allows() far from the start, where only a few rows are compiled', () => {
    fc.assert(
      fc.property(
        arbitraryPattern(300, 1000),
        fc.integer({ min: 1, max: 70 }),
        fc.integer({ min: 900_000, max: 900_200 }),
        fc.array(fc.nat({ max: 1200 }), { minLength: 30, maxLength: 30 }),
        (pattern, queries, keys, back) => {
          // Dense and causal parts keep every block of these rows, which is right, only slow to look through.
          const mask = compileMask(pattern, { queries, keys, heads: 1, length: Infinity });
          for (const [i, distance] of back.entries()) {
            const q = i % queries;
            const k = i % 5 === 0 ? distance : keys - 1 - distance;
            expect(isAllowed(mask, 0, q, k)).toBe(allows(pattern, { head: 0, q: q + mask.queryOffset, k }));
          }
        },
      ),
      { numRuns: 40 },
    );
  });

  it('needs two bitmaps for a window, whatever the length', () => {
    const mask = compileMask(window(128), { queries: 64_000, keys: 64_000, heads: 2 });
    expect(mask.bitmaps.length / BITMAP_WORDS).toBe(2);
    expect(mask.rows).toHaveLength(1);
    expect(mask.rows[0]?.column.length).toBe(1000 * 5 - 6);
  });

  it('marks blocks full exactly where all pairs are allowed, also when only the union of two parts fills them', () => {
    const halves = union(
      intersect(window(1000), globalTokens({ positions: Array.from({ length: 32 }, (_, i) => i), direction: 'keys' })),
      globalTokens({ positions: Array.from({ length: 32 }, (_, i) => i + 32), direction: 'keys' }),
    );
    const mask = compileMask(halves, { queries: 128, keys: 128, heads: 1 });
    expect([...(mask.rows[0]?.bitmap ?? [])]).toEqual([FULL_BLOCK, FULL_BLOCK]);
    expect([...(mask.rows[0]?.column ?? [])]).toEqual([0, 0]);
  });

  it('shares rows between heads whose patterns are equal', () => {
    const pattern = intersect(causal(), perHead([window(3), window(80), window(3)]));
    const mask = compileMask(pattern, { queries: 100, keys: 100, heads: 5 });
    expect(mask.rows).toHaveLength(2);
    expect([...mask.headRows]).toEqual([0, 1, 0, 0, 1]);
  });

  it('keeps a few blocks for each of a million queries, and as few for a step of a decoder', () => {
    const pattern = intersect(causal(), union(window(512), sinks(4)));
    const n = 1_000_000;
    const { rows, bitmaps } = compileMask(pattern, { queries: n, keys: n, heads: 32 });
    expect(rows).toHaveLength(1);
    // The diagonal, the far edge of the window, the sinks, and the one block where that edge meets the sinks.
    expect(bitmaps.length / BITMAP_WORDS).toBe(4);
    expect(rows[0]?.column.length).toBe(15_625 * 10 - 36 - 9);
    const step = compileMask(pattern, { queries: 1, keys: n, heads: 32 });
    expect(step.rows[0]?.column.length).toBe(10);
  });

  it('does not look at global tokens outside the window they are intersected with', () => {
    let reads = 0;
    const positions = new Proxy(
      Array.from({ length: 10_000 }, (_, i) => i * 2),
      {
        get(list, key, receiver) {
          reads++;
          return Reflect.get(list, key, receiver);
        },
      },
    );
    const pattern: Pattern = { kind: 'intersect', of: [{ kind: 'global', positions, direction: 'keys' }, window(256)] };
    const { rows } = compileMask(pattern, { queries: 20_000, keys: 20_000, heads: 1 });
    expect(rows[0]?.column.length).toBe(313 * 9 - 20);
    // All tokens for each of the 313 query blocks would be millions; the window holds 300 of them.
    expect(reads).toBeLessThan(1_500_000);
  });

  it('handles parameters up to 2^53 - 1', () => {
    const most = Number.MAX_SAFE_INTEGER;
    const all = compileMask(union(window({ left: most, right: most, dilation: 1 })), {
      queries: 64,
      keys: 64,
      heads: 1,
    });
    expect([...(all.rows[0]?.bitmap ?? [])]).toEqual([FULL_BLOCK]);
    const diagonal = compileMask(window({ left: most, right: most, dilation: most }), {
      queries: 99,
      keys: 99,
      heads: 1,
    });
    const dense = toDense(diagonal, 0);
    expect(dense.every((bit, i) => bit === (i % 100 === 0 ? 1 : 0))).toBe(true);
    expect(compileMask(sinks(most), { queries: 1, keys: 1, heads: 1 }).bitmaps[0]).toBe(1);
    expect(
      compileMask(globalTokens({ positions: [most] }), { queries: 9, keys: 9, heads: 1, length: Infinity }).rows[0]
        ?.column,
    ).toHaveLength(0);
  });

  it('refuses lengths and parameters that make no sense, by name', () => {
    const options = { queries: 8, keys: 8, heads: 1 };
    expect(() => compileMask(dense(), { ...options, queries: -1 })).toThrow(/queries is -1/);
    expect(() => compileMask(dense(), { ...options, keys: 1.5 })).toThrow(ArgumentError);
    expect(() => compileMask(dense(), { ...options, heads: 0 })).toThrow(/heads is 0/);
    expect(() => compileMask(dense(), { ...options, queryOffset: NaN })).toThrow(/queryOffset is NaN/);
    expect(() => compileMask({ kind: 'window', left: -3, right: 0 }, options)).toThrow(PatternError);
    expect(() => compileMask(dense(), { ...options, length: 7 })).toThrow(
      /length is 7; it must be an integer from 8 on, or/,
    );
  });

  it('refuses a pattern that is not meant for the text, where the text is known', () => {
    const grid: Pattern = { kind: 'axial', grid: [3, 4], axes: [[0]] };
    const square = { queries: 9, keys: 9, heads: 1 };
    expect(() => compileMask(grid, square)).toThrow('axial is for a grid of 3 x 4 = 12 cells; the text has 9 tokens');
    expect(() => compileMask(globalTokens({ positions: [9] }), square)).toThrow(PatternError);
    // Of a text of 12, the first 9 tokens.
    expect(toDense(compileMask(grid, { ...square, length: 12 }), 0)).toEqual(
      toDense(compileMask(grid, { ...square, length: Infinity }), 0),
    );
    // More queries than keys, from position 3 on.
    expect(compileMask(grid, { queries: 9, keys: 2, heads: 1, queryOffset: 3 }).queries).toBe(9);
  });
});
