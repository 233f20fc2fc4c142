import { describe, expect, it } from 'vitest';
import { ArgumentError } from '../../errors.ts';
import { noise, noisyArray } from '../testing.ts';
import { adamw } from './adamw.ts';
import { muon } from './muon.ts';
import { orthogonalize } from './orthogonalize.ts';

/** A product of reflections: an orthogonal matrix of a side, in rows. */
function orthogonal(side: number, seed: number): number[][] {
  let q = Array.from({ length: side }, (_, i) => Array.from({ length: side }, (_, j) => Number(i === j)));
  for (let turn = 0; turn < 3; turn++) {
    const v = Array.from({ length: side }, (_, i) => noise(seed + turn, i));
    const norm = v.reduce((sum, value) => sum + value * value, 0);
    q = q.map((row) => {
      const along = row.reduce((sum, value, j) => sum + value * v[j], 0);
      return row.map((value, j) => value - (2 * along * v[j]) / norm);
    });
  }
  return q;
}

/** U diag(values) V^T with the first rows of U and V as singular vectors. */
function withSingularValues(rows: number, columns: number, values: readonly number[]): number[] {
  const [u, v] = [orthogonal(rows, 5), orthogonal(columns, 6)];
  return Array.from({ length: rows * columns }, (_, at) => {
    const [i, j] = [Math.floor(at / columns), at % columns];
    return values.reduce((sum, value, k) => sum + value * u[k][i] * v[k][j], 0);
  });
}

describe('orthogonalize', () => {
  it.each([
    [4, 4],
    [5, 9],
    [9, 5],
    [1, 6],
    [7, 1],
    [11, 3],
  ])('of a %i x %i matrix keeps the singular vectors and passes the values through the polynomial', (rows, columns) => {
    const values = Array.from({ length: Math.min(rows, columns) }, (_, i) => 7 / (i + 1));
    const norm = Math.hypot(...values) + 1e-7;
    const passed = values.map((value) => {
      let s = value / norm;
      for (let step = 0; step < 5; step++) s = 3.4445 * s - 4.775 * s ** 3 + 2.0315 * s ** 5;
      return s;
    });
    for (const s of passed) expect(Math.abs(s - 0.95)).toBeLessThan(0.3);
    const expected = withSingularValues(rows, columns, passed);
    const found = orthogonalize(withSingularValues(rows, columns, values), rows, columns);
    expect(found.length).toBe(rows * columns);
    for (const [i, value] of found.entries()) expect(value).toBeCloseTo(expected[i], 11);
  });

  it('of zeros is zeros', () => {
    expect(orthogonalize(new Float32Array(6), 2, 3)).toEqual(new Float64Array(6));
  });
});

describe('muon', () => {
  const [rows, columns] = [6, 4];

  it('moves matrices along the orthogonalized momentum, in float64 by the formula', () => {
    const parameter = { name: 'w', shape: [rows, columns], data: noisyArray(rows * columns, 1) };
    const optimizer = muon({ weightDecay: 0.3 }).create([parameter]);
    let expected = Float64Array.from(parameter.data);
    let momentum = new Float64Array(rows * columns);
    for (let step = 0; step < 20; step++) {
      const g = noisyArray(rows * columns, 10 + step);
      const rate = 0.01 * (1 + step);
      momentum = momentum.map((value, i) => 0.95 * value + g[i]);
      const o = orthogonalize(
        Float64Array.from(g, (value, i) => value + 0.95 * momentum[i]),
        rows,
        columns,
      );
      expected = expected.map((w, i) => w - rate * (0.2 * Math.sqrt(6) * o[i] + 0.3 * w));
      optimizer.step([g.map((value) => value * 8)], rate, 1 / 8);
    }
    for (const [i, value] of expected.entries()) expect(parameter.data[i]).toBeCloseTo(value, 5);
  });

  it('treats vectors and embeddings as AdamW does', () => {
    const make = () => [
      { name: 'bias', shape: [5], data: noisyArray(5, 2) },
      { name: 'embedding', shape: [3, 2], data: noisyArray(6, 3) },
    ];
    const [own, theirs] = [make(), make()];
    const optimizers = [muon().create(own), adamw().create(theirs)];
    for (let step = 0; step < 5; step++) {
      for (const optimizer of optimizers) optimizer.step([noisyArray(5, step), noisyArray(6, step)], 0.01);
    }
    expect(own).toEqual(theirs);
  });

  it('refuses a momentum of 1', () => {
    expect(() => muon({ momentum: 1 })).toThrow(ArgumentError);
  });
});
