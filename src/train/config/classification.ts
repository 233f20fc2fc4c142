/** What a configuration of a model that tells classes describes: its sequences and its batches. */
import { ArgumentError } from '../../errors.ts';
import { createClassifier, createVit, type RowModel, type RowModelOptions } from '../../model/index.ts';
import { classificationBatches } from '../data/classification-batches.ts';
import type { DataFile } from '../data/files.ts';
import { readLabelledLines } from '../data/labelled-lines.ts';
import { type SequenceSet, splitSequences } from '../data/sequence-set.ts';
import type { BatchSource } from '../data/source.ts';
import { tasks } from '../tasks/registry.ts';
import type { ClassData, TrainConfig } from './config.ts';

export interface ClassSets {
  readonly training: SequenceSet;
  readonly heldOut: SequenceSet | undefined;
}

/** @throws DataError where the files have no sequence, or one that is not well formed. */
export async function openClassSets(
  data: ClassData,
  files: readonly DataFile[],
  seed: number,
  signal: AbortSignal | undefined,
): Promise<ClassSets> {
  if (data.kind === 'task') {
    const { name, trainingSize, heldOutSize } = data;
    return tasks[name].sets({
      seed,
      ...(trainingSize === undefined ? {} : { trainingSize }),
      ...(heldOutSize === undefined ? {} : { heldOutSize }),
    });
  }
  const set = await readLabelledLines(files, signal);
  return data.heldOut === undefined ? { training: set, heldOut: undefined } : splitSequences(set, data.heldOut);
}

/** An image has a row for each patch; a sequence begins with the classification token where its context has room for it. */
export function classBatches({ training, heldOut }: ClassSets, { data, model, seed }: TrainConfig): BatchSource {
  if (data.kind !== 'task' && data.kind !== 'labelled')
    throw new ArgumentError('classBatches: the data has no classes');
  const { sequences, shuffle, epochs, validationBatches } = data;
  return classificationBatches(training, {
    ...(model.kind === 'classifier' ? { maximumLength: model.context - 1 } : { classificationToken: false }),
    seed,
    ...(sequences === undefined ? {} : { sequences }),
    ...(shuffle === undefined ? {} : { shuffle }),
    ...(epochs === undefined ? {} : { epochs }),
    ...(validationBatches === undefined ? {} : { validationBatches }),
    ...(heldOut === undefined ? {} : { heldOut }),
  });
}

export async function createClassModel(
  { model }: TrainConfig,
  { classes, vocabularySize }: SequenceSet,
  options: RowModelOptions & { readonly seed: number },
): Promise<RowModel> {
  if (model.kind === 'vit') {
    const { kind: _, ...vit } = model;
    return createVit({ ...vit, classes }, options);
  }
  if (model.kind !== 'classifier') throw new ArgumentError('createClassModel: the model does not tell classes');
  const { kind: _, ...classifier } = model;
  return createClassifier({ ...classifier, classes, vocabularySize }, options);
}
