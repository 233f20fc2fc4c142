/** Opens an encoder-decoder by a path on disk, in Node. */
import { ModelError } from '../../errors.ts';
import { TASKS } from '../encoder/architecture.ts';
import type { LoadEncoderOptions } from '../encoder/load.ts';
import { type OpenedFolder, openEncoderFolder } from '../encoder/load-node.ts';
import { EncoderTensors } from '../encoder/tensors.ts';
import { generationIn } from '../generation-node.ts';
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
  const { name, task: named } = namedTask(config, className);
  const task = asked ?? named;
  if (task === undefined || model.heads?.[task] === undefined) {
    const known = Object.entries(TASKS).flatMap(([suffix, own]) => (model.heads?.[own] ? [className + suffix] : []));
    const what = asked === undefined ? `architectures names ${name}` : `task is ${asked}`;
    throw new ModelError(
      `${source}: ${what}; of a ${className} Farfield implements ${[...known, `${className}ForConditionalGeneration (loadSeq2Seq)`].join(', ')}`,
    );
  }
  return Seq2SeqReader.create({ model, task, config, tensors, ...(await start(model.encoder.vocabularySize)) });
}

/** @throws ModelError for a class that does not write. */
export function checkWrites(config: Readonly<Record<string, unknown>>, className: string, source: string): void {
  const { name, task } = namedTask(config, className);
  if (task === undefined || task === 'base') return;
  throw new ModelError(
    `${source}: architectures names ${name}, whose head cannot be exported; a ${className}ForConditionalGeneration can`,
  );
}

/** The class that config.json names first, and its task where it is not to write. */
function namedTask({ architectures }: Readonly<Record<string, unknown>>, className: string) {
  const name = String(Array.isArray(architectures) ? architectures[0] : undefined);
  return { name, task: Object.entries(TASKS).find(([suffix]) => name === className + suffix)?.[1] };
}
