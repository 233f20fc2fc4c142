import { availableParallelism } from 'node:os';
import { join } from 'node:path';
import { createDevice } from '../../attention/index.ts';
import { FarfieldError } from '../../errors.ts';
import { createNodeBackend } from '../../graph/index.ts';
import {
  buildTraining,
  drawLossCurve,
  parseLog,
  type SaveFolder,
  saveFolder,
  type TrainConfig,
  type TrainEvent,
  type TrainResult,
  train,
} from '../../train/index.ts';
import { addCommand, integer, type Register } from '../command.ts';
import type { CommandContext } from '../context.ts';
import { formatBytes, formatCounted, formatDuration, formatRate } from '../format.ts';
import { writeOutputFile } from '../output-file.ts';
import { beginningWeights, filesBeside, listData, openTokenizer, readTrainConfig } from './train-files.ts';

interface Options {
  readonly config: string;
  readonly resume?: boolean;
  readonly steps?: number;
  readonly threads?: number;
}

export const registerTrain: Register = (program, start) => {
  const run = start(trainFromConfig);
  addCommand(program, 'train', {
    summary: 'train a model that a JSON file describes',
    description:
      'Trains a model with any pattern, a new one or a checkpoint, on texts, on labelled files or on a task made by code. Saves, the log (log.jsonl) and the loss curve (loss.svg) go to the ' +
      'folder that the file names. Ctrl-C saves and ends; --resume goes on from the last save, to the bit. docs/training.md has ' +
      'every field of the file.',
    examples: [
      { does: 'start', command: 'farfield train small.json' },
      { does: 'go on after Ctrl-C or a crash', command: 'farfield train small.json --resume' },
      { does: 'a few steps, to see how long it will take', command: 'farfield train small.json --steps 10 --json' },
    ],
  })
    .argument('<config>', 'the JSON file')
    .option('--resume', 'go on from the last save in the folder; without one, start')
    .option('--steps <count>', 'stop after this step; the schedule stays that of the file', integer(1))
    .option('--threads <count>', 'threads; default: one for each core', integer(1))
    .action(function (config: string) {
      this.setOptionValue('config', config);
      return run.call(this);
    });
};

async function trainFromConfig(options: Options, context: CommandContext): Promise<void> {
  const { signal } = context;
  const { threads = availableParallelism(), resume = false } = options;
  const config = await readTrainConfig(options.config, options.steps);
  const files = await listData(config, signal);
  const bytes = files.reduce((sum, { size }) => sum + size, 0);
  await using device = await createDevice({ threads });
  const backend = await createNodeBackend({ threads, memoryArena: true });
  const tokenizer = await openTokenizer(config);
  const weights = await beginningWeights(config);
  const reading = context.progress({ label: 'reading the data', unit: 'bytes', total: bytes });
  await using training = await buildTraining(config, files, {
    device,
    backend,
    signal,
    ...(tokenizer === undefined ? {} : { tokenizer }),
    ...(weights === undefined ? {} : { weights }),
    onData: (done) => reading.update(done),
  });
  reading[Symbol.dispose]();
  const path = config.folder;
  const folder = await saveFolder(path);
  const report = new Report(context, config, options.config, path);
  try {
    const result = await train({
      ...training.options,
      files: await filesBeside(config),
      folder,
      resume,
      signal,
      onProgress: (event) => report.tell(event),
    });
    const lossCurve = await drawCurve(folder, path);
    report.end();
    context.result({ ...result, folder: path, lossCurve }, summary(result, path, lossCurve));
  } catch (error) {
    report.end();
    // Where Ctrl-C ends it the frame says only that; a save that failed then must be heard too.
    if (signal.aborted && error !== signal.reason && error instanceof FarfieldError) context.note(error.message);
    if (signal.aborted) {
      await drawCurve(folder, path);
      report.stopped();
    }
    throw error;
  }
}

/** Draws the log's losses beside it. */
async function drawCurve(folder: SaveFolder, path: string): Promise<string | undefined> {
  const events = parseLog(await folder.log.read());
  if (!events.some(({ kind }) => kind === 'step')) return undefined;
  const file = join(path, 'loss.svg');
  await writeOutputFile(file, drawLossCurve(events, { title: `Loss of ${path}` }));
  return file;
}

/** Tells of a training on stderr: a line that moves, and lines that stay for what matters. */
class Report {
  readonly #context: CommandContext;
  readonly #config: TrainConfig;
  readonly #file: string;
  readonly #path: string;
  #line: ReturnType<CommandContext['progress']> | undefined;
  #label = 'training';
  #saved: number | undefined;

  constructor(context: CommandContext, config: TrainConfig, file: string, path: string) {
    this.#context = context;
    this.#config = config;
    this.#file = file;
    this.#path = path;
  }

  tell(event: TrainEvent): void {
    const { note } = this.#context;
    switch (event.kind) {
      case 'start':
        note(`${formatCounted(event.weights, 'weight')}, ${formatCounted(event.steps - event.step, 'step')} to do`);
        if (event.resumed !== undefined) this.#saved = event.step;
        if (event.resumed !== undefined) note(`going on from ${event.resumed} in ${this.#path}`);
        for (const damage of event.damaged ?? []) note(`a save that is not whole was passed over: ${damage}`);
        if (event.changed !== undefined) note(`settings that are not those of the save: ${event.changed.join(', ')}`);
        break;
      case 'step':
        this.#label = [
          `loss ${event.loss.toFixed(3)}`,
          `${formatRate(event.tokensPerSecond)} tokens/s`,
          ...(event.residentBytes === undefined ? [] : [formatBytes(event.residentBytes)]),
        ].join('  ');
        this.#update(event.step);
        break;
      case 'skip':
        note(`step ${event.step}: the gradients overflowed; the loss scale is now ${event.lossScale}`);
        break;
      case 'evaluation':
        note(`step ${event.step}: validation ${nats(event.loss)}${average(event.averageLoss)}`);
        break;
      case 'save':
        this.#saved = event.step;
    }
  }

  end(): void {
    this.#line?.[Symbol.dispose]();
  }

  /** What a person who stopped it wants to know. */
  stopped(): void {
    if (this.#saved === undefined) return;
    this.#context.note(`saved after step ${this.#saved}; go on with: farfield train ${this.#file} --resume`);
  }

  #update(step: number): void {
    const label = () => this.#label;
    this.#line ??= this.#context.progress({
      get label() {
        return label();
      },
      unit: 'steps',
      total: this.#config.steps,
    });
    this.#line.update(step);
  }
}

function nats(loss: number): string {
  return `loss ${loss.toFixed(4)} nats, ${(loss / Math.LN2).toFixed(4)} bits for each token`;
}

function average(loss: number | undefined): string {
  return loss === undefined ? '' : `; of the averaged weights ${loss.toFixed(4)} nats`;
}

function summary(result: TrainResult, path: string, lossCurve: string | undefined): string {
  const { step, ended, loss, validationLoss, averageLoss, tokens, seconds, save } = result;
  return [
    `${formatCounted(step, 'step')} on ${formatCounted(tokens, 'token')} in ${formatDuration(1000 * seconds)}` +
      (ended === 'data' ? '; the data ended before the steps did' : ''),
    ...(loss === undefined ? [] : [`last step   ${nats(loss)}`]),
    ...(validationLoss === undefined ? [] : [`validation  ${nats(validationLoss)}${average(averageLoss)}`]),
    ...(save === undefined ? [] : [`weights     ${join(path, save, 'model.safetensors')}`]),
    ...(lossCurve === undefined ? [] : [`loss curve  ${lossCurve}`]),
  ].join('\n');
}
