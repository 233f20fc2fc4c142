import { describe, expect, it } from 'vitest';
import { ArgumentError } from '../errors.ts';
import { averageWeights } from './weight-average.ts';

describe('averageWeights', () => {
  const parameterOf = (...values: number[]) => ({ name: 'w', shape: [values.length], data: Float32Array.from(values) });

  it('is the recurrence of the definition in float64', () => {
    const parameter = parameterOf(1, -2);
    const average = averageWeights([parameter], 0.75);
    const expected = [1, -2];
    for (let step = 0; step < 60; step++) {
      parameter.data.set([Math.sin(step), step % 3]);
      average.update(step);
      const decay = Math.min(0.75, (1 + step) / (10 + step));
      for (const i of [0, 1]) expected[i] = decay * expected[i] + (1 - decay) * parameter.data[i];
    }
    for (const i of [0, 1]) expect(average.tensors[0].data[i]).toBeCloseTo(expected[i], 6);
  });

  it('changes places with the weights, and back', () => {
    const parameter = parameterOf(3, 4);
    const average = averageWeights([parameter], 0.5);
    parameter.data.set([5, 6]);
    average.exchange();
    expect([[...parameter.data], [...average.tensors[0].data]]).toEqual([
      [3, 4],
      [5, 6],
    ]);
    average.exchange();
    expect([...parameter.data]).toEqual([5, 6]);
  });

  it('refuses a decay that forgets nothing', () => {
    for (const decay of [1, -0.1, Number.NaN]) expect(() => averageWeights([], decay)).toThrow(ArgumentError);
  });
});
