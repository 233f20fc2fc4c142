/**
 * AdamW: Adam (Kingma and Ba 2015, "Adam: A Method for Stochastic Optimization", Algorithm 1) with decoupled weight decay (Loshchilov
 * and Hutter 2019, "Decoupled Weight Decay Regularization", Algorithm 2).
 *
 *     m = beta1 m + (1 - beta1) g              v = beta2 v + (1 - beta2) g^2
 *     w = w - rate (m / (1 - beta1^t) / (sqrt(v / (1 - beta2^t)) + epsilon) + decay w)
 *
 * The paper's schedule multiplier times its alpha is the rate here, so its lambda is rate * decay. State: two moments, 8 bytes a weight.
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

export interface AdamWOptions extends CommonOptions {
  /** Default 0.9. */
  readonly beta1?: number;
  /** Default 0.999. */
  readonly beta2?: number;
  /** Default 1e-8. */
  readonly epsilon?: number;
  /** Default 0.01. */
  readonly weightDecay?: number;
}

/** @throws ArgumentError for a number out of range. */
export function adamw(options: AdamWOptions = {}): OptimizerKind {
  const { beta1 = 0.9, beta2 = 0.999, epsilon = 1e-8, weightDecay = 0.01 } = options;
  checkNumber('adamw', 'beta1', beta1, 0, 1);
  checkNumber('adamw', 'beta2', beta2, 0, 1);
  checkNumber('adamw', 'epsilon', epsilon, 0, Infinity);
  const settings = { beta1, beta2, epsilon };
  return optimizerOf('adamw', settings, { ...options, weightDecay }, (parameter) => adamwUpdate(parameter, settings));
}

/** The rule for one parameter. */
export function adamwUpdate(
  parameter: Parameter,
  { beta1, beta2, epsilon }: { readonly beta1: number; readonly beta2: number; readonly epsilon: number },
): ParameterUpdate {
  const first = stateOf(parameter, 'first_moment');
  const second = stateOf(parameter, 'second_moment');
  return {
    state: [first, second],
    update: (gradient, size) => update(parameter.data, gradient, first.data, second.data, beta1, beta2, epsilon, size),
  };
}

/** One pass over the weights: 16 bytes read and 12 written for each. */
function update(
  weights: Float32Array,
  gradient: Float32Array,
  first: Float32Array,
  second: Float32Array,
  beta1: number,
  beta2: number,
  epsilon: number,
  { learningRate, weightDecay, scale, step }: StepSize,
): void {
  const kept = 1 - learningRate * weightDecay;
  const rate = learningRate / (1 - beta1 ** step);
  const correction = 1 / (1 - beta2 ** step);
  const length = weights.length;
  for (let i = 0; i < length; i++) {
    const g = gradient[i] * scale;
    const m = beta1 * first[i] + (1 - beta1) * g;
    const v = beta2 * second[i] + (1 - beta2) * g * g;
    first[i] = m;
    second[i] = v;
    weights[i] = kept * weights[i] - (rate * m) / (Math.sqrt(v * correction) + epsilon);
  }
}
