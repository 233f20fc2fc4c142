/** What a training is told, and gives back. */
import { ArgumentError } from '../errors.ts';
import type { BatchSource, JsonValue } from './data/source.ts';
import type { TrainEvent } from './event.ts';
import type { LossScaling } from './loss-scale.ts';
import type { OptimizerKind } from './optimizer/optimizer.ts';
import type { SaveFolder } from './save/save-folder.ts';
import { checkSchedule, type Schedule } from './schedule.ts';
import type { Trainable } from './trainable.ts';

export interface TrainOptions {
  readonly trainable: Trainable;
  readonly source: BatchSource;
  readonly optimizer: OptimizerKind;
  readonly schedule: Schedule;
  /** Steps in all, those before a resume included. */
  readonly steps: number;
  /** Batches of the source in one step. Default 1. */
  readonly accumulate?: number;
  /** Largest norm of all gradients together; longer ones are scaled down to it. Default: none. */
  readonly clip?: number;
  /** Keeps an exponential moving average of the weights with this decay, such as 0.999. Default: none. */
  readonly average?: number;
  /** For trainables that compute in float16. Default: none. */
  readonly lossScaling?: LossScaling;
  /** Steps between two evaluations on the source's validation part. Default: only after the last step, where there is one. */
  readonly evaluateEvery?: number;
  /** Where it is saved, with a log. Default: nowhere. */
  readonly folder?: SaveFolder;
  /** Steps between two saves. Default: only at the end, and when it is stopped. */
  readonly saveEvery?: number;
  /** How many saves are kept. Default 2. */
  readonly keep?: number;
  /** Goes on from the folder's last whole save; begins where it has none. Default false: a folder with saves is refused. */
  readonly resume?: boolean;
  /** Small files that every save has beside the weights, by name, such as config.json and tokenizer.json. */
  readonly files?: Readonly<Record<string, Uint8Array>>;
  /** What else the training depends on, such as the model's configuration: saved, and compared when it is resumed. */
  readonly about?: { readonly [name: string]: JsonValue | undefined };
  /** Stops it: it is saved as it is after the last whole step, and train() rejects with the signal's reason. */
  readonly signal?: AbortSignal;
  readonly onProgress?: (event: TrainEvent) => void;
}

export interface TrainResult {
  /** Steps done. */
  readonly step: number;
  /** Whether all steps were done, or the data ended before. */
  readonly ended: 'steps' | 'data';
  /** Of the last step, before its update; undefined where none was left to do. */
  readonly loss?: number;
  /** Of the last evaluation. */
  readonly validationLoss?: number;
  /** Of the averaged weights in the last evaluation. */
  readonly averageLoss?: number;
  /** Trained on, in all steps. */
  readonly tokens: number;
  /** That all steps took. */
  readonly seconds: number;
  /** The last save. */
  readonly save?: string;
  /** The save that it went on from. */
  readonly resumed?: string;
}

/** @throws ArgumentError that names the option. */
export function checkTrainOptions(options: TrainOptions): void {
  const { trainable, source, schedule, clip = Infinity } = options;
  checkSchedule(schedule);
  const counts = {
    steps: options.steps,
    accumulate: options.accumulate,
    evaluateEvery: options.evaluateEvery,
    saveEvery: options.saveEvery,
    keep: options.keep,
  };
  for (const [name, value] of Object.entries(counts)) {
    if (value === undefined || (Number.isSafeInteger(value) && value >= 1)) continue;
    throw new ArgumentError(`train: ${name} is ${value}; it must be a whole number from 1`);
  }
  if (!(clip > 0)) throw new ArgumentError(`train: clip is ${clip}; it must be a norm above 0`);
  if (options.evaluateEvery !== undefined && source.validation === undefined) {
    throw new ArgumentError('train: evaluateEvery is given, but the source has no validation part');
  }
  if (options.folder === undefined && (options.saveEvery !== undefined || options.resume === true)) {
    throw new ArgumentError('train: saveEvery and resume need a folder');
  }
  const names = new Set(trainable.parameters.map(({ name }) => name));
  if (names.size === 0) throw new ArgumentError('train: the trainable has no parameters');
  if (names.size < trainable.parameters.length) {
    throw new ArgumentError('train: two parameters of the trainable have the same name');
  }
}

/** The settings that a save keeps. */
export function settingsOf(options: TrainOptions): { readonly [name: string]: JsonValue | undefined } {
  const { optimizer, schedule, steps, accumulate = 1, clip, average, lossScaling, about } = options;
  const settings = {
    optimizer: { name: optimizer.name, ...optimizer.settings },
    schedule,
    steps,
    accumulate,
    clip,
    average,
    lossScaling,
    ...about,
  };
  return JSON.parse(JSON.stringify(settings));
}

/** The names of settings that differ. */
export function changedSettings(
  saved: { readonly [name: string]: JsonValue | undefined },
  now: { readonly [name: string]: JsonValue | undefined },
): string[] {
  const names = new Set([...Object.keys(saved), ...Object.keys(now)]);
  return [...names].filter((name) => sorted(saved[name]) !== sorted(now[name]));
}

/** JSON that does not depend on the order of keys. */
function sorted(value: JsonValue | undefined): string {
  if (Array.isArray(value)) return `[${value.map(sorted).join()}]`;
  if (typeof value !== 'object' || value === null) return JSON.stringify(value) ?? '';
  const entries = Object.entries(value).sort(([a], [b]) => (a < b ? -1 : 1));
  return `{${entries.map(([key, inner]) => `${JSON.stringify(key)}:${sorted(inner)}`).join()}}`;
}
