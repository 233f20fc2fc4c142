/** Opens an encoder by a path on disk, in Node. */
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { createDevice, type WasmDevice } from '../../attention/index.ts';
import type { Checkpoint } from '../../checkpoint/index.ts';
import { openCheckpoint } from '../../checkpoint/node.ts';
import { ModelError } from '../../errors.ts';
import { createNodeBackend, type DenseBackend } from '../../graph/index.ts';
import { checkPattern } from '../../pattern/index.ts';
import { checkVocabulary, type Tokenizer } from '../../text/index.ts';
import { loadTokenizer } from '../../text/node.ts';
import { bundledPath } from '../bundled-node.ts';
import { findEncoder } from './architectures.ts';
import { Encoder } from './encoder.ts';
import type { LoadEncoderOptions } from './load.ts';
import { EncoderTensors } from './tensors.ts';

export async function loadEncoderFromDisk(path: string, options: LoadEncoderOptions): Promise<Encoder> {
  return openEncoderFolder(path, options, (opened) => openEncoder(path, opened, options));
}

export async function openEncoder(
  path: string,
  { checkpoint, config, source, start }: OpenedFolder,
  { pattern, positions = 'given', weights, task: asked }: LoadEncoderOptions,
): Promise<Encoder> {
  if (pattern !== undefined) checkPattern(pattern);
  const { architecture, task } = findEncoder(config, source, asked);
  const { prefix, headNames } = architecture;
  const tensors = new EncoderTensors({ checkpoint, source: path, prefix, headNames });
  const model = architecture.read(config, { source, task, tensors, pattern, positions });
  return Encoder.create({ model, task, config, tensors, weights, ...(await start(model.vocabularySize)) });
}

/** What a model needs beside its graph. */
export interface ModelParts {
  readonly tokenizer: Tokenizer | undefined;
  readonly device: WasmDevice;
  readonly backend: DenseBackend;
  readonly close: () => Promise<void>;
  readonly onProgress?: (done: number, total: number) => void;
  readonly signal?: AbortSignal;
}

export interface OpenedFolder {
  readonly checkpoint: Checkpoint;
  readonly config: Readonly<Record<string, unknown>>;
  /** What errors call config.json. */
  readonly source: string;
  readonly folder: string;
  /** Makes the rest when the configuration has been read. */
  readonly start: (vocabularySize: number) => Promise<ModelParts>;
}

/** Opens weights and configuration for `make`, and closes everything where it fails. */
export async function openEncoderFolder<Model>(
  path: string,
  options: Pick<LoadEncoderOptions, 'tokenizer' | 'device' | 'backend' | 'threads' | 'hub' | 'onProgress' | 'signal'>,
  make: (folder: OpenedFolder) => Promise<Model>,
): Promise<Model> {
  const { hub, onProgress, signal } = options;
  const { checkpoint, format, config, folder } = await openCheckpoint(bundledPath(path), {
    ...(hub === undefined ? {} : { hub }),
    ...(signal === undefined ? {} : { signal }),
  });
  const cleanUp: (() => Promise<void>)[] = [() => checkpoint.close()];
  const close = async () => {
    for (const step of cleanUp.splice(0).reverse()) await step();
  };
  try {
    if (format === 'gguf') {
      throw new ModelError(
        `${path}: encoders and encoder-decoders are read from safetensors or PyTorch's .bin, not GGUF`,
      );
    }
    if (config === undefined) throw new ModelError(`${path}: there is no config.json beside the weights`);
    const start = async (vocabularySize: number): Promise<ModelParts> => {
      const tokenizer = options.tokenizer ?? (await tokenizerIn(folder));
      if (tokenizer !== undefined) checkVocabulary(tokenizer, vocabularySize);
      signal?.throwIfAborted();
      const threads = options.threads === undefined ? {} : { threads: options.threads };
      const device = options.device ?? (await createDevice(threads));
      if (options.device === undefined) cleanUp.push(() => device.dispose());
      const backend = options.backend ?? (await createNodeBackend(threads));
      return {
        tokenizer,
        device,
        backend,
        close,
        ...(onProgress === undefined ? {} : { onProgress }),
        ...(signal === undefined ? {} : { signal }),
      };
    };
    return await make({ checkpoint, config, source: `${path}: config.json`, folder, start });
  } catch (error) {
    await close();
    throw error;
  }
}

/** Ids are enough to run an encoder, so its folder need not have a tokenizer. */
async function tokenizerIn(folder: string): Promise<Tokenizer | undefined> {
  return existsSync(join(folder, 'tokenizer.json')) ? loadTokenizer(folder) : undefined;
}
