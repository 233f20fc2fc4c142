import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { allows, dense, globalTokens, type Pattern, rows, sinks, union, window } from '../../pattern/index.ts';
import { bigBirdPairs } from './bigbird.ts';
import { crossPairs, type Layout, type PackedSequence, rowsOf, withinSequences } from './layout.ts';

/** Sequences of a few tokens, some of which are masked. */
const layouts: fc.Arbitrary<Layout> = fc
  .array(
    fc.record({ length: fc.integer({ min: 1, max: 9 }), masked: fc.uniqueArray(fc.integer({ min: 0, max: 7 })) }),
    {
      minLength: 1,
      maxLength: 4,
    },
  )
  .map((sizes) => {
    let start = 0;
    const sequences = sizes.map(({ length, masked }): PackedSequence => {
      const own = masked.filter((place) => place < length - 1).sort((a, b) => a - b);
      const sequence = { start, length, givenLength: length, masked: own, globals: [] };
      start += length;
      return sequence;
    });
    return { rows: start, sequences };
  });

/** The sequence of a row, and the place in it. */
function placeOf({ sequences }: Layout, row: number): { sequence: PackedSequence; place: number } {
  const sequence = sequences.findLast(({ start }) => start <= row);
  if (sequence === undefined) throw new Error(`row ${row} is in no sequence`);
  return { sequence, place: row - sequence.start };
}

const patterns: [string, Pattern][] = [
  ['all', dense()],
  ['a window', window({ left: 2, right: 1 })],
  ['a window and a first token', union(window(1), sinks(1))],
  ['rows and a global token', union(rows({ count: 1 }), globalTokens({ positions: [2] }))],
];

describe('packed rows', () => {
  it.each(patterns)('see %s of their own sequence, without masked tokens', (_, pattern) => {
    fc.assert(
      fc.property(layouts, (layout) => {
        const packed = withinSequences(pattern, layout);
        for (let q = 0; q < layout.rows; q++) {
          for (let k = 0; k < layout.rows; k++) {
            const [query, key] = [placeOf(layout, q), placeOf(layout, k)];
            const want =
              query.sequence === key.sequence &&
              !key.sequence.masked.includes(key.place) &&
              allows(pattern, { head: 0, q: query.place, k: key.place });
            expect([q, k, allows(packed, { head: 0, q, k })]).toEqual([q, k, want]);
          }
        }
      }),
      { numRuns: 30 },
    );
  });

  it('of a decoder see the text of their own sequence', () => {
    fc.assert(
      fc.property(layouts, layouts, (own, other) => {
        const count = Math.min(own.sequences.length, other.sequences.length);
        const sequences = own.sequences.slice(0, count);
        const memory = { ...other, sequences: other.sequences.slice(0, count) };
        const rows = sequences.reduce((sum, { length }) => sum + length, 0);
        const packed = crossPairs({ rows, sequences, memory });
        for (let q = 0; q < rows; q++) {
          for (let k = 0; k < memory.sequences.reduce((sum, { length }) => sum + length, 0); k++) {
            const key = placeOf(memory, k);
            const isOwn =
              sequences.indexOf(placeOf({ rows, sequences }, q).sequence) === memory.sequences.indexOf(key.sequence);
            const want = isOwn && !key.sequence.masked.includes(key.place);
            expect([q, k, allows(packed, { head: 0, q, k })]).toEqual([q, k, want]);
          }
        }
      }),
      { numRuns: 30 },
    );
  });

  it('are counted from where their sequence starts', () => {
    const sequence = { length: 4, givenLength: 4, masked: [], globals: [1, 3] };
    const layout = {
      rows: 8,
      sequences: [
        { ...sequence, start: 0 },
        { ...sequence, start: 4 },
      ],
    };
    expect(rowsOf(layout, ({ globals }) => globals)).toEqual([1, 3, 5, 7]);
  });
});

describe('bigBirdPairs', () => {
  const block = 2;
  const heads = 2;

  /** How often a key block is listed for a query block of a text of n blocks. */
  function listed(i: number, j: number, n: number, drawn: readonly number[]): number {
    if (i === 0 || i === n - 1) return 1;
    const fixed = new Set([0, i - 1, i, i + 1, n - 1]);
    return (fixed.has(j) ? 1 : 0) + drawn.filter((own) => own === j).length;
  }

  it('counts each pair as often as its block is listed, with drawn blocks and without, in packed texts of all lengths', () => {
    const random = 2;
    const lengths = fc.array(fc.integer({ min: 1, max: 30 }), { minLength: 1, maxLength: 3 });
    fc.assert(
      fc.property(lengths, fc.boolean(), fc.infiniteStream(fc.nat()), (sizes, isDrawn, numbers) => {
        const given = isDrawn ? sizes.slice(0, 1).map((size) => size + 18) : sizes;
        let start = 0;
        const sequences = given.map((length): PackedSequence => {
          const sequence = { start, length, givenLength: length, masked: [], globals: [] };
          start += length;
          return sequence;
        });
        const blocks = (length: number) => Math.ceil(length / block);
        const number = (end: number) => Number(numbers.next().value) % end;
        const table = Array.from({ length: heads }, () =>
          Array.from({ length: blocks(given[0] ?? 0) - 2 }, () => [
            number(blocks(given[0] ?? 0)),
            number(blocks(given[0] ?? 0)),
          ]),
        );
        const layout: Layout = { rows: start, sequences, ...(isDrawn ? { randomBlocks: [table] } : {}) };
        const pairs = bigBirdPairs(layout, { block, random, heads }, 0);
        for (let head = 0; head < heads; head++) {
          for (let q = 0; q < start; q++) {
            for (let k = 0; k < start; k++) {
              const [query, key] = [placeOf(layout, q), placeOf(layout, k)];
              const got = pairs.reduce(
                (sum, { pattern, weight }) => sum + (allows(pattern, { head, q, k }) ? weight : 0),
                0,
              );
              const { givenLength } = query.sequence;
              const [i, j] = [Math.floor(query.place / block), Math.floor(key.place / block)];
              const drawn = isDrawn ? (table[head]?.[i - 1] ?? []) : [0, 0];
              const isFull = givenLength <= (5 + 2 * random) * block;
              const want = query.sequence !== key.sequence ? 0 : isFull ? 1 : listed(i, j, blocks(givenLength), drawn);
              expect([head, q, k, got]).toEqual([head, q, k, want]);
            }
          }
        }
      }),
      { numRuns: 12 },
    );
  });

  it('refuses tables that do not fit the text or the model', () => {
    const sequence = { start: 0, length: 30, givenLength: 30, masked: [], globals: [] };
    const of = (randomBlocks: number[][][]) => () =>
      bigBirdPairs({ rows: 30, sequences: [sequence], randomBlocks: [randomBlocks] }, { block, random: 2, heads }, 0);
    const row = Array(13).fill([1, 2]);
    expect(of([row])).toThrow('randomBlocks has tables for 1 head; the model has 2');
    expect(of([row, row.slice(1)])).toThrow('randomBlocks has 12 rows for head 1; a text of 15 blocks needs 13');
    expect(of([row, [...row.slice(1), [15]]])).toThrow('randomBlocks names block 15 for head 1; there are 15');
  });
});
