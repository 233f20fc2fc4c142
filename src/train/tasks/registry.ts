/** The tasks by name. */
import { type ClassificationOptions, classificationBatches } from '../data/classification-batches.ts';
import type { SequenceSet } from '../data/sequence-set.ts';
import type { BatchSource } from '../data/source.ts';
import { countedReviews } from './counted-reviews.ts';
import { countedShapes } from './counted-shapes.ts';
import { type Generator, generatedSet } from './generated-set.ts';
import { listOps } from './listops.ts';
import { pathfinder, pathfinder32, pathfinder128 } from './pathfinder.ts';
import { type ArenaColumn, type PublishedModel, publishedColumn } from './published.ts';
import { sharedSubject } from './shared-subject.ts';

export interface TaskOptions extends Omit<ClassificationOptions, 'heldOut' | 'seed' | 'epochs'> {
  /** Training sequences in an epoch. Default: as many as the original has, see Task.trainingSize. */
  readonly trainingSize?: number;
  /** Default: as the original. */
  readonly heldOutSize?: number;
  /** Of the sequences and of their order. Default 0. */
  readonly seed?: number;
  readonly epochs?: number;
}

export interface Task {
  readonly description: string;
  /** The column of the Long Range Arena's table that the task belongs to. */
  readonly column: ArenaColumn;
  /** 'definition': drawn as the original is. 'stand-in': a task of our own of the same form, whose results do not compare with the published ones. */
  readonly likeness: 'definition' | 'stand-in';
  readonly classes: number;
  readonly vocabularySize: number;
  /** Tokens of the longest sequence, without the classification token. */
  readonly length: number;
  readonly trainingSize: number;
  readonly heldOutSize: number;
  /** Accuracy in percent by model: Long Range Arena, table 1. For a stand-in they are of the original data. */
  readonly published: Readonly<Partial<Record<PublishedModel, number>>>;
  sets(options?: TaskOptions): { readonly training: SequenceSet; readonly heldOut: SequenceSet };
  source(options?: TaskOptions): BatchSource;
}

type Facts = Pick<Task, 'description' | 'column' | 'likeness' | 'trainingSize' | 'heldOutSize'>;

function task(generator: Generator, facts: Facts): Task {
  const sets: Task['sets'] = (options = {}) => {
    const { seed = 0, trainingSize = facts.trainingSize, heldOutSize = facts.heldOutSize } = options;
    return {
      training: generatedSet(generator, { size: trainingSize, seed, part: 'training' }),
      heldOut: generatedSet(generator, { size: heldOutSize, seed, part: 'held-out' }),
    };
  };
  return {
    ...facts,
    classes: generator.classes,
    vocabularySize: generator.vocabularySize,
    length: generator.maximumLength,
    published: publishedColumn(facts.column),
    sets,
    source: (options = {}) => {
      const { trainingSize: _training, heldOutSize: _heldOut, ...batches } = options;
      const { training, heldOut } = sets(options);
      return classificationBatches(training, { ...batches, heldOut });
    },
  };
}

/** All tasks. Where the definition is the original's, so are the sizes of the training and the validation part. */
export const tasks = {
  listops: task(listOps(), {
    description: 'the value of nested MIN, MAX, MED and SM (sum modulo 10) of digits, 500 to 2000 tokens',
    column: 'listops',
    likeness: 'definition',
    trainingSize: 96_000,
    heldOutSize: 2000,
  }),
  'counted-reviews': task(countedReviews(), {
    description: 'whether a generated review of up to 4000 bytes praises more often than it blames',
    column: 'text',
    likeness: 'stand-in',
    trainingSize: 25_000,
    heldOutSize: 5000,
  }),
  'shared-subject': task(sharedSubject(), {
    description: 'whether two generated documents of up to 4000 bytes each have the same subject',
    column: 'retrieval',
    likeness: 'stand-in',
    trainingSize: 100_000,
    heldOutSize: 10_000,
  }),
  'counted-shapes': task(countedShapes(), {
    description: 'how many shapes a noisy grey image of 32 x 32 pixels has, 1 to 10',
    column: 'image',
    likeness: 'stand-in',
    trainingSize: 45_000,
    heldOutSize: 5000,
  }),
  'pathfinder-32': task(pathfinder(pathfinder32), {
    description: 'whether two marks are the ends of the same dashed path, 32 x 32 pixels',
    column: 'pathfinder',
    likeness: 'definition',
    trainingSize: 160_000,
    heldOutSize: 20_000,
  }),
  'pathfinder-128': task(pathfinder(pathfinder128), {
    description: 'whether two marks are the ends of the same dashed path, 128 x 128 pixels',
    column: 'path-x',
    likeness: 'definition',
    trainingSize: 160_000,
    heldOutSize: 20_000,
  }),
} as const satisfies Record<string, Task>;

export type TaskName = keyof typeof tasks;
