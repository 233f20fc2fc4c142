import { describe, expect, it } from 'vitest';
import { allows } from '../allows.ts';
import { causal, perHead, window } from '../constructors.ts';
import { checkPatternFits } from '../fits.ts';
import { drawDistinct } from '../kinds/random-draw.ts';
import type { Pattern } from '../pattern.ts';
import {
  axial,
  bigBird,
  blockBert,
  blockPermutation,
  neighbourhood,
  randomBlocks,
  randomTokens,
  shiftedWindows,
} from './blocks.ts';
import { ball, slidingTile } from './grids.ts';
import { hybridHeads, layerPattern, perLayer } from './heads.ts';
import {
  columns,
  documents,
  fixed,
  globalLocal,
  longT5TransientGlobal,
  shift,
  strided,
  verticalSlash,
} from './sparse.ts';

/** The keys below n that query q sees. */
function seen(pattern: Pattern, q: number, n: number, head = 0): number[] {
  return Array.from({ length: n }, (_, k) => k).filter((k) => allows(pattern, { head, q, k }));
}

describe('constructors', () => {
  const wrong: [string, () => unknown, RegExp][] = [
    ['strided', () => strided(0), /^strided stride is 0; it must be an integer from 1 /],
    ['fixed', () => fixed({ stride: 8, summary: 9 }), /summary is 9; with offset 0 it must not exceed the stride 8/],
    ['fixed heads', () => fixed({ stride: 8, summary: 3, heads: 3 }), /3 times 3 columns do not fit a block of 8/],
    ['columns', () => columns({ start: 3, count: 3, period: 5 }), /must not reach past the period 5/],
    ['permutation twice', () => blockPermutation({ block: 4, permutations: [[0, 2, 2]] }), /\[2\] is 2, there twice/],
    ['permutation beyond', () => blockPermutation({ block: 4, permutations: [[0, 3]] }), /\[1\] is 3, beyond the last/],
    [
      'axis',
      () => axial({ grid: [4, 5], axes: [2] }),
      /axes\[0\]\[0\] is 2, not an axis of the grid, which has 0 to 1/,
    ],
    ['axis twice', () => axial({ grid: [4, 5], axes: [[1, 1]] }), /axes\[0\]\[0\] is 1, there twice/],
    ['grid', () => axial({ grid: [4, 0], axes: [1] }), /axial grid\[1\] is 0; it must be an integer from 1 /],
    ['tile', () => neighbourhood({ grid: [4, 5], radius: 1, tile: 2 }), /tile\[1\] is 2; it must divide the 5 cells/],
    ['ball', () => ball({ grid: [4, 5], distance: 0 }), /distance is 0; it must be a number above 0/],
    ['norm', () => ball({ grid: [4, 5], distance: 2, p: 1.5 }), /ball p is 1.5/],
    [
      'kernel',
      () => slidingTile({ grid: [4, 6], tile: [2, 3], kernel: [4, 4] }),
      /kernel\[1\] is 4; .* multiple of the tile's 3 cells, at most 6/,
    ],
    [
      'tiles',
      () => slidingTile({ grid: [4, 5], tile: [2, 3], kernel: [2, 3] }),
      /grid\[1\] is 5; .* the tile's 3 cells/,
    ],
    ['axes', () => slidingTile({ grid: [4, 5], tile: [2], kernel: [2, 5] }), /tile is a list of 1/],
    ['huge grid', () => axial({ grid: [2 ** 20, 2 ** 20], axes: [1] }), /cells; at most 4294967296 are possible/],
    ['radius', () => neighbourhood({ grid: [4, 5], radius: [1] }), /radius has 1 number; .* each of the 2 axes/],
    [
      'clamped',
      () => neighbourhood({ grid: [4, 5], radius: 2, border: 'clamp' }),
      /of 5 cells must fit the 4 of the axis/,
    ],
    [
      'dilation',
      () => neighbourhood({ grid: [4], radius: 1, dilation: 0 }),
      /dilation\[0\] is 0; it must be .* from 1 /,
    ],
    [
      'shift',
      () => shiftedWindows({ grid: [4], window: 2, shift: 2 }),
      /shift\[0\] is 2; it must be below the window of 2/,
    ],
    [
      'overlap',
      () =>
        documents({
          spans: [
            [0, 5],
            [4, 6],
          ],
        }),
      /starts\[1\] is 4; document 0 ends at 5, .* not overlap/,
    ],
    ['span', () => documents({ spans: [[5, 3]] }), /spans\[0\]\[1\] is 3; it must be an integer from 5 /],
    ['tables', () => bigBird({ block: 8, random: 1, tables: [[[0]]] }), /random is 1 beside tables/],
    ['slash', () => verticalSlash({ vertical: [], slash: [-1] }), /slash\[0\] is -1/],
    ['no heads', () => hybridHeads({ size: 3 }), /no head; give one of the kinds/],
    ['layer', () => layerPattern(perLayer([causal()]), -1), /layer is -1/],
    ['no layers', () => perLayer([]), /layers is a list of 0; it must be a list of at least 1/],
    ['nested heads', () => perHead([shift(perHead([causal()]), {})]), /perHead inside another perHead/],
  ];
  it.each(wrong)('refuse a wrong %s', (_, run, message) => {
    expect(run).toThrow(message);
  });

  it('turn ids that come in runs into documents, and others into groups', () => {
    expect(documents({ ids: [7, 7, -1, 3, 3, 3] })).toEqual({ kind: 'documents', lengths: [2, 3], starts: [0, 3] });
    expect(documents({ ids: [1, 2, 1] })).toEqual({ kind: 'groups', ids: [1, 2, 1] });
  });

  it('give BlockBERT heads of two blocks, straight and crossed', () => {
    const pattern = blockBert({ block: 2, blocks: 2, shifts: [0, 0, 1] });
    expect([0, 1, 2].map((head) => seen(pattern, 0, 4, head))).toEqual([
      [0, 1],
      [0, 1],
      [2, 3],
    ]);
  });

  it('place the summaries of LongT5 before its tokens', () => {
    const pattern = longT5TransientGlobal({ summaries: 3, radius: 1 });
    expect(seen(pattern, 3 + 4, 10)).toEqual([0, 1, 2, 6, 7, 8]);
  });

  it('build ETC from global and local', () => {
    expect(seen(globalLocal({ global: 2, window: 1 }), 5, 9)).toEqual([0, 1, 4, 5, 6]);
    expect(seen(globalLocal({ global: 2, window: 1 }), 1, 9)).toEqual([0, 1, 2, 3, 4, 5, 6, 7, 8]);
    expect(seen(globalLocal({ global: 2, window: 1, direction: 'keys' }), 1, 9)).toEqual([0, 1, 2]);
  });

  it('count the heads of hybridHeads', () => {
    const { heads } = hybridHeads({ window: 2, dilated: 1, dense: 1, size: 8, dilation: 3, causal: true });
    expect(heads.map((pattern) => seen(pattern, 20, 40).length)).toEqual([9, 9, 7, 21]);
    const others = hybridHeads({ window: 1, others: [{ heads: 2, pattern: causal() }] });
    expect(others.heads).toEqual([window(256), causal(), causal()]);
  });

  it('give layers their patterns in turn', () => {
    const layers = perLayer([causal(), window(3)]);
    expect([0, 1, 2].map((layer) => layerPattern(layers, layer).kind)).toEqual(['causal', 'window', 'causal']);
    expect(layerPattern(causal(), 5)).toEqual(causal());
  });
});

describe('random draws', () => {
  it('are these, on every platform', () => {
    expect(drawDistinct(0, 0, 5, 1000)).toMatchInlineSnapshot(`
      [
        358,
        388,
        420,
        812,
        863,
      ]
    `);
    expect(drawDistinct(2 ** 53 - 1, 2 ** 40, 4, 2 ** 32)).toMatchInlineSnapshot(`
      [
        1558687191,
        2066273292,
        2743728025,
        4132958102,
      ]
    `);
    expect(seen(bigBird({ block: 1, length: 64, seed: 7, perHead: true }), 30, 64, 3)).toMatchInlineSnapshot(`
      [
        0,
        1,
        29,
        30,
        31,
        40,
        48,
        51,
      ]
    `);
  });

  it('are distinct, ascending, in range and even', () => {
    const hits = new Array<number>(20).fill(0);
    for (let row = 0; row < 20_000; row++) {
      const drawn = drawDistinct(3, row, 5, 20);
      expect(new Set(drawn).size).toBe(5);
      expect([...drawn].sort((a, b) => a - b)).toEqual(drawn);
      for (const value of drawn) hits[value] = (hits[value] ?? NaN) + 1;
    }
    // 5000 each is expected; the standard deviation is 61.
    for (const count of hits) expect(Math.abs(count - 5000)).toBeLessThan(300);
  });

  it('are all there are where more are asked for', () => {
    expect(drawDistinct(1, 2, 9, 4)).toEqual([0, 1, 2, 3]);
    expect(drawDistinct(1, 2, 9, 0)).toEqual([]);
  });

  it('leave out the window and the global blocks of BigBird, and stay in the text', () => {
    const pattern = bigBird({ block: 1, window: 5, global: 3, random: 4, seed: 1, length: 40 });
    for (let q = 3; q < 40; q++) {
      const near = [q - 2, q - 1, q, q + 1, q + 2].filter((k) => k >= 3 && k < 40);
      expect(seen(pattern, q, 45)).toHaveLength(3 + near.length + 4 + beyond(q));
    }
    /** The window itself does not end with the text. */
    function beyond(q: number): number {
      return [q + 1, q + 2].filter((k) => k >= 40 && k < 45).length;
    }
  });

  it('differ by head only where asked, and stay in the past without a length', () => {
    const same = randomTokens({ count: 8, seed: 5, length: 1000 });
    const own = randomTokens({ count: 8, seed: 5, length: 1000, perHead: true });
    expect(seen(same, 500, 1000, 0)).toEqual(seen(same, 500, 1000, 1));
    expect(seen(own, 500, 1000, 0)).not.toEqual(seen(own, 500, 1000, 1));
    const past = randomBlocks({ block: 2, count: 3, seed: 9 });
    for (let q = 0; q < 100; q++) expect(Math.max(...seen(past, q, 200))).toBeLessThan(q - (q % 2) + 2);
  });
});

describe('checkPatternFits', () => {
  it('says what does not fit a text', () => {
    checkPatternFits(axial({ grid: [3, 4], axes: [0] }), 12);
    expect(() => checkPatternFits(axial({ grid: [3, 4], axes: [0] }), 13)).toThrow(
      'axial is for a grid of 3 x 4 = 12 cells; the text has 13 tokens',
    );
    expect(() => checkPatternFits(documents({ lengths: [3, 4] }), 8)).toThrow('documents is for 7 tokens');
    expect(() => checkPatternFits({ kind: 'global', positions: [0, 8] }, 8)).toThrow('global has position 8');
    expect(() => checkPatternFits({ kind: 'complement', of: { kind: 'groups', ids: [1] } }, 2)).toThrow(
      'groups is for 1',
    );
  });
});
