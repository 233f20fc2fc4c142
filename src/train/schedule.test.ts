import { describe, expect, it } from 'vitest';
import { ArgumentError } from '../errors.ts';
import { checkSchedule, learningRateAt } from './schedule.ts';

describe('learningRateAt', () => {
  it('warms up evenly to the rate, in the last step of the warm-up', () => {
    const rates = [0, 1, 2, 3, 4].map((step) =>
      learningRateAt({ shape: 'constant', learningRate: 8, warmUp: 4 }, step, 100),
    );
    expect(rates).toEqual([2, 4, 6, 8, 8]);
  });

  it('comes down in a line', () => {
    const schedule = { shape: 'linear', learningRate: 10, warmUp: 2, end: 2 } as const;
    const rates = Array.from({ length: 12 }, (_, step) => learningRateAt(schedule, step, 10));
    expect(rates).toEqual([5, 10, 10, 9, 8, 7, 6, 5, 4, 3, 2, 2]);
  });

  it('comes down in half a cosine: half way at the middle, a quarter of the way at a third', () => {
    const schedule = { shape: 'cosine', learningRate: 3, end: 1, steps: 60 } as const;
    const at = (step: number) => learningRateAt(schedule, step, 1000);
    expect(at(0)).toBe(3);
    // cos(pi / 3) = 1/2
    expect(at(20)).toBeCloseTo(2.5, 12);
    expect(at(30)).toBeCloseTo(2, 12);
    expect(at(60)).toBeCloseTo(1, 12);
    expect(at(500)).toBeCloseTo(1, 12);
  });

  it('ends at the end where all steps are warm-up', () => {
    expect(learningRateAt({ shape: 'linear', learningRate: 1, warmUp: 5 }, 5, 5)).toBe(0);
  });
});

describe('checkSchedule', () => {
  it.each([
    [{ learningRate: -1 }, 'learningRate is -1'],
    [{ learningRate: Infinity }, 'learningRate is Infinity'],
    [{ learningRate: 1, end: Number.NaN }, 'end is NaN'],
    [{ learningRate: 1, warmUp: 0.1 }, 'warmUp is 0.1'],
    [{ learningRate: 1, steps: -3 }, 'steps is -3'],
  ])('refuses %j', (fields, message) => {
    expect(() => checkSchedule({ shape: 'cosine', ...fields })).toThrow(ArgumentError);
    expect(() => checkSchedule({ shape: 'cosine', ...fields })).toThrow(message);
  });
});
