/** The training loop. */
import { DataError } from '../errors.ts';
import { accumulateGradients, MeanLoss, nextBatches } from './batches.ts';
import type { EvaluationEvent } from './event.ts';
import { clipFactor, globalNorm } from './gradient-norm.ts';
import { afterGoodStep, afterOverflow } from './loss-scale.ts';
import { type ComputedStep, stopAtNonFinite } from './not-finite.ts';
import { checkTrainOptions, type TrainOptions, type TrainResult } from './options.ts';
import { TrainingRun } from './run.ts';
import { saveName } from './save/save.ts';
import { learningRateAt } from './schedule.ts';
import { residentBytes, Speed } from './speed.ts';

/** Milliseconds between two pauses in which timers and signals get their turn, where a trainable itself never waits. */
const PAUSE_EVERY = 50;

/**
 * Trains until `steps` steps are done, the data ends or the signal stops it. The same options, data and weights give the same weights
 * to the bit, in one go or in pieces: a save has the weights, their average, the optimizer, the loss scale and the place in the data.
 *
 * @throws ArgumentError for an option that is wrong; TrainingError for a loss that is not finite, naming the step and the tensors, and
 *   for a folder that cannot be resumed; CheckpointError for a folder that cannot be written; DataError for an empty data set; the
 *   signal's reason. Saves that were made before stay as they are.
 */
export async function train(options: TrainOptions): Promise<TrainResult> {
  checkTrainOptions(options);
  const { signal } = options;
  signal?.throwIfAborted();
  const run = await TrainingRun.start(options);
  try {
    return await runSteps(options, run);
  } catch (error) {
    // The weights are those of the last whole step, whatever was under way.
    if (signal?.aborted === true) await run.save();
    throw error;
  }
}

async function runSteps(options: TrainOptions, run: TrainingRun): Promise<TrainResult> {
  const { trainable, source, steps, accumulate = 1, evaluateEvery, saveEvery, signal } = options;
  const gradients = trainable.parameters.map(({ data }) => new Float32Array(data.length));
  const speed = new Speed();
  let ended: TrainResult['ended'] = 'steps';
  let loss: number | undefined;
  let evaluation: EvaluationEvent | undefined;
  let pause = performance.now() + PAUSE_EVERY;
  while (run.step < steps) {
    if (performance.now() > pause) {
      await new Promise((resolve) => setTimeout(resolve));
      pause = performance.now() + PAUSE_EVERY;
    }
    signal?.throwIfAborted();
    const start = performance.now();
    const batches = await nextBatches(source, accumulate);
    if (batches.length === 0) {
      if (run.step === 0)
        throw new DataError(
          'train: the source gave no batch at all: the data set is empty; check its files and what of them is held out',
        );
      ended = 'data';
      break;
    }
    const lossScale = run.lossScale?.factor ?? 1;
    const result = await accumulateGradients(trainable, batches, gradients, { lossScale, signal });
    ({ loss } = result);
    await finishStep(options, run, { ...result, batches, gradients }, speed, start);
    if (evaluateEvery !== undefined && run.step % evaluateEvery === 0) evaluation = await evaluate(options, run);
    if (saveEvery !== undefined && run.step % saveEvery === 0) await run.save();
  }
  if (evaluation?.step !== run.step && source.validation !== undefined) evaluation = await evaluate(options, run);
  await run.save();
  return {
    step: run.step,
    ended,
    ...(loss === undefined ? {} : { loss }),
    ...(evaluation === undefined ? {} : { validationLoss: evaluation.loss }),
    ...(evaluation?.averageLoss === undefined ? {} : { averageLoss: evaluation.averageLoss }),
    tokens: run.tokens,
    seconds: run.seconds,
    ...(run.saved === undefined ? {} : { save: saveName(run.saved) }),
    ...(run.resumed === undefined ? {} : { resumed: run.resumed }),
  };
}

/** Changes the weights along the gradients, or skips that where they overflowed, and reports the step. */
async function finishStep(
  options: TrainOptions,
  run: TrainingRun,
  step: ComputedStep & { readonly tokens: number },
  speed: Speed,
  start: number,
): Promise<void> {
  const { source, schedule, steps, clip = Infinity, lossScaling } = options;
  const { loss, tokens, gradients } = step;
  const learningRate = learningRateAt(schedule, run.step, steps);
  const unscale = 1 / (run.lossScale?.factor ?? 1);
  const gradientNorm = globalNorm(gradients) * unscale;
  const good = Number.isFinite(loss) && Number.isFinite(gradientNorm);
  if (good) {
    run.optimizer.step(gradients, learningRate, unscale * clipFactor(gradientNorm, clip));
    run.average?.update(run.step);
    if (run.lossScale !== undefined) run.lossScale = afterGoodStep(run.lossScale, lossScaling);
  } else {
    const smaller = run.lossScale === undefined ? undefined : afterOverflow(run.lossScale);
    if (smaller === undefined || !Number.isFinite(loss)) throw await stopAtNonFinite(options, run, step);
    run.lossScale = smaller;
  }
  const seconds = (performance.now() - start) / 1000;
  run.step++;
  run.tokens += tokens;
  run.seconds += seconds;
  run.place = source.state();
  speed.add(seconds, tokens);
  const lossScale = run.lossScale?.factor;
  if (!good) {
    return run.report({ kind: 'skip', step: run.step, loss, lossScale: lossScale ?? 1, totalTokens: run.tokens });
  }
  const memory = residentBytes();
  await run.report({
    kind: 'step',
    step: run.step,
    loss,
    learningRate,
    gradientNorm,
    tokens,
    totalTokens: run.tokens,
    tokensPerSecond: speed.tokensPerSecond,
    secondsLeft: (steps - run.step) * speed.secondsPerStep,
    ...(memory === undefined ? {} : { residentBytes: memory }),
    ...(lossScale === undefined ? {} : { lossScale }),
  });
}

/** The mean loss over the validation part, of the weights and of their average. */
async function evaluate(options: TrainOptions, run: TrainingRun): Promise<EvaluationEvent> {
  const own = await evaluateWeights(options);
  let average: MeanLoss | undefined;
  if (run.average !== undefined) {
    run.average.exchange();
    try {
      average = await evaluateWeights(options);
    } finally {
      run.average.exchange();
    }
  }
  const { loss, tokens } = own.result();
  const event: EvaluationEvent = {
    kind: 'evaluation',
    step: run.step,
    loss,
    ...(average === undefined ? {} : { averageLoss: average.result().loss }),
    tokens,
    ...(own.accuracy === undefined ? {} : { accuracy: own.accuracy }),
  };
  await run.report(event);
  return event;
}

async function evaluateWeights({ trainable, source, signal }: TrainOptions): Promise<MeanLoss> {
  const mean = new MeanLoss();
  for await (const batch of source.validation?.() ?? []) {
    signal?.throwIfAborted();
    mean.add(await trainable.evaluate(batch, signal === undefined ? {} : { signal }), batch);
  }
  return mean;
}
