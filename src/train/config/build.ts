/** What a configuration describes: the model, the batches and the optimizer. */
import { ArgumentError } from '../../errors.ts';
import { createGpt, type RowModel, type RowModelOptions } from '../../model/index.ts';
import { openByteSet } from '../data/byte-set.ts';
import type { DataFile } from '../data/files.ts';
import type { BatchSource } from '../data/source.ts';
import { textBatches } from '../data/text-batches.ts';
import type { TokenSet } from '../data/token-set.ts';
import { adafactor } from '../optimizer/adafactor.ts';
import { adamw } from '../optimizer/adamw.ts';
import { lion } from '../optimizer/lion.ts';
import { muon } from '../optimizer/muon.ts';
import type { OptimizerKind } from '../optimizer/optimizer.ts';
import { sgd } from '../optimizer/sgd.ts';
import type { TrainOptions } from '../options.ts';
import type { OptimizerChoice, TrainConfig } from './config.ts';

export interface BuildOptions extends RowModelOptions {
  /** While the data is read through for the first time, with bytes done and in all. */
  readonly onData?: (done: number, total: number) => void;
}

/** Ready for train(). Ends with dispose(). */
export interface BuiltTraining extends AsyncDisposable {
  readonly model: RowModel;
  readonly options: Omit<TrainOptions, 'folder' | 'resume' | 'signal' | 'onProgress'>;
}

/**
 * Opens the data and makes the model. `files` are those that the configuration names.
 * @throws DataError for an empty data set, ModelError for sizes that do not fit, ArgumentError for a number out of range, the
 *   signal's reason.
 */
export async function buildTraining(
  config: TrainConfig,
  files: readonly DataFile[],
  { onData, ...options }: BuildOptions = {},
): Promise<BuiltTraining> {
  // What is quick to refuse comes before the data is read through.
  const optimizer = optimizerOf(config.optimizer);
  const { separator } = config.data;
  const set = await openByteSet(files, {
    ...(separator === undefined ? {} : { documents: { separator } }),
    ...(options.signal === undefined ? {} : { signal: options.signal }),
    ...(onData === undefined ? {} : { onProgress: onData }),
  });
  let model: RowModel | undefined;
  try {
    const source = batchesOf(config, set);
    const { kind: _, ...gpt } = config.model;
    model = await createGpt(
      { ...gpt, vocabularySize: set.vocabularySize },
      {
        ...options,
        seed: config.seed,
        ...(config.checkpoint === undefined ? {} : { checkpoint: config.checkpoint }),
      },
    );
    return describeTraining(config, set, source, optimizer, model);
  } catch (error) {
    await model?.[Symbol.asyncDispose]();
    await set.close();
    throw error;
  }
}

function describeTraining(
  config: TrainConfig,
  set: TokenSet,
  source: BatchSource,
  optimizer: OptimizerKind,
  model: RowModel,
): BuiltTraining {
  const { schedule, steps, accumulate, clip, average, evaluateEvery, saveEvery, keep, seed } = config;
  if (evaluateEvery !== undefined && source.validation === undefined) {
    throw new ArgumentError('configuration: evaluateEvery is given, but data.heldOut is not: nothing is held out');
  }
  return {
    model,
    options: {
      trainable: model,
      source,
      optimizer,
      schedule,
      steps,
      ...(accumulate === undefined ? {} : { accumulate }),
      ...(clip === undefined ? {} : { clip }),
      ...(average === undefined ? {} : { average }),
      ...(evaluateEvery === undefined ? {} : { evaluateEvery }),
      ...(saveEvery === undefined ? {} : { saveEvery }),
      ...(keep === undefined ? {} : { keep }),
      about: { model: JSON.parse(JSON.stringify(config.model)), seed },
    },
    async [Symbol.asyncDispose]() {
      await model[Symbol.asyncDispose]();
      await set.close();
    },
  };
}

function batchesOf({ data, model, seed }: TrainConfig, set: TokenSet): BatchSource {
  const { rows, packing, shuffle, epochs, heldOut, splitBy, validationBatches } = data;
  return textBatches(set, {
    context: model.context,
    seed,
    ...(rows === undefined ? {} : { rows }),
    ...(packing === undefined ? {} : { packing }),
    ...(shuffle === undefined ? {} : { shuffle }),
    ...(epochs === undefined ? {} : { epochs }),
    ...(heldOut === undefined ? {} : { split: { heldOut, ...(splitBy === undefined ? {} : { by: splitBy }) } }),
    ...(validationBatches === undefined ? {} : { validationBatches }),
  });
}

function optimizerOf(choice: OptimizerChoice): OptimizerKind {
  switch (choice.kind) {
    case 'adamw':
      return adamw(choice);
    case 'adafactor':
      return adafactor(choice);
    case 'lion':
      return lion(choice);
    case 'muon':
      return muon(choice);
    case 'sgd':
      return sgd(choice);
  }
}
