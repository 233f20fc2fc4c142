/** How the learning rate changes over a training: plain data, so that it can stand in a configuration. */
import { ArgumentError } from '../errors.ts';

export interface Schedule {
  /** The way from `learningRate` down to `end`, after the warm-up. `constant` stays. */
  readonly shape: 'constant' | 'linear' | 'cosine';
  /** The largest rate. */
  readonly learningRate: number;
  /** Steps in which the rate grows evenly to `learningRate`, which the last of them has. Default 0. */
  readonly warmUp?: number;
  /** The rate that linear and cosine come down to. Default 0. */
  readonly end?: number;
  /** Steps after which `end` is reached, the warm-up included. Default: the steps of the training. */
  readonly steps?: number;
}

/**
 * The learning rate of a step, counted from 0, of a training of `steps` steps. Cosine: Loshchilov and Hutter 2017, "SGDR: Stochastic
 * Gradient Descent with Warm Restarts", equation 5, without restarts.
 */
export function learningRateAt(schedule: Schedule, step: number, steps: number): number {
  const { shape, learningRate, warmUp = 0, end = 0 } = schedule;
  if (step < warmUp) return (learningRate * (step + 1)) / warmUp;
  if (shape === 'constant') return learningRate;
  const last = schedule.steps ?? steps;
  const way = last > warmUp ? Math.min((step - warmUp) / (last - warmUp), 1) : 1;
  const share = shape === 'linear' ? 1 - way : (1 + Math.cos(Math.PI * way)) / 2;
  return end + (learningRate - end) * share;
}

/** @throws ArgumentError that names the field. */
export function checkSchedule({ learningRate, warmUp = 0, end = 0, steps = 1 }: Schedule): void {
  for (const [field, value] of Object.entries({ learningRate, end })) {
    if (value >= 0 && value < Infinity) continue;
    throw new ArgumentError(`schedule: ${field} is ${value}; it must be a finite number from 0`);
  }
  for (const [field, value] of Object.entries({ warmUp, steps })) {
    if (Number.isSafeInteger(value) && value >= 0) continue;
    throw new ArgumentError(`schedule: ${field} is ${value}; it must be a whole number of steps`);
  }
}
