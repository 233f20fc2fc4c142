import { describe, expect, it } from 'vitest';
import { fitPower } from './fit.ts';

describe('fitPower', () => {
  it('finds the exponent that made the points', () => {
    const points = [100, 200, 800, 3000].map((x) => ({ x, y: 0.25 * x ** 1.5 }));
    const fit = fitPower(points);
    expect(fit?.exponent).toBeCloseTo(1.5, 12);
    expect(fit?.factor).toBeCloseTo(0.25, 12);
    expect(fit?.standardError).toBeLessThan(1e-6);
    expect(fit?.r2).toBeCloseTo(1, 12);
  });

  it('has the standard error of a regression', () => {
    // log2: (0, 0), (1, 2), (2, 1). Slope 1/2, residuals -1/2, 1, -1/2: variance 3/2, over the sum of squares 2.
    const fit = fitPower([
      { x: 1, y: 1 },
      { x: 2, y: 4 },
      { x: 4, y: 2 },
    ]);
    expect(fit?.exponent).toBeCloseTo(0.5, 12);
    expect(fit?.standardError).toBeCloseTo(Math.sqrt(1.5 / 2), 12);
    expect(fit?.r2).toBeCloseTo(0.25, 12);
  });

  it('says nothing of one length, or of a time of zero', () => {
    expect(fitPower([{ x: 8, y: 1 }])).toBe(null);
    expect(
      fitPower([
        { x: 8, y: 1 },
        { x: 9, y: 0 },
      ]),
    ).toBe(null);
    const two = fitPower([
      { x: 1, y: 1 },
      { x: 10, y: 100 },
    ]);
    expect(two?.exponent).toBeCloseTo(2, 12);
    expect(two?.standardError).toBe(null);
  });
});
