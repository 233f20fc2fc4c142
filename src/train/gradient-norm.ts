/** The size of all gradients together, for clipping; the same pass tells whether all are finite. */

/**
 * The Euclidean norm over all elements of all gradients, summed in float64 in a fixed order. Squares of float32 numbers do not
 * overflow there, so the norm is finite where, and only where, every element is.
 */
export function globalNorm(gradients: readonly Float32Array[]): number {
  let sum = 0;
  for (const gradient of gradients) sum += sumOfSquares(gradient);
  return Math.sqrt(sum);
}

/** The factor that brings gradients of a norm down to `largest`: Pascanu et al. 2013, "On the difficulty of training recurrent neural networks", Algorithm 1. */
export function clipFactor(norm: number, largest: number): number {
  return norm > largest ? largest / norm : 1;
}

/** Indices of the arrays with an element that is not finite. */
export function nonFinite(arrays: readonly Float32Array[]): number[] {
  return [...arrays.keys()].filter((i) => !Number.isFinite(sumOfSquares(arrays[i])));
}

/** Four sums side by side: one alone would wait for each addition. */
function sumOfSquares(values: Float32Array): number {
  let [a, b, c, d] = [0, 0, 0, 0];
  const whole = values.length - (values.length % 4);
  for (let i = 0; i < whole; i += 4) {
    a += values[i] * values[i];
    b += values[i + 1] * values[i + 1];
    c += values[i + 2] * values[i + 2];
    d += values[i + 3] * values[i + 3];
  }
  for (let i = whole; i < values.length; i++) a += values[i] * values[i];
  return a + b + (c + d);
}
