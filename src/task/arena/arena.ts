/** Trains the same small classifier under many patterns, at one budget, on the tasks after the Long Range Arena (Tay et al. 2021). */
import { ArgumentError } from '../../errors.ts';
import { createClassifier, type RowModelOptions } from '../../model/index.ts';
import { adamw, type EvaluationEvent, type TaskName, type TrainEvent, tasks, train } from '../../train/index.ts';
import type { ArenaPattern } from './patterns.ts';

export interface ArenaOptions {
  readonly tasks: readonly TaskName[];
  readonly patterns: readonly ArenaPattern[];
  /** Of each training. */
  readonly steps: number;
  /** Tokens of a step: as many of a task's longest sequences as fit, at least one. Default 8,192. */
  readonly tokens?: number;
  /** Held-out sequences that the accuracy is of. Default 200. */
  readonly heldOut?: number;
  /** Width of the model. Default 32. */
  readonly hiddenSize?: number;
  /** Default 1. */
  readonly layers?: number;
  /** Default 2. */
  readonly heads?: number;
  /** The largest, after a tenth of the steps; it falls to 0 along a cosine. Default 0.004. */
  readonly learningRate?: number;
  /** Of weights and data: the same for every pattern. Default 0. */
  readonly seed?: number;
  /** The device and the backend of the models. */
  readonly model?: Pick<RowModelOptions, 'device' | 'backend'>;
  readonly signal?: AbortSignal;
  readonly onProgress?: (progress: ArenaProgress) => void;
}

export interface ArenaProgress {
  readonly task: TaskName;
  readonly pattern: string;
  /** Steps of all trainings, done and in all. */
  readonly done: number;
  readonly total: number;
  readonly event: TrainEvent;
}

export interface ArenaResult {
  readonly task: TaskName;
  readonly pattern: string;
  /** Share of the held-out sequences, and the standard error of this many of them. */
  readonly accuracy: number;
  readonly standardError: number;
  /** Of held-out sequences, in nats. */
  readonly loss: number;
  /** Of always giving the class that these held-out sequences have most often. */
  readonly majority: number;
  /** Sequences of a step. */
  readonly sequences: number;
  /** Of the steps, without evaluation. */
  readonly seconds: number;
  /** Rows that were trained on. */
  readonly rows: number;
  readonly weights: number;
  /** Accuracy of the model that stands beside it, in percent, on the original data and with its budget: table 1 of the paper. */
  readonly published?: number;
}

/**
 * Each pattern has the same model, initial weights, batches in the same order, and number of steps. Accuracies of different patterns
 * compare with each other; published ones are of larger models that trained far longer, and of other data where the task is a stand-in.
 *
 * @throws ArgumentError, ModelError for sizes that do not fit, the signal's reason
 */
export async function* runArena(options: ArenaOptions): AsyncGenerator<ArenaResult> {
  const { patterns, steps, tokens = 8192, signal } = options;
  for (const [name, value] of Object.entries({ steps, tokens })) {
    if (!Number.isSafeInteger(value) || value < 1)
      throw new ArgumentError(`${name} is ${value}; it must be a positive integer`);
  }
  const total = options.tasks.length * patterns.length * steps;
  let done = 0;
  for (const task of options.tasks) {
    const majority = await majorityOf(task, options);
    for (const pattern of patterns) {
      signal?.throwIfAborted();
      const before = done;
      const result = await runOne(task, pattern, options, (event) => {
        if (event.kind === 'step') done = before + event.step;
        options.onProgress?.({ task, pattern: pattern.name, done, total, event });
      });
      done = before + steps;
      yield { ...result, majority };
    }
  }
}

async function runOne(
  name: TaskName,
  pattern: ArenaPattern,
  options: ArenaOptions,
  onProgress: (event: TrainEvent) => void,
): Promise<Omit<ArenaResult, 'majority'>> {
  const { steps, tokens = 8192, heldOut = 200, hiddenSize = 32, layers = 1, heads = 2, signal } = options;
  const { learningRate = 0.004, seed = 0 } = options;
  const task = tasks[name];
  const sequences = Math.max(1, Math.floor(tokens / task.length));
  const rows = task.length + 1;
  await using model = await createClassifier(
    {
      vocabularySize: task.vocabularySize,
      classes: task.classes,
      hiddenSize,
      layers,
      heads,
      context: rows,
      positions: 'learned',
      patterns: [pattern.pattern(rows)],
    },
    { ...options.model, seed, ...(signal === undefined ? {} : { signal }) },
  );
  let evaluation: EvaluationEvent | undefined;
  const result = await train({
    trainable: model,
    source: task.source({ seed, sequences, heldOutSize: heldOut }),
    optimizer: adamw(),
    schedule: { shape: 'cosine', learningRate, warmUp: Math.ceil(steps / 10) },
    steps,
    clip: 1,
    ...(signal === undefined ? {} : { signal }),
    onProgress: (event) => {
      if (event.kind === 'evaluation') evaluation = event;
      onProgress(event);
    },
  });
  const accuracy = evaluation?.accuracy ?? Number.NaN;
  const { published: column } = task;
  const published = pattern.published === undefined ? undefined : column[pattern.published];
  return {
    task: name,
    pattern: pattern.name,
    accuracy,
    standardError: Math.sqrt((accuracy * (1 - accuracy)) / heldOut),
    loss: evaluation?.loss ?? Number.NaN,
    sequences,
    seconds: result.seconds,
    rows: result.tokens,
    weights: model.parameters.reduce((sum, { data }) => sum + data.length, 0),
    ...(published === undefined ? {} : { published }),
  };
}

/** The share of the commonest class among the sequences that are held out. */
async function majorityOf(name: TaskName, { heldOut = 200, seed = 0 }: ArenaOptions): Promise<number> {
  const task = tasks[name];
  const { heldOut: set } = task.sets({ seed, heldOutSize: heldOut });
  const counts = new Array<number>(task.classes).fill(0);
  for (let i = 0; i < set.size; i++) counts[(await set.at(i)).label]++;
  return Math.max(...counts) / set.size;
}
