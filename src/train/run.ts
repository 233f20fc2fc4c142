/** The state of a training while it runs, and what brings it to a folder and back. */
import { CheckpointError, TrainingError } from '../errors.ts';
import type { JsonValue } from './data/source.ts';
import { logLine, type StartEvent, type TrainEvent } from './event.ts';
import { nonFinite } from './gradient-norm.ts';
import { initialLossScale, type LossScale } from './loss-scale.ts';
import type { Optimizer } from './optimizer/optimizer.ts';
import { changedSettings, settingsOf, type TrainOptions } from './options.ts';
import { type FoundSave, findSave, restoreSave, saveName, writeSave } from './save/save.ts';
import { averageWeights, type WeightAverage } from './weight-average.ts';

export class TrainingRun {
  readonly optimizer: Optimizer;
  readonly average: WeightAverage | undefined;
  /** Steps done. */
  step = 0;
  tokens = 0;
  seconds = 0;
  lossScale: LossScale | undefined;
  /** The source's place after the last whole step. */
  place: JsonValue;
  /** Steps done by the last save. */
  saved: number | undefined;
  resumed: string | undefined;
  readonly #options: TrainOptions;

  private constructor(options: TrainOptions) {
    const { trainable, source, average, lossScaling } = options;
    this.#options = options;
    this.optimizer = options.optimizer.create(trainable.parameters);
    this.average = average === undefined ? undefined : averageWeights(trainable.parameters, average);
    this.lossScale = lossScaling === undefined ? undefined : initialLossScale(lossScaling);
    this.place = source.state();
  }

  /** A new training, or the one that was saved. */
  static async start(options: TrainOptions): Promise<TrainingRun> {
    const run = new TrainingRun(options);
    const { folder, resume = false } = options;
    const found = folder === undefined ? undefined : await findSave(folder);
    if (found !== undefined && !resume) {
      throw new TrainingError(
        `${folder?.name} has a training in it (${found.name}): resume it, or choose another folder`,
      );
    }
    if (found !== undefined) await run.#restore(found);
    else await folder?.log.cut(0);
    await run.#reportStart(found);
    return run;
  }

  /** Writes an event to the log, and tells it. */
  async report(event: Exclude<TrainEvent, { kind: 'save' }>): Promise<void> {
    await this.#options.folder?.log.append(logLine(event)).catch((cause) => this.#failed(cause));
    this.#options.onProgress?.(event);
  }

  /**
   * Saves the state after the last whole step, unless that has been done; of the earlier saves `keepMore` stay beside the usual ones.
   * @throws TrainingError where a weight is not finite: such a state is not worth the place of an earlier one.
   */
  async save({ keepMore = 0 }: { readonly keepMore?: number } = {}): Promise<void> {
    const { folder, trainable, keep = 2, files = {}, onProgress } = this.#options;
    if (folder === undefined || this.saved === this.step) return;
    const [first] = nonFinite(trainable.parameters.map(({ data }) => data));
    if (first !== undefined) {
      const { name } = trainable.parameters[first];
      throw new TrainingError(`after step ${this.step} weight "${name}" is not finite. ${this.lastSave()}`);
    }
    const state = {
      step: this.step,
      tokens: this.tokens,
      seconds: this.seconds,
      logBytes: await folder.log.size(),
      optimizer: { name: this.#options.optimizer.name, steps: this.optimizer.steps },
      lossScale: this.lossScale,
      average: this.average !== undefined,
      data: this.place,
      settings: settingsOf(this.#options),
    };
    const tensors = { parameters: trainable.parameters, optimizer: this.optimizer, average: this.average };
    const places = { keep: keep + keepMore, files };
    const name = await writeSave(folder, tensors, state, places).catch((cause) => this.#failed(cause));
    this.saved = this.step;
    onProgress?.({ kind: 'save', step: this.step, name });
  }

  /** A sentence for errors: where the training can go on from. */
  lastSave(): string {
    if (this.saved !== undefined) return `The last save is ${saveName(this.saved)} in ${this.#options.folder?.name}`;
    return this.#options.folder === undefined ? 'Nothing is saved, as there is no folder' : 'Nothing was saved before';
  }

  /** Where the folder cannot be written. */
  #failed(cause: unknown): never {
    if (!(cause instanceof CheckpointError)) throw cause;
    throw new CheckpointError(`${cause.message}. ${this.lastSave()}`, { cause });
  }

  async #restore(found: FoundSave): Promise<void> {
    const { folder, trainable, source, optimizer, lossScaling } = this.#options;
    if (folder === undefined) return;
    const { state } = found;
    // The source refuses a place in other data; asked first, so that nothing has changed where it does.
    source.restore(state.data);
    const tensors = { parameters: trainable.parameters, optimizer: this.optimizer, average: this.average };
    await restoreSave(folder, found, optimizer.name, tensors);
    await folder.log.cut(state.logBytes);
    if (lossScaling !== undefined && state.lossScale !== undefined) this.lossScale = state.lossScale;
    this.place = state.data;
    this.step = state.step;
    this.tokens = state.tokens;
    this.seconds = state.seconds;
    this.saved = state.step;
    this.resumed = found.name;
  }

  async #reportStart(found: FoundSave | undefined): Promise<void> {
    const { trainable, steps } = this.#options;
    const changed = found === undefined ? [] : changedSettings(found.state.settings, settingsOf(this.#options));
    const event: StartEvent = {
      kind: 'start',
      step: this.step,
      steps,
      weights: trainable.parameters.reduce((sum, { data }) => sum + data.length, 0),
      ...(found === undefined ? {} : { resumed: found.name }),
      ...(found === undefined || found.damaged.length === 0 ? {} : { damaged: found.damaged }),
      ...(changed.length === 0 ? {} : { changed }),
      time: new Date().toISOString(),
    };
    await this.report(event);
  }
}
