/** Opens an encoder by a path on disk, in Node. */
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { createDevice } from '../../attention/index.ts';
import { openCheckpoint } from '../../checkpoint/node.ts';
import { ModelError } from '../../errors.ts';
import { createNodeBackend } from '../../graph/index.ts';
import { checkPattern } from '../../pattern/index.ts';
import { checkVocabulary, type Tokenizer } from '../../text/index.ts';
import { loadTokenizer } from '../../text/node.ts';
import { findEncoder } from './architectures.ts';
import { Encoder } from './encoder.ts';
import type { LoadEncoderOptions } from './load.ts';
import { EncoderTensors } from './tensors.ts';

export async function loadEncoderFromDisk(path: string, options: LoadEncoderOptions): Promise<Encoder> {
  const { onProgress, signal, pattern, positions = 'given' } = options;
  if (pattern !== undefined) checkPattern(pattern);
  const { checkpoint, format, config, folder } = await openCheckpoint(path);
  const cleanUp: (() => Promise<void>)[] = [() => checkpoint.close()];
  const close = async () => {
    for (const step of cleanUp.splice(0).reverse()) await step();
  };
  try {
    if (format !== 'safetensors')
      throw new ModelError(`${path}: encoders are read from safetensors, this is ${format}`);
    if (config === undefined) throw new ModelError(`${path}: there is no config.json beside the weights`);
    const source = `${path}: config.json`;
    const { architecture, task } = findEncoder(config, source, options.task);
    const { prefix, headNames } = architecture;
    const tensors = new EncoderTensors({ checkpoint, source: path, prefix, headNames });
    const model = architecture.read(config, { source, task, tensors, pattern, positions });
    const tokenizer = options.tokenizer ?? (await tokenizerIn(folder));
    if (tokenizer !== undefined) checkVocabulary(tokenizer, model.vocabularySize);
    signal?.throwIfAborted();
    const threads = options.threads === undefined ? {} : { threads: options.threads };
    const device = options.device ?? (await createDevice(threads));
    if (options.device === undefined) cleanUp.push(() => device.dispose());
    const backend = options.backend ?? (await createNodeBackend(threads));
    return await Encoder.create({
      model,
      tensors,
      tokenizer,
      device,
      backend,
      close,
      ...(onProgress === undefined ? {} : { onProgress }),
      ...(signal === undefined ? {} : { signal }),
    });
  } catch (error) {
    await close();
    throw error;
  }
}

/** Ids are enough to run an encoder, so its folder need not have a tokenizer. */
async function tokenizerIn(folder: string): Promise<Tokenizer | undefined> {
  return existsSync(join(folder, 'tokenizer.json')) ? loadTokenizer(folder) : undefined;
}
