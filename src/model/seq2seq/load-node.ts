/** Opens an encoder-decoder by a path on disk, in Node. */
import { ModelError } from '../../errors.ts';
import { TASKS, type Task } from '../encoder/architecture.ts';
import type { LoadEncoderOptions } from '../encoder/load.ts';
import { type OpenedFolder, openEncoderFolder } from '../encoder/load-node.ts';
import { EncoderTensors } from '../encoder/tensors.ts';
import { generationIn } from '../generation-node.ts';
import type { Seq2SeqModel } from './architecture.ts';
import { findSeq2Seq } from './architectures.ts';
import type { LoadSeq2SeqOptions } from './load.ts';
import { Seq2SeqReader } from './reader.ts';
import { Seq2Seq } from './seq2seq.ts';

export function loadSeq2SeqFromDisk(path: string, options: LoadSeq2SeqOptions): Promise<Seq2Seq> {
  return openEncoderFolder(path, options, async ({ checkpoint, config, folder, source, start }) => {
    const { className, prefix, read, headNames = [] } = findSeq2Seq(config, source);
    const { name, task } = namedTask(config, className);
    if (task !== undefined && task !== 'base') {
      throw new ModelError(`${source}: architectures names ${name}, which does not write; loadHeadModel() opens it`);
    }
    const tensors = new EncoderTensors({ checkpoint, source: path, prefix, headNames });
    const model = read(config, { source, tensors });
    const generation = await generationIn(folder, { json: config, source });
    return Seq2Seq.create({ model, tensors, generation, ...(await start(model.encoder.vocabularySize)) });
  });
}

/** @throws ModelError for a head that the architecture does not have, and for options of encoders alone. */
export async function openReader(
  path: string,
  { checkpoint, config, source, start }: OpenedFolder,
  { pattern, positions = 'given', weights = 'kept', task: asked }: LoadEncoderOptions,
): Promise<Seq2SeqReader> {
  const { className, prefix, read, headNames = [] } = findSeq2Seq(config, source);
  if (pattern !== undefined || positions === 'repeat') {
    throw new ModelError(`${source}: a ${className} has a pattern and positions of its own; leave them out`);
  }
  if (weights === 'streamed') {
    throw new ModelError(
      `${source}: the weights of a ${className} cannot be streamed, those of an encoder can; keep them`,
    );
  }
  const tensors = new EncoderTensors({ checkpoint, source: path, prefix, headNames });
  const model = read(config, { source, tensors });
  const task = readersTask(model, config, { className, source, asked, writer: ' (loadSeq2Seq)' });
  return Seq2SeqReader.create({ model, task, config, tensors, ...(await start(model.encoder.vocabularySize)) });
}

/** Whether config.json names a class whose decoder writes, or none. */
export function writes(config: Readonly<Record<string, unknown>>, className: string): boolean {
  const { task } = namedTask(config, className);
  return task === undefined || task === 'base';
}

/** The task of a head that does not write: what is asked for, or what config.json names. @throws ModelError for one that the model does not have. */
export function readersTask(
  model: Seq2SeqModel,
  config: Readonly<Record<string, unknown>>,
  options: {
    readonly className: string;
    readonly source: string;
    readonly asked: Task | undefined;
    /** What errors say of the class that writes. */
    readonly writer?: string;
  },
): Task {
  const { className, source, asked, writer = '' } = options;
  const { name, task: named } = namedTask(config, className);
  const task = asked ?? named;
  if (task !== undefined && model.heads?.[task] !== undefined) return task;
  const known = Object.entries(TASKS).flatMap(([suffix, own]) => (model.heads?.[own] ? [className + suffix] : []));
  const what = asked === undefined ? `architectures names ${name}` : `task is ${asked}`;
  throw new ModelError(
    `${source}: ${what}; of a ${className} Farfield implements ${[...known, `${className}ForConditionalGeneration${writer}`].join(', ')}`,
  );
}

/** The class that config.json names first, and its task where it is not to write. */
function namedTask({ architectures }: Readonly<Record<string, unknown>>, className: string) {
  const name = String(Array.isArray(architectures) ? architectures[0] : undefined);
  return { name, task: Object.entries(TASKS).find(([suffix]) => name === className + suffix)?.[1] };
}
