/**
 * Stochastic gradient descent with momentum (Polyak 1964) or Nesterov's momentum, as Sutskever et al. 2013 ("On the importance of
 * initialization and momentum in deep learning", section 2) give it, with u = -velocity / rate:
 *
 *     u = momentum u + g
 *     w = w - rate (u + decay w)                  or, Nesterov,  w = w - rate (g + momentum u + decay w)
 *
 * The decay is decoupled (Loshchilov and Hutter 2019, "Decoupled Weight Decay Regularization", Algorithm 1: SGDW). State: u where
 * there is momentum, 4 bytes a weight; otherwise none.
 */
import { ArgumentError } from '../../errors.ts';
import {
  type CommonOptions,
  checkNumber,
  type OptimizerKind,
  optimizerOf,
  type StepSize,
  stateOf,
} from './optimizer.ts';

export interface SgdOptions extends CommonOptions {
  /** Default 0: none. */
  readonly momentum?: number;
  /** Default false. */
  readonly nesterov?: boolean;
  /** Default 0. */
  readonly weightDecay?: number;
}

/** @throws ArgumentError for a number out of range, and for Nesterov's momentum without momentum. */
export function sgd(options: SgdOptions = {}): OptimizerKind {
  const { momentum = 0, nesterov = false, weightDecay = 0 } = options;
  checkNumber('sgd', 'momentum', momentum, 0, 1);
  if (nesterov && momentum === 0) throw new ArgumentError('sgd: nesterov needs a momentum above 0, such as 0.9');
  return optimizerOf('sgd', { momentum, nesterov }, { ...options, weightDecay }, (parameter) => {
    if (momentum === 0) {
      return { state: [], update: (gradient, size) => updatePlain(parameter.data, gradient, size) };
    }
    const sum = stateOf(parameter, 'momentum');
    return {
      state: [sum],
      update: (gradient, size) => updateMomentum(parameter.data, gradient, sum.data, momentum, nesterov, size),
    };
  });
}

function updatePlain(
  weights: Float32Array,
  gradient: Float32Array,
  { learningRate, weightDecay, scale }: StepSize,
): void {
  const kept = 1 - learningRate * weightDecay;
  const rate = learningRate * scale;
  const length = weights.length;
  for (let i = 0; i < length; i++) weights[i] = kept * weights[i] - rate * gradient[i];
}

function updateMomentum(
  weights: Float32Array,
  gradient: Float32Array,
  sum: Float32Array,
  momentum: number,
  nesterov: boolean,
  { learningRate, weightDecay, scale }: StepSize,
): void {
  const kept = 1 - learningRate * weightDecay;
  // Both forms are u times one factor and g times another.
  const ofSum = nesterov ? learningRate * momentum : learningRate;
  const ofGradient = nesterov ? learningRate : 0;
  const length = weights.length;
  for (let i = 0; i < length; i++) {
    const g = gradient[i] * scale;
    const u = momentum * sum[i] + g;
    sum[i] = u;
    weights[i] = kept * weights[i] - (ofSum * u + ofGradient * g);
  }
}
