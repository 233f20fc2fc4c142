import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { clipFactor, globalNorm, nonFinite } from './gradient-norm.ts';

const arrays = fc.array(fc.float32Array({ noNaN: true, noDefaultInfinity: true, maxLength: 9 }), { maxLength: 5 });

describe('globalNorm', () => {
  it('is that of all elements in one vector', () => {
    fc.assert(
      fc.property(arrays, (gradients) => {
        const expected = Math.hypot(...gradients.flatMap((gradient) => [...gradient]));
        expect(Math.abs(globalNorm(gradients) - expected)).toBeLessThanOrEqual(1e-12 * expected);
      }),
    );
  });

  it('is finite where all elements are, up to the largest float32', () => {
    const largest = 3.4028234663852886e38;
    expect(globalNorm([new Float32Array(10_000).fill(largest)])).toBeCloseTo(100 * largest, -30);
    for (const bad of [Infinity, -Infinity, Number.NaN]) {
      for (let at = 0; at < 7; at++) {
        const gradient = new Float32Array(7).fill(1);
        gradient[at] = bad;
        expect(Number.isFinite(globalNorm([Float32Array.of(1), gradient]))).toBe(false);
        expect(nonFinite([Float32Array.of(1), gradient, new Float32Array(0)])).toEqual([1]);
      }
    }
  });
});

describe('clipFactor', () => {
  it('brings a longer norm down to the limit, and leaves a shorter one', () => {
    expect(clipFactor(8, 2)).toBe(0.25);
    expect(clipFactor(2, 2)).toBe(1);
    expect(clipFactor(0, 2)).toBe(1);
    expect(clipFactor(5, Infinity)).toBe(1);
  });
});
