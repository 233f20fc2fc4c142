/** A number, and how far it may be off. */
export interface Estimate {
  readonly value: number;
  /**
   * 0 where `value` is exact, or all that was drawn agrees. For a mean over a sample of tokens its standard error; for an eigenvalue the norm of its
   * residual, within which an eigenvalue of the matrix lies.
   */
  readonly error: number;
}

export function exactly(value: number): Estimate {
  return { value, error: 0 };
}

/** Tokens that stand for all: the first `certain` of them are taken on purpose, the others are drawn from all that are left. */
export interface TokenSample {
  readonly tokens: readonly number[];
  readonly certain: number;
  readonly population: number;
}

/**
 * The mean of a value over all tokens, from its values for the tokens of a sample: those taken on purpose count once, the
 * mean of the drawn ones stands for all others. With the standard error of a stratified mean, in which only the drawn
 * stratum varies: s / sqrt(m) sqrt(1 - m / M) for m drawn from M (Cochran, Sampling Techniques, sections 2.6 and 5.4).
 */
export function meanOverTokens(values: readonly number[], { certain, population }: TokenSample): Estimate {
  if (population === 0) return exactly(0);
  const drawn = values.slice(certain);
  const others = population - certain;
  const m = drawn.length;
  const mean = m === 0 ? 0 : sum(drawn) / m;
  const value = (sum(values.slice(0, certain)) + others * mean) / population;
  if (m >= others) return exactly(value);
  if (m < 2) return { value, error: Infinity };
  const variance = sum(drawn.map((own) => (own - mean) ** 2)) / (m - 1);
  return { value, error: (Math.sqrt((variance / m) * (1 - m / others)) * others) / population };
}

/**
 * The sum of one value over the sum of another, over all tokens; null where the second is zero. Its standard error is that
 * of the mean of the residuals y - R x, over the mean of x (Cochran, section 2.11).
 */
export function ratioOverTokens(y: readonly number[], x: readonly number[], sample: TokenSample): Estimate | null {
  const whole = meanOverTokens(x, sample).value;
  if (whole === 0) return null;
  const value = meanOverTokens(y, sample).value / whole;
  const residuals = y.map((own, i) => own - value * (x[i] ?? 0));
  return { value, error: meanOverTokens(residuals, sample).error / whole };
}

function sum(values: readonly number[]): number {
  return values.reduce((total, value) => total + value, 0);
}
