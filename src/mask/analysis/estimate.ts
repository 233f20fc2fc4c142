/** A number, and how far it may be off. */
export interface Estimate {
  readonly value: number;
  /**
   * 0 where `value` is exact. For a mean over a sample of tokens its standard error; for an eigenvalue the norm of its
   * residual, within which an eigenvalue of the matrix certainly lies.
   */
  readonly error: number;
}

export function exactly(value: number): Estimate {
  return { value, error: 0 };
}

/**
 * The mean of a sample drawn without replacement from `population` values, with its standard error
 * s / sqrt(m) sqrt(1 - m / population) (Cochran, Sampling Techniques, section 2.6). Exact where the sample is everything.
 */
export function meanOfSample(sample: readonly number[], population: number): Estimate {
  const m = sample.length;
  if (m === 0) return exactly(0);
  const mean = sample.reduce((sum, value) => sum + value, 0) / m;
  if (m >= population) return exactly(mean);
  if (m === 1) return { value: mean, error: Infinity };
  const variance = sample.reduce((sum, value) => sum + (value - mean) ** 2, 0) / (m - 1);
  return { value: mean, error: Math.sqrt((variance / m) * (1 - m / population)) };
}
