import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { describe, expect, it } from 'vitest';
import { ArgumentError } from '../../errors.ts';
import { compileMask } from '../../mask/index.ts';
import { dense } from '../../pattern/index.ts';
import { referenceAttention } from '../reference.ts';
import type { Tensor } from '../types.ts';
import { MAXIMUM_DEPTH, MAXIMUM_PARTS } from './check.ts';
import { scoreFunction } from './evaluate.ts';
import type { Expression } from './expression.ts';
import * as e from './expression.ts';
import type { ScoreModifier } from './modifier.ts';
import {
  additiveBias,
  alibi,
  alibiSlopes,
  composeScores,
  relativePositions,
  renameParameter,
  softcap,
  swinBias2d,
  t5Buckets,
} from './modifiers.ts';

const root = fileURLToPath(new URL('../../../', import.meta.url));
const folder = join(process.env.FARFIELD_GOLDEN ?? join(root, '../shared/golden'), 'kernels');
const table = (...shape: number[]) => ({
  data: Float32Array.from({ length: shape.reduce((product, size) => product * size, 1) }, (_, i) => i),
  shape,
});
const pair = { score: 0, q: 0, k: 0, row: 0, head: 0, batch: 0 };

describe.skipIf(!existsSync(folder))('T5 buckets', () => {
  it.each(['flex_t5_bidirectional', 'flex_t5_causal_window'])('are those of %s', (name) => {
    const { params } = JSON.parse(readFileSync(join(folder, name, 'case.json'), 'utf8'));
    const file = readFileSync(join(folder, name, 'io.safetensors'));
    const header = Number(file.readBigUInt64LE(0));
    const { data_offsets: range } = JSON.parse(file.toString('utf8', 8, 8 + header)).bucket_of_offset;
    const [start, end] = range.map((offset: number) => 8 + header + offset);
    const buckets = new Int32Array(new Uint8Array(file.subarray(start, end)).buffer);
    const { bidirectional, buckets: count, max_distance: maxDistance } = params.score;
    // The table holds each bucket's number, so the modifier returns it.
    const bucket = scoreFunction(t5Buckets({ table: table(count, 1), bidirectional, maxDistance }));
    const last = params.L - 1;
    expect(Array.from(buckets, (_, i) => bucket({ ...pair, q: last, k: i }))).toEqual([...buckets]);
  });
});

describe('ready-made modifiers', () => {
  it('T5 buckets by their formula, far out', () => {
    const bucket = scoreFunction(t5Buckets({ table: table(32, 1), bidirectional: false, maxDistance: 128 }));
    for (const distance of [0, 15, 16, 17, 20, 40, 100, 127, 128, 1e6]) {
      const large = 16 + Math.floor((Math.log(distance / 16) / Math.log(128 / 16)) * 16);
      expect(bucket({ ...pair, q: distance }), `${distance}`).toBe(distance < 16 ? distance : Math.min(31, large));
      expect(bucket({ ...pair, k: distance })).toBe(0);
    }
  });

  it("ALiBi's slopes for powers of two and between", () => {
    expect([...alibiSlopes(8)]).toEqual([1, 2, 3, 4, 5, 6, 7, 8].map((i) => 2 ** -i));
    // Press et al.: for 12 heads those of 8, then every second one of 16.
    expect([...alibiSlopes(12)]).toEqual([1, 2, 3, 4, 5, 6, 7, 8, 0.5, 1.5, 2.5, 3.5].map((i) => Math.fround(2 ** -i)));
    expect(() => alibiSlopes(0)).toThrow(/heads must be a positive integer, got 0/);
  });

  it("Swin's index, as its authors make it", () => {
    const [rows, columns] = [3, 5];
    const size = rows * columns;
    const index = scoreFunction(swinBias2d({ window: [rows, columns], table: table(5 * 9, 1) }));
    for (let i = 0; i < size; i++) {
      for (let j = 0; j < size; j++) {
        const dy = Math.floor(i / columns) - Math.floor(j / columns) + rows - 1;
        const dx = (i % columns) - (j % columns) + columns - 1;
        // In the fourth window, whatever the window.
        expect(index({ ...pair, q: 3 * size + i, k: 3 * size + j })).toBe(dy * (2 * columns - 1) + dx);
      }
    }
  });

  it('a relative table ends with its border values', () => {
    const score = scoreFunction(relativePositions(table(2, 7)));
    const at = (q: number, k: number, head: number) => score({ ...pair, score: 100, q, k, head });
    expect([at(9, 9, 0), at(9, 11, 0), at(9, 40, 0), at(40, 9, 1)]).toEqual([103, 105, 106, 107]);
    const shifted = scoreFunction(relativePositions(table(1, 4), { zero: 3 }));
    expect(shifted({ ...pair, q: 5, k: 4 })).toBe(2);
  });

  it('biases are broadcast along axes of size 1', () => {
    const full = scoreFunction(additiveBias(table(2, 3, 4)));
    expect(full({ ...pair, head: 1, row: 2, k: 3, q: 99 })).toBe(23);
    const keys = scoreFunction(additiveBias(table(2, 1, 1, 4)));
    expect(keys({ ...pair, batch: 1, head: 7, row: 9, k: 2 })).toBe(6);
  });

  it('compose in their order', () => {
    const cap = softcap(5);
    const slopes = alibi({ slopes: new Float32Array([2]) });
    const first = scoreFunction(composeScores(cap, slopes));
    const last = scoreFunction(composeScores(slopes, cap));
    const at = { ...pair, score: 7, q: 4, k: 1 };
    expect(first(at)).toBeCloseTo(5 * Math.tanh(7 / 5) - 6, 12);
    expect(last(at)).toBeCloseTo(5 * Math.tanh((7 - 6) / 5), 12);
    const two = [alibi({ slopes: new Float32Array([1]) }), alibi({ slopes: new Float32Array([2]), symmetric: true })];
    expect(() => composeScores(...two)).toThrow(/different parameters named 'slopes'/);
    const both = composeScores(two[0], renameParameter(two[1], 'slopes', 'symmetric'));
    expect(Object.keys(both.parameters ?? {})).toEqual(['slopes', 'symmetric']);
    expect(scoreFunction(both)(at)).toBe(7 - 3 - 6);
  });

  const bad: [string, () => ScoreModifier, RegExp][] = [
    ['a table of other axes', () => relativePositions(table(7)), /table must be \[H, 2R \+ 1\], got \[7\]/],
    ['a table without a middle', () => relativePositions(table(2, 6)), /6 columns has no middle one/],
    ['a zero outside', () => relativePositions(table(2, 6), { zero: 6 }), /column from 0 to 5, got 6/],
    ['odd buckets', () => t5Buckets({ table: table(31, 2), bidirectional: true }), /31 buckets cannot be divided/],
    [
      'a distance that leaves nothing',
      () => t5Buckets({ table: table(32, 2), bidirectional: false, maxDistance: 16 }),
      /maxDistance must be an integer above 16, got 16/,
    ],
    [
      'another window',
      () => swinBias2d({ window: [2, 2], table: table(8, 2) }),
      /2 x 2 needs a table of 9 rows, got 8/,
    ],
    [
      'a bias of two axes',
      () => additiveBias(table(4, 4)),
      /the bias must be \[H, N, M\] or \[B, H, N, M\], got \[4, 4\]/,
    ],
    ['a cap of zero', () => softcap(0), /cap must be a finite number above 0, got 0/],
  ];
  it.each(bad)('refuse %s', (_, make, message) => {
    expect(make).toThrow(ArgumentError);
    expect(make).toThrow(message);
  });
});

describe('bad expressions', () => {
  const tensor: Tensor = { data: new Float32Array(2 * 3 * 4), shape: [1, 2, 3, 4] };
  const run = (score: unknown) => () =>
    referenceAttention({ q: tensor, k: tensor, v: tensor, score: score as ScoreModifier });
  const withTable = (expression: unknown, shape: unknown = [5], data: unknown = new Float32Array(5)) => ({
    expression,
    parameters: { table: { data, shape } },
  });
  const deep = (depth: number): Expression => (depth === 0 ? e.score : e.neg(deep(depth - 1)));
  const wide = (depth: number): Expression => (depth === 0 ? e.score : e.add(wide(depth - 1), wide(depth - 1)));
  const cases: [string, unknown, RegExp][] = [
    ['no modifier', 7, /score must be a modifier \{ expression, parameters \}, got 7/],
    ['a bare expression', e.score, /score must be a modifier/],
    [
      'an unknown operation',
      { expression: { kind: 'sin', of: e.score } },
      /expression\.kind is 'sin', which is no operation/,
    ],
    [
      'a missing operand',
      { expression: e.add(e.score, { kind: 'neg' } as Expression) },
      /expression\.right\.of must be an expression, got undefined/,
    ],
    [
      'a constant that is not finite',
      { expression: e.mul(e.score, 1e39) },
      /expression\.right\.value must be a finite float32 number/,
    ],
    [
      'an unknown parameter',
      withTable(e.add(e.lookup('table', e.head), e.lookup('tabel', e.head))),
      /expression\.right looks up 'tabel'; the parameters are 'table'/,
    ],
    ['a name of Object', { expression: e.lookup('toString', e.head) }, /looks up 'toString'; the parameters are none/],
    [
      'another number of indices',
      withTable(e.lookup('table', e.head, e.k)),
      /gives 2 indices to 'table', whose shape \[5\] has 1 axis/,
    ],
    ['a parameter that is not used', withTable(e.score), /'table' is looked up nowhere/],
    [
      'numbers that do not fill the shape',
      withTable(e.lookup('table', e.head), [6]),
      /has 5 numbers, its shape \[6\] needs 6/,
    ],
    ['a shape of no axes', withTable(e.lookup('table'), []), /must be one to 4 positive sizes, got \[\]/],
    ['other arrays', withTable(e.lookup('table', e.head), [5], [1, 2]), /'table' must be a Float32Array/],
    [
      'too few keys',
      {
        expression: e.lookup('f', e.k, e.head),
        parameters: { f: { data: new Float32Array(4), shape: [2, 2] } },
      },
      /indexes axis 0 of 'f' \[2, 2\] by k, which runs to 2: the axis must be 1 or at least 3/,
    ],
    ['too deep', { expression: deep(MAXIMUM_DEPTH) }, /nested more than 64 deep/],
    ['too large', { expression: wide(Math.ceil(Math.log2(MAXIMUM_PARTS))) }, /more than 2048 parts/],
  ];
  it.each(cases)('%s', (_, score, message) => {
    expect(run(score)).toThrow(ArgumentError);
    expect(run(score)).toThrow(message);
  });

  it('positions that float32 cannot hold', () => {
    const mask = compileMask(dense(), { queries: 3, keys: 3, heads: 2, queryOffset: 2 ** 24 });
    const score = { expression: e.sub(e.score, e.k) };
    expect(() => referenceAttention({ q: tensor, k: tensor, v: tensor, mask, score })).toThrow(
      /positions reach 16777219; expressions are exact up to 16777216/,
    );
  });
});
