/**
 * Dynamic loss scaling (Micikevicius et al. 2018, "Mixed Precision Training", section 3.2): gradients that would vanish in float16 are
 * computed of a multiple of the loss. An overflow makes them non-finite; that step is skipped and the factor halved. It doubles
 * after a number of good steps. Powers of two, so scaling and unscaling change no bit of what does not overflow.
 */
import { ArgumentError } from '../errors.ts';

export interface LossScaling {
  /** The first factor, a power of two. Default 65,536. */
  readonly initial?: number;
  /** Good steps in a row after which it doubles. Default 2,000. */
  readonly growAfter?: number;
  /** It does not grow beyond this. Default 2^24. */
  readonly largest?: number;
}

/** The factor now. Plain data, saved as it is. */
export interface LossScale {
  readonly factor: number;
  /** Since it last changed. */
  readonly goodSteps: number;
}

/** @throws ArgumentError that names the option. */
export function initialLossScale({
  initial = 65_536,
  growAfter = 2000,
  largest = 2 ** 24,
}: LossScaling = {}): LossScale {
  for (const [option, value] of Object.entries({ initial, largest })) {
    if (Number.isInteger(Math.log2(value)) && value >= 1) continue;
    throw new ArgumentError(`lossScaling: ${option} is ${value}; it must be a power of two from 1`);
  }
  if (!Number.isSafeInteger(growAfter) || growAfter < 1) {
    throw new ArgumentError(`lossScaling: growAfter is ${growAfter}; it must be a whole number of steps from 1`);
  }
  return { factor: initial, goodSteps: 0 };
}

/** After a step whose gradients were all finite. */
export function afterGoodStep({ factor, goodSteps }: LossScale, options: LossScaling = {}): LossScale {
  const { growAfter = 2000, largest = 2 ** 24 } = options;
  if (goodSteps + 1 < growAfter) return { factor, goodSteps: goodSteps + 1 };
  return { factor: Math.max(factor, Math.min(2 * factor, largest)), goodSteps: 0 };
}

/** After an overflow. Undefined where the factor is 1 already: then scaling is not what made the gradients overflow. */
export function afterOverflow({ factor }: LossScale): LossScale | undefined {
  return factor > 1 ? { factor: factor / 2, goodSteps: 0 } : undefined;
}
