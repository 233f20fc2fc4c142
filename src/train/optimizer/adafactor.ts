/**
 * Adafactor (Shazeer and Stern 2018, "Adafactor: Adaptive Learning Rates with Sublinear Memory Cost", Algorithms 4 to 6), without
 * first moment. The second moment of a matrix is kept as the means of its rows and columns, so the state of an n x m matrix is
 * n + m numbers; that of a vector is as large as the vector.
 *
 *     beta2 = 1 - t^-0.8                        rho = min(rate, 1 / sqrt(t))         alpha = rho max(epsilon2, rms(w))
 *     R = beta2 R + (1 - beta2) row means of (g^2 + epsilon1)             C the same of columns
 *     V = R C / mean(R)                         U = g / sqrt(V)
 *     w = w - alpha U / max(1, rms(U) / threshold) - rate decay w
 *
 * The paper's sums of rows and columns are means here, which gives the same V. A constant rate of 0.01 is Algorithm 6; a warm-up of
 * the rate is the paper's section 7. A tensor with more than two sides is the matrix of all of them but the last, by the last.
 */
import type { Parameter } from '../trainable.ts';
import {
  type CommonOptions,
  checkNumber,
  type OptimizerKind,
  optimizerOf,
  type ParameterUpdate,
  type StepSize,
  stateOf,
} from './optimizer.ts';

export interface AdafactorOptions extends CommonOptions {
  /** Exponent c of beta2 = 1 - t^-c. Default 0.8. */
  readonly decayExponent?: number;
  /** Added to squared gradients. Default 1e-30. */
  readonly epsilon1?: number;
  /** The least size that a weight counts as. Default 1e-3. */
  readonly epsilon2?: number;
  /** The largest root mean square of an update before it is scaled down. Default 1. */
  readonly threshold?: number;
  /** The update is `learningRate` times the size of the weights, as in the paper; false: `learningRate` itself, not less over time. Default true. */
  readonly relative?: boolean;
  /** Default 0. */
  readonly weightDecay?: number;
}

interface Settings {
  readonly decayExponent: number;
  readonly epsilon1: number;
  readonly epsilon2: number;
  readonly threshold: number;
  readonly relative: boolean;
}

/** @throws ArgumentError for a number out of range. */
export function adafactor(options: AdafactorOptions = {}): OptimizerKind {
  const { decayExponent = 0.8, epsilon1 = 1e-30, epsilon2 = 1e-3, threshold = 1, relative = true } = options;
  checkNumber('adafactor', 'decayExponent', decayExponent, 0, Infinity);
  checkNumber('adafactor', 'epsilon1', epsilon1, 1e-37, Infinity);
  checkNumber('adafactor', 'epsilon2', epsilon2, 0, Infinity);
  checkNumber('adafactor', 'threshold', threshold, Number.MIN_VALUE, Infinity);
  const settings = { decayExponent, epsilon1, epsilon2, threshold, relative };
  return optimizerOf('adafactor', settings, { ...options, weightDecay: options.weightDecay ?? 0 }, (parameter) =>
    parameter.shape.length >= 2 ? factored(parameter, settings) : full(parameter, settings),
  );
}

function factored(parameter: Parameter, settings: Settings): ParameterUpdate {
  const columns = parameter.shape.at(-1) ?? 1;
  const rows = columns === 0 ? 0 : parameter.data.length / columns;
  const rowMeans = stateOf(parameter, 'row_means', [rows]);
  const columnMeans = stateOf(parameter, 'column_means', [columns]);
  return {
    state: [rowMeans, columnMeans],
    update(gradient, size) {
      if (parameter.data.length === 0) return;
      const beta2 = 1 - size.step ** -settings.decayExponent;
      accumulateMeans(gradient, size.scale, settings.epsilon1, beta2, rowMeans.data, columnMeans.data);
      const meanOfRows = rowMeans.data.reduce((sum, value) => sum + value, 0) / rows;
      // U = g * rowFactor * columnFactor
      const rowFactors = Float64Array.from(rowMeans.data, (mean) => Math.sqrt(meanOfRows / mean));
      const columnFactors = Float64Array.from(columnMeans.data, (mean) => 1 / Math.sqrt(mean));
      const updateSquares = factoredSquares(gradient, size.scale, rowFactors, columnFactors);
      const rate = stepSize(parameter.data, updateSquares, size, settings);
      applyFactored(parameter.data, gradient, rate * size.scale, rowFactors, columnFactors, size);
    },
  };
}

function full(parameter: Parameter, settings: Settings): ParameterUpdate {
  const second = stateOf(parameter, 'second_moment');
  return {
    state: [second],
    update(gradient, size) {
      if (parameter.data.length === 0) return;
      const beta2 = 1 - size.step ** -settings.decayExponent;
      const squares = accumulateFull(gradient, size.scale, settings.epsilon1, beta2, second.data);
      const rate = stepSize(parameter.data, squares, size, settings);
      applyFull(parameter.data, gradient, rate * size.scale, second.data, size);
    },
  };
}

/** The factor on U: alpha / max(1, rms(U) / threshold). `updateSquares` is the sum of U^2. */
function stepSize(
  weights: Float32Array,
  updateSquares: number,
  { learningRate, step }: StepSize,
  { epsilon2, threshold, relative }: Settings,
): number {
  const clipped = Math.max(1, Math.sqrt(updateSquares / weights.length) / threshold);
  if (!relative) return learningRate / clipped;
  let squares = 0;
  for (let i = 0; i < weights.length; i++) squares += weights[i] * weights[i];
  const rootMeanSquare = Math.sqrt(squares / weights.length);
  return (Math.min(learningRate, 1 / Math.sqrt(step)) * Math.max(epsilon2, rootMeanSquare)) / clipped;
}

function accumulateMeans(
  gradient: Float32Array,
  scale: number,
  epsilon1: number,
  beta2: number,
  rowMeans: Float32Array,
  columnMeans: Float32Array,
): void {
  const [rows, columns] = [rowMeans.length, columnMeans.length];
  const columnSums = new Float64Array(columns);
  for (let row = 0; row < rows; row++) {
    const start = row * columns;
    let rowSum = 0;
    for (let column = 0; column < columns; column++) {
      const g = gradient[start + column] * scale;
      const square = g * g + epsilon1;
      rowSum += square;
      columnSums[column] += square;
    }
    rowMeans[row] = beta2 * rowMeans[row] + ((1 - beta2) * rowSum) / columns;
  }
  for (let column = 0; column < columns; column++) {
    columnMeans[column] = beta2 * columnMeans[column] + ((1 - beta2) * columnSums[column]) / rows;
  }
}

function factoredSquares(
  gradient: Float32Array,
  scale: number,
  rowFactors: Float64Array,
  columnFactors: Float64Array,
): number {
  const columns = columnFactors.length;
  let squares = 0;
  for (let row = 0; row < rowFactors.length; row++) {
    const start = row * columns;
    let rowSquares = 0;
    for (let column = 0; column < columns; column++) {
      const u = gradient[start + column] * columnFactors[column];
      rowSquares += u * u;
    }
    squares += rowSquares * (rowFactors[row] * scale) ** 2;
  }
  return squares;
}

function applyFactored(
  weights: Float32Array,
  gradient: Float32Array,
  rate: number,
  rowFactors: Float64Array,
  columnFactors: Float64Array,
  { learningRate, weightDecay }: StepSize,
): void {
  const kept = 1 - learningRate * weightDecay;
  const columns = columnFactors.length;
  for (let row = 0; row < rowFactors.length; row++) {
    const start = row * columns;
    const factor = rate * rowFactors[row];
    for (let column = 0; column < columns; column++) {
      const i = start + column;
      weights[i] = kept * weights[i] - factor * columnFactors[column] * gradient[i];
    }
  }
}

/** Updates the second moment and returns the sum of U^2. */
function accumulateFull(
  gradient: Float32Array,
  scale: number,
  epsilon1: number,
  beta2: number,
  second: Float32Array,
): number {
  let squares = 0;
  for (let i = 0; i < gradient.length; i++) {
    const g = gradient[i] * scale;
    second[i] = beta2 * second[i] + (1 - beta2) * (g * g + epsilon1);
    squares += (g * g) / second[i];
  }
  return squares;
}

function applyFull(
  weights: Float32Array,
  gradient: Float32Array,
  rate: number,
  second: Float32Array,
  { learningRate, weightDecay }: StepSize,
): void {
  const kept = 1 - learningRate * weightDecay;
  for (let i = 0; i < weights.length; i++) {
    weights[i] = kept * weights[i] - (rate * gradient[i]) / Math.sqrt(second[i]);
  }
}
