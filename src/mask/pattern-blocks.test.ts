import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { arbitraryPattern } from '../pattern/arbitrary.ts';
import { arbitraryFamily } from '../pattern/arbitrary-family.ts';
import { type Pattern, parsePattern } from '../pattern/index.ts';
import { attentionCost } from './analysis/index.ts';
import { BITMAP_WORDS, BLOCK_SIDE, FULL_BLOCK } from './block-mask.ts';
import { FULL_LOOK } from './block-reader.ts';
import { compileMask } from './compile.ts';
import { squareGrid } from './density.ts';
import { blocksOfHead, patternBlocks } from './pattern-blocks.ts';
import { rowsOfHead } from './read.ts';
import { statistics } from './statistics.ts';

/** Every block of a head as text: its place, and its bits. */
function listed(pattern: Pattern, options: { queries: number; keys: number; queryOffset?: number }): string[] {
  const { queries, keys } = options;
  const blocks = blocksOfHead(patternBlocks(pattern, { ...options, heads: 1, length: Infinity }), 0);
  const found: string[] = [];
  for (let i = 0; i * BLOCK_SIDE < queries; i++)
    blocks.row(i, 0, Math.ceil(keys / BLOCK_SIDE), (first, end, look) => {
      const bits = [...look.words.subarray(look.start, look.start + BITMAP_WORDS)].join();
      for (let j = first; j < end; j++) found.push(`${i},${j} ${look === FULL_LOOK ? 'full' : bits}`);
    });
  return found;
}

function compiled(pattern: Pattern, options: { queries: number; keys: number; queryOffset?: number }): string[] {
  const mask = compileMask(pattern, { ...options, heads: 1, length: Infinity });
  const { rowStart, column, bitmap } = rowsOfHead(mask, 0);
  const found: string[] = [];
  for (let i = 0; i + 1 < rowStart.length; i++)
    for (let e = rowStart[i]; e < rowStart[i + 1]; e++) {
      const start = bitmap[e] * BITMAP_WORDS;
      const bits = [...mask.bitmaps.subarray(start, start + BITMAP_WORDS)].join();
      found.push(`${i},${column[e]} ${bitmap[e] === FULL_BLOCK ? 'full' : bits}`);
    }
  return found;
}

const patterns = fc.oneof(arbitraryPattern(900, 300), arbitraryFamily(900));
const lengths = fc.integer({ min: 1, max: 900 });

describe('the blocks of a pattern that is not compiled', () => {
  it('are those of the compiled mask', () => {
    fc.assert(
      fc.property(patterns, lengths, lengths, fc.integer({ min: -100, max: 500 }), (pattern, queries, keys, offset) => {
        const options = { queries, keys, queryOffset: offset };
        expect(listed(pattern, options)).toEqual(compiled(pattern, options));
      }),
      { numRuns: 200 },
    );
  });

  it('are counted by squares as the compiled mask counts them', () => {
    fc.assert(
      fc.property(patterns, lengths, lengths, fc.integer({ min: 1, max: 3 }), (pattern, queries, keys, heads) => {
        const options = { queries, keys, heads, length: Infinity };
        const counted = statistics(compileMask(pattern, options));
        const blocks = patternBlocks(pattern, options);
        const own = statistics(blocks);
        // Of scattered patterns the distinct bitmaps are not kept, so their bytes are those of as many as there may be.
        const isScattered = blocks.rows.some((rows) => !rows.countsSquares);
        expect(own.bytes >= counted.bytes).toBe(true);
        expect(isScattered ? { ...own, bytes: counted.bytes } : own).toEqual(counted);
        expect(attentionCost(blocks).pattern).toEqual(attentionCost(compileMask(pattern, options)).pattern);
      }),
      { numRuns: 300 },
    );
  });

  it('make the same cells of a picture', () => {
    fc.assert(
      fc.property(
        patterns,
        lengths,
        lengths,
        fc.constantFrom(1, 48, 64, 128, 192, 256),
        (pattern, queries, keys, side) => {
          const options = { queries, keys, heads: 1, length: Infinity };
          expect(squareGrid(patternBlocks(pattern, options), 0, side)).toEqual(
            squareGrid(compileMask(pattern, options), 0, side),
          );
        },
      ),
      { numRuns: 100 },
    );
  });

  it('are counted over a million tokens as closed forms count them', () => {
    const n = 2 ** 20;
    const count = (text: string) =>
      blocksOfHead(patternBlocks(parsePattern(text), { queries: n, keys: n, heads: 1 }), 0).total();
    expect(count('dense')).toMatchObject({ pairs: n * n, full: 2 ** 28, kept: 2 ** 28 });
    expect(count('causal')).toMatchObject({ pairs: (n * (n + 1)) / 2, kept: (2 ** 14 * (2 ** 14 + 1)) / 2 });
    // Every twelfth key back to the first, and the eleven between the query and the nearest of them.
    const steps = Array.from({ length: 12 }, (_, rest) => Math.floor((n - 1 - rest) / 12));
    const strided = steps.reduce((sum, last) => sum + ((last + 1) * (last + 2)) / 2, 0);
    const near = 11 * n - (11 * 12) / 2;
    expect(count('strided(stride=12)').pairs).toBe(strided + near);
    const odd = n - 7;
    const cut = blocksOfHead(patternBlocks(parsePattern('dense'), { queries: odd, keys: odd, heads: 1 }), 0).total();
    expect(cut).toMatchObject({ pairs: odd * odd, full: (2 ** 14 - 1) ** 2, kept: 2 ** 28, computedPairs: odd * odd });
  });
});
