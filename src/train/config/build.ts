/** What a configuration describes: the model, the batches and the optimizer. */
import { ArgumentError } from '../../errors.ts';
import { createGpt, createMaskedModel, loadTrainable, type RowModel, type RowModelOptions } from '../../model/index.ts';
import type { Tokenizer } from '../../text/index.ts';
import { openByteSet } from '../data/byte-set.ts';
import type { IndexOptions } from '../data/file-index.ts';
import type { DataFile } from '../data/files.ts';
import type { BatchSource } from '../data/source.ts';
import { textBatches } from '../data/text-batches.ts';
import type { TokenSet } from '../data/token-set.ts';
import { openTokenizedSet } from '../data/tokenized-set.ts';
import { adafactor } from '../optimizer/adafactor.ts';
import { adamw } from '../optimizer/adamw.ts';
import { lion } from '../optimizer/lion.ts';
import { muon } from '../optimizer/muon.ts';
import type { OptimizerKind } from '../optimizer/optimizer.ts';
import { sgd } from '../optimizer/sgd.ts';
import type { TrainOptions } from '../options.ts';
import { classBatches, createClassModel, openClassSets } from './classification.ts';
import type { DocumentData, OptimizerChoice, TrainConfig } from './config.ts';

export interface BuildOptions extends RowModelOptions {
  /** For data of the kind text. */
  readonly tokenizer?: Tokenizer;
  /** What a model of the kind gpt begins with, by the names of its parameters: the weights of `model.begin`. */
  readonly weights?: ReadonlyMap<string, Float32Array>;
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
  { onData, tokenizer, weights, ...options }: BuildOptions = {},
): Promise<BuiltTraining> {
  // What is quick to refuse comes before the data is read through.
  const optimizer = optimizerOf(config.optimizer);
  if (config.model.kind === 'gpt' && config.model.begin !== undefined && weights === undefined) {
    throw new ArgumentError('buildTraining: model.begin is given; give the weights of that training');
  }
  const { data } = config;
  if (data.kind === 'task' || data.kind === 'labelled') {
    const sets = await openClassSets(data, files, config.seed, options.signal);
    const source = classBatches(sets, config);
    const model = await createClassModel(config, sets.training, modelOptions(config, options));
    return describeTraining(config, undefined, source, optimizer, model);
  }
  const { separator } = data;
  const reading = {
    ...(separator === undefined ? {} : { documents: { separator } }),
    ...(options.signal === undefined ? {} : { signal: options.signal }),
    ...(onData === undefined ? {} : { onProgress: onData }),
  };
  const set = await openSet(data, files, tokenizer, reading);
  let model: RowModel | undefined;
  try {
    const source = documentBatches(config, data, set);
    model = await createModel(config, set.vocabularySize, weights, options);
    return describeTraining(config, set, source, optimizer, model);
  } catch (error) {
    await model?.[Symbol.asyncDispose]();
    await set.close();
    throw error;
  }
}

async function openSet(
  data: DocumentData,
  files: readonly DataFile[],
  tokenizer: Tokenizer | undefined,
  options: IndexOptions,
): Promise<TokenSet> {
  if (data.kind === 'bytes') return openByteSet(files, options);
  if (tokenizer === undefined) throw new ArgumentError('buildTraining: data of the kind text needs a tokenizer');
  return openTokenizedSet(files, tokenizer, options);
}

function modelOptions({ seed, checkpoint, precision }: TrainConfig, options: RowModelOptions) {
  return {
    ...options,
    seed,
    ...(checkpoint === undefined ? {} : { checkpoint }),
    ...(precision === undefined ? {} : { precision }),
  };
}

async function createModel(
  config: TrainConfig,
  vocabularySize: number,
  weights: ReadonlyMap<string, Float32Array> | undefined,
  options: RowModelOptions,
): Promise<RowModel> {
  const { model } = config;
  const all = modelOptions(config, options);
  if (model.kind === 'checkpoint') {
    return loadTrainable(model.path, {
      ...all,
      ...(model.lora === undefined ? {} : { lora: model.lora }),
      ...(model.pattern === undefined ? {} : { pattern: model.pattern }),
    });
  }
  if (model.kind === 'masked') {
    const { kind: _, ...encoder } = model;
    return createMaskedModel({ ...encoder, vocabularySize }, all);
  }
  if (model.kind !== 'gpt') throw new ArgumentError(`buildTraining: a model of the kind ${model.kind} tells classes`);
  const { kind: _, begin: __, ...gpt } = model;
  return createGpt({ ...gpt, vocabularySize }, { ...all, ...(weights === undefined ? {} : { weights }) });
}

function describeTraining(
  config: TrainConfig,
  set: TokenSet | undefined,
  source: BatchSource,
  optimizer: OptimizerKind,
  model: RowModel,
): BuiltTraining {
  const { schedule, steps, accumulate, clip, average, evaluateEvery, saveEvery, keep, seed } = config;
  const { precision, lossScaling = precision === 'f16' ? {} : undefined } = config;
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
      ...(lossScaling === undefined ? {} : { lossScaling }),
      ...(evaluateEvery === undefined ? {} : { evaluateEvery }),
      ...(saveEvery === undefined ? {} : { saveEvery }),
      ...(keep === undefined ? {} : { keep }),
      about: { model: JSON.parse(JSON.stringify(config.model)), seed, precision },
    },
    async [Symbol.asyncDispose]() {
      await model[Symbol.asyncDispose]();
      await set?.close();
    },
  };
}

function documentBatches({ model, seed }: TrainConfig, data: DocumentData, set: TokenSet): BatchSource {
  if (!('context' in model))
    throw new ArgumentError(`buildTraining: a model of the kind ${model.kind} reads no documents`);
  const { rows, packing, shuffle, epochs, heldOut, splitBy, validationBatches } = data;
  return textBatches(set, {
    context: model.context,
    seed,
    ...(model.kind === 'masked' ? { objective: 'masked' } : {}),
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
