/** What a training says and does when a loss or a gradient is not finite: no step is worth taking from there. */
import { FarfieldError, TrainingError } from '../errors.ts';
import { accumulateGradients } from './batches.ts';
import { nonFinite } from './gradient-norm.ts';
import type { TrainOptions } from './options.ts';
import type { TrainingRun } from './run.ts';
import type { TrainingBatch } from './trainable.ts';

/** A step before its update. */
export interface ComputedStep {
  readonly batches: readonly TrainingBatch[];
  readonly loss: number;
  readonly gradients: readonly Float32Array[];
}

/**
 * The weights are still those of the step before, which are saved if they are finite. The step is computed once more to find the first tensor
 * that is not, so `gradients` are written again.
 */
export async function stopAtNonFinite(
  options: TrainOptions,
  run: TrainingRun,
  { batches, loss, gradients }: ComputedStep,
): Promise<TrainingError> {
  const { trainable, signal } = options;
  const named = (arrays: readonly Float32Array[]) => nonFinite(arrays).map((i) => trainable.parameters[i].name);
  const weights = named(trainable.parameters.map(({ data }) => data));
  const blamed = named(gradients);
  let first: string | undefined;
  if (weights.length === 0) {
    const onNonFinite = (tensor: string) => {
      first ??= tensor;
    };
    await accumulateGradients(trainable, batches, gradients, {
      lossScale: run.lossScale?.factor ?? 1,
      onNonFinite,
      signal,
    });
  }
  const parts = [
    `training stopped in step ${run.step + 1}: the loss is ${loss}`,
    ...(weights.length > 0 ? [`weight ${listed(weights)} is not finite`] : []),
    ...(first === undefined ? [] : [`the first tensor that is not finite is ${first}`]),
    ...(blamed.length > 0 ? [`the gradient of ${listed(blamed)} is not finite`] : []),
  ];
  const failure = weights.length > 0 ? undefined : await saveLastGood(options, run);
  const sentences = [
    failure === undefined ? run.lastSave() : `The state after step ${run.step} could not be saved: ${failure}`,
    run.saved === undefined
      ? 'Begin with a lower learning rate'
      : 'Resume from there with a lower learning rate, or with clip',
  ];
  return new TrainingError(`${parts.join('; ')}. ${sentences.join('. ')}`);
}

/** What went wrong, where it could not be saved. */
async function saveLastGood({ folder }: TrainOptions, run: TrainingRun): Promise<string | undefined> {
  if (folder === undefined || run.step === 0) return undefined;
  try {
    // One more than usual: this state leads to the failure again, so the saves before it stay.
    await run.save({ keepMore: 1 });
    return undefined;
  } catch (error) {
    if (!(error instanceof FarfieldError)) throw error;
    return error.message;
  }
}

function listed(names: readonly string[]): string {
  const others = names.length - 1;
  return `"${names[0]}"${others === 0 ? '' : ` (and of ${others} more)`}`;
}
