import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { crossAt } from '../../explorer/src/engine/cross.ts';
import { makeTile, TILE_SIDE } from '../../explorer/src/engine/tile.ts';
import { compileMask } from '../../src/mask/index.ts';
import { allows } from '../../src/pattern/allows.ts';
import { arbitraryPattern } from '../../src/pattern/arbitrary.ts';
import type { Pattern } from '../../src/pattern/index.ts';

const compile = (pattern: Pattern, tokens: number) =>
  compileMask(pattern, { queries: tokens, keys: tokens, heads: 1, length: Infinity });

/** Tokens 0 .. n - 1 for which `test` holds. */
const those = (n: number, test: (token: number) => boolean): number[] =>
  Array.from({ length: n }, (_, i) => i).filter(test);

describe('tiles', () => {
  it('hold the share of pairs that the definition allows, at every level', () => {
    fc.assert(
      fc.property(
        arbitraryPattern(60, 40),
        fc.integer({ min: 16, max: 300 }),
        fc.integer({ min: 0, max: 8 }),
        (pattern, tokens, level) => {
          const mask = compile(pattern, tokens);
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
  });

  it('tell full blocks from partial ones', () => {
    const { share, isPartial } = makeTile(compile({ kind: 'causal' }, 256), 0, 6, 0, 0);
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
  it('says what its query reads and who reads its key', () => {
    fc.assert(
      fc.property(
        arbitraryPattern(60, 40),
        fc.integer({ min: 16, max: 200 }),
        fc.nat(),
        fc.nat(),
        (pattern, tokens, a, b) => {
          const [query, key] = [a % tokens, b % tokens];
          const cross = crossAt(compile(pattern, tokens), 0, query, key);
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
