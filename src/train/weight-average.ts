/** An exponential moving average of the weights, which often generalizes better than the last ones (Polyak and Juditsky 1992). */
import { ArgumentError } from '../errors.ts';
import type { Parameter } from './trainable.ts';

export interface WeightAverage {
  /** In the order of the parameters, with their names. */
  readonly tensors: readonly Parameter[];
  /** Takes in the weights after a step, counted from 0. */
  update(step: number): void;
  /** Puts the average in the parameters' place and the parameters in the average's; a second call undoes it. */
  exchange(): void;
}

/**
 * Starts at the weights as they are. average = d average + (1 - d) weights, with d = min(decay, (1 + step) / (10 + step)), so that the
 * first steps do not count for long.
 * @throws ArgumentError unless `decay` is from 0 to below 1.
 */
export function averageWeights(parameters: readonly Parameter[], decay: number): WeightAverage {
  if (!(decay >= 0 && decay < 1)) throw new ArgumentError(`average is ${decay}; it must be from 0 to below 1`);
  const tensors = parameters.map(({ name, shape, data }) => ({ name, shape, data: Float32Array.from(data) }));
  return {
    tensors,
    update(step) {
      const share = 1 - Math.min(decay, (1 + step) / (10 + step));
      for (const [i, { data }] of tensors.entries()) approach(data, parameters[i].data, share);
    },
    exchange() {
      for (const [i, { data }] of tensors.entries()) {
        const weights = parameters[i].data.slice();
        parameters[i].data.set(data);
        data.set(weights);
      }
    },
  };
}

function approach(average: Float32Array, weights: Float32Array, share: number): void {
  const length = average.length;
  for (let i = 0; i < length; i++) average[i] += share * (weights[i] - average[i]);
}
