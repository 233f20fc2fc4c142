import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { Blocks } from '../../explorer/src/engine/block-limit.ts';
import { crossAt } from '../../explorer/src/engine/cross.ts';
import { fieldByRows } from '../../explorer/src/engine/reach.ts';
import { makeTile, TILE_SIDE } from '../../explorer/src/engine/tile.ts';
import { compileMask, patternBlocks, receptiveField } from '../../src/mask/index.ts';
import { allows } from '../../src/pattern/allows.ts';
import { arbitraryPattern } from '../../src/pattern/arbitrary.ts';
import { type Pattern, parsePattern } from '../../src/pattern/index.ts';

const compile = (pattern: Pattern, tokens: number) =>
  compileMask(pattern, { queries: tokens, keys: tokens, heads: 1, length: Infinity });

/** The two ways to a pattern's blocks: stored, and found when they are asked for. */
const ways: readonly (readonly [string, (pattern: Pattern, tokens: number) => Blocks])[] = [
  ['stored', compile],
  ['found', (pattern, tokens) => patternBlocks(pattern, { queries: tokens, keys: tokens, heads: 1, length: Infinity })],
];

/** Tokens 0 .. n - 1 for which `test` holds. */
const those = (n: number, test: (token: number) => boolean): number[] =>
  Array.from({ length: n }, (_, i) => i).filter(test);

describe('tiles', () => {
  it.each(ways)(
    'hold the share of pairs that the definition allows, at every level, of blocks that are %s',
    (_, blocksOf) => {
      fc.assert(
        fc.property(
          arbitraryPattern(60, 40),
          fc.integer({ min: 16, max: 300 }),
          fc.integer({ min: 0, max: 8 }),
          (pattern, tokens, level) => {
            const mask = blocksOf(pattern, tokens);
            const cell = 2 ** level;
            const last = Math.ceil(tokens / (TILE_SIDE * cell)) - 1;
            const { share } = makeTile(mask, 0, level, last, last);
            const first = last * TILE_SIDE * cell;
            for (const at of [first, first + Math.floor((tokens - 1 - first) / 2), tokens - 1]) {
              for (const [q, k] of [
                [at, at],
                [first, at],
                [at, first],
              ]) {
                const [y, x] = [Math.floor((q - first) / cell), Math.floor((k - first) / cell)];
                const [top, left] = [first + y * cell, first + x * cell];
                const [bottom, right] = [Math.min(tokens, top + cell), Math.min(tokens, left + cell)];
                let pairs = 0;
                for (let query = top; query < bottom; query++)
                  for (let key = left; key < right; key++) if (allows(pattern, { head: 0, q: query, k: key })) pairs++;
                const area = (bottom - top) * (right - left);
                const want = pairs === 0 ? 0 : pairs === area ? 255 : 1 + Math.round((pairs / area) * 253);
                expect(share[y * TILE_SIDE + x]).toBe(want);
              }
            }
          },
        ),
        { numRuns: 60 },
      );
    },
  );

  it.each(ways)('tell full blocks from partial ones, of blocks that are %s', (_, blocksOf) => {
    const { share, isPartial } = makeTile(blocksOf({ kind: 'causal' }, 256), 0, 6, 0, 0);
    const cell = (row: number, column: number) => [
      share[row * TILE_SIDE + column],
      isPartial[row * TILE_SIDE + column],
    ];
    expect(cell(2, 0)).toEqual([255, 0]);
    expect(cell(2, 2)).toEqual([1 + Math.round((65 / 128) * 253), 1]);
    expect(cell(0, 2)).toEqual([0, 0]);
  });
});

describe('a cell', () => {
  it.each(ways)('says what its query reads and who reads its key, of blocks that are %s', (_, blocksOf) => {
    fc.assert(
      fc.property(
        arbitraryPattern(60, 40),
        fc.integer({ min: 16, max: 200 }),
        fc.nat(),
        fc.nat(),
        (pattern, tokens, a, b) => {
          const [query, key] = [a % tokens, b % tokens];
          const cross = crossAt(blocksOf(pattern, tokens), 0, query, key);
          const reads = those(tokens, (k) => allows(pattern, { head: 0, q: query, k }));
          const readers = those(tokens, (q) => allows(pattern, { head: 0, q, k: key }));
          expect(cross.isAllowed).toBe(allows(pattern, { head: 0, q: query, k: key }));
          for (const [line, tokens] of [
            [cross.reads, reads],
            [cross.readers, readers],
          ] as const) {
            expect(line.count).toBe(tokens.length);
            expect(line.runCount).toBe(tokens.filter((token, i) => token !== (tokens[i - 1] ?? -2) + 1).length);
            const named = line.runs.flatMap(([start, end]) => those(end, (token) => token >= start));
            expect(named).toEqual(tokens.slice(0, named.length));
            if (line.runCount === line.runs.length) expect(named.length).toBe(tokens.length);
          }
        },
      ),
      { numRuns: 100 },
    );
  });
});

describe('over a million tokens', () => {
  const tokens = 2 ** 20;
  it.each([
    'dense',
    'causal',
    'strided(stride=12)',
    'causal&!window:1000',
    'columns(start=1,count=3,period=7)|causal&rows(start=5,count=1,period=9)',
  ])('cells of %s are what the definition allows, near and far', (text) => {
    const pattern = parsePattern(text);
    const blocks = patternBlocks(pattern, { queries: tokens, keys: tokens, heads: 2 });
    const head = 1;
    // Single pairs, at places all over the matrix.
    for (const [row, column] of [
      [4095, 0],
      [2048, 2047],
      [3333, 1111],
      [0, 4095],
    ]) {
      const { share } = makeTile(blocks, head, 0, column, row);
      for (let i = 0; i < 500; i++) {
        const [y, x] = [(i * 37) % TILE_SIDE, (i * 101) % TILE_SIDE];
        const [q, k] = [row * TILE_SIDE + y, column * TILE_SIDE + x];
        expect(share[y * TILE_SIDE + x] > 0).toBe(allows(pattern, { head, q, k }));
      }
    }
    // Cells of 512 x 512 pairs hold what is counted one by one.
    const cell = 512;
    for (const [row, column, y, x] of [
      [7, 0, 255, 0],
      [4, 4, 31, 31],
      [3, 1, 100, 99],
      [0, 7, 20, 200],
    ]) {
      const { share } = makeTile(blocks, head, 9, column, row);
      const [top, left] = [(row * TILE_SIDE + y) * cell, (column * TILE_SIDE + x) * cell];
      let pairs = 0;
      for (let q = top; q < top + cell; q++)
        for (let k = left; k < left + cell; k++) if (allows(pattern, { head, q, k })) pairs++;
      const want = pairs === 0 ? 0 : pairs === cell ** 2 ? 255 : 1 + Math.round((pairs / cell ** 2) * 253);
      expect(share[y * TILE_SIDE + x]).toBe(want);
    }
  });
});

describe('the tokens that one depends on', () => {
  it('are found by rows as receptiveField() finds them', () => {
    fc.assert(
      fc.property(
        fc.array(arbitraryPattern(60, 40), { minLength: 1, maxLength: 3 }),
        fc.integer({ min: 16, max: 300 }),
        fc.nat(),
        fc.integer({ min: 0, max: 5 }),
        fc.integer({ min: 1, max: 2 }),
        (patterns, length, at, layers, heads) => {
          const options = { length, query: at % length, layers, heads };
          const blocks = patterns.map((own) =>
            patternBlocks(own, { queries: length, keys: length, heads, length: Infinity }),
          );
          const { count, ranges } = receptiveField(patterns.length === 1 ? patterns[0] : patterns, options);
          expect(fieldByRows(blocks, options)).toEqual({ count, ranges });
        },
      ),
      { numRuns: 200 },
    );
  });
});
