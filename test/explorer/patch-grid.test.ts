import { describe, expect, it } from 'vitest';
import { gridOf, layersUntilRead, PRESETS, readsOf, withGrid } from '../../explorer/src/content/image/patch-grid.ts';
import { charactersOf, sumOf, tokensOf } from '../../explorer/src/content/text/characters.ts';
import { receptiveField } from '../../src/mask/index.ts';
import { allows, parsePattern } from '../../src/pattern/index.ts';

const grid = { rows: 6, columns: 8 };
const tokens = grid.rows * grid.columns;

describe('patches', () => {
  it.each(PRESETS.map(({ title, patterns }) => [title, patterns(grid)] as const))(
    '%s: what is read, and by whom',
    (_, texts) => {
      const patterns = texts.map((text) => parsePattern(text));
      const reads = texts.map((text) => readsOf(text, tokens, 0, 1));
      for (const patch of [0, 21, tokens - 1]) {
        const found = layersUntilRead(reads, tokens, patch, 4);
        const first = (k: number) => k === patch || allows(patterns[0], { head: 0, q: patch, k });
        expect([...found].map((layers) => layers <= 1)).toEqual(Array.from({ length: tokens }, (_, k) => first(k)));
        for (let layers = 1; layers <= 4; layers++) {
          const { count } = receptiveField(patterns, { length: tokens, layers, query: patch });
          expect(found.filter((own) => own <= layers).length).toBe(count);
        }
        const readers = layersUntilRead(reads, tokens, patch, 4, true);
        for (let q = 0; q < tokens; q += 5) {
          expect(readers[q]).toBe(layersUntilRead(reads, tokens, q, 4)[patch]);
        }
      }
    },
  );

  it('finds the grid of a pattern, and puts another in its place', () => {
    const text = 'causal&(window:3+axial(grid=[6,8],axes=[[0],[1]]))';
    expect(gridOf(parsePattern(text))).toEqual(grid);
    expect(gridOf(parsePattern('window:3'))).toBeUndefined();
    expect(gridOf(parsePattern(withGrid(text, { rows: 9, columns: 12 })))).toEqual({ rows: 9, columns: 12 });
  });
});

describe('characters', () => {
  it('are the bytes that they take, after the start', () => {
    const text = 'aé海😀b';
    const bytes = [...new TextEncoder().encode(text)];
    expect([...tokensOf(text)]).toEqual([256, ...bytes]);
    const characters = charactersOf(text);
    expect(characters.map(({ first, end }) => [first, end])).toEqual([
      [1, 2],
      [2, 4],
      [4, 7],
      [7, 11],
      [11, 12],
    ]);
    expect(sumOf(characters[2], [...tokensOf(text)])).toBe(bytes[3] + bytes[4] + bytes[5]);
  });
});
