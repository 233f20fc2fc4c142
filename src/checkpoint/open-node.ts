/** Opens weights by a path on disk, in Node. */
import { readdir, readFile, stat } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';
import { counted } from '../counted.ts';
import { CheckpointError } from '../errors.ts';
import type { ByteSource } from './byte-source.ts';
import { fileSource } from './byte-source-node.ts';
import type { Checkpoint } from './checkpoint.ts';
import { openGguf } from './gguf.ts';
import type { GgufMetadata } from './gguf-metadata.ts';
import { localPath } from './hub/local-path-node.ts';
import type { HubOptions } from './hub/open-hub.ts';
import { hubMeaning } from './hub/repository.ts';
import { openSafetensors } from './safetensors.ts';
import { openSharded } from './sharded.ts';
import { openTorch } from './torch.ts';

export interface OpenedCheckpoint {
  readonly checkpoint: Checkpoint;
  readonly format: 'gguf' | 'safetensors' | 'torch';
  /** The file that was opened: the weights, or the index of shards. */
  readonly file: string;
  /** Where the file lies, and with it a tokenizer. */
  readonly folder: string;
  /** Of a GGUF file. */
  readonly metadata?: GgufMetadata;
  /** `config.json` beside the file, where there is one. */
  readonly config?: Readonly<Record<string, unknown>>;
}

export interface OpenCheckpointOptions {
  /** For ids of the hub. */
  readonly hub?: HubOptions;
  readonly signal?: AbortSignal;
}

const INDEX = 'model.safetensors.index.json';
const PREFERRED = [INDEX, 'model.safetensors', 'model.gguf', 'pytorch_model.bin.index.json', 'pytorch_model.bin'];
/** Of what torch.save writes. */
const TORCH = /\.(bin|pt|pth)$/;

/**
 * Opens a .gguf file, a .safetensors file, a .bin, .pt or .pth file of PyTorch, an index of shards (.index.json), or a folder that holds one of these. Of several files in
 * a folder the ones named as Hugging Face names them win; without such a name there must be only one.
 * An id of the Hugging Face hub is brought into the cache first: `hf:owner/name`, or `owner/name` where there is no such path.
 * Throws CheckpointError that says what was looked for, HubError where the hub does not give it. The caller closes `checkpoint`.
 */
export async function openCheckpoint(given: string, options: OpenCheckpointOptions = {}): Promise<OpenedCheckpoint> {
  const { hub, signal } = options;
  const path = await localPath(given, { ...hub, ...(signal === undefined ? {} : { signal }) });
  const found = await stat(path).catch((cause: unknown) => {
    throw new CheckpointError(`${path}: there is no such file or folder${ownerWanted(path)}`, { cause });
  });
  const file = found.isDirectory() ? join(path, await chooseFile(path)) : path;
  const folder = dirname(file);
  const config = await readConfig(folder);
  const common = { file, folder, ...(config === undefined ? {} : { config }) };
  if (file.endsWith('.gguf')) {
    const checkpoint = await withSource(file, openGguf);
    return { ...common, format: 'gguf', checkpoint, metadata: checkpoint.metadata };
  }
  if (file.endsWith('.safetensors')) {
    return { ...common, format: 'safetensors', checkpoint: await withSource(file, openSafetensors) };
  }
  if (file.endsWith('.index.json')) {
    const json = await readFile(file, 'utf8');
    const checkpoint = await openSharded(json, file, (shard) => fileSource(join(folder, shard)));
    return { ...common, format: file.endsWith('.bin.index.json') ? 'torch' : 'safetensors', checkpoint };
  }
  if (TORCH.test(file)) return { ...common, format: 'torch', checkpoint: await withSource(file, openTorch) };
  throw new CheckpointError(
    `${path}: is no weight file by its name; Farfield opens *.gguf, *.safetensors, *.bin, *.pt, *.pth, *.index.json, or a folder with one of these`,
  );
}

/** Where a name alone may be meant for the hub, that an owner goes before it. */
function ownerWanted(path: string): string {
  return hubMeaning(path) === 'local' && hubMeaning(`owner/${path}`) === 'perhaps'
    ? `; a model on the Hugging Face hub is named with its owner: owner/${path}`
    : '';
}

async function withSource<T>(file: string, open: (source: ByteSource) => Promise<T>): Promise<T> {
  const source = await fileSource(file);
  try {
    if (source.size === 0) throw new CheckpointError(`${file}: is empty; it may be what a broken download left`);
    return await open(source);
  } catch (error) {
    await source.close?.();
    throw error;
  }
}

async function chooseFile(folder: string): Promise<string> {
  const files = (await readdir(folder)).sort();
  const preferred = PREFERRED.find((name) => files.includes(name));
  if (preferred !== undefined) return preferred;
  for (const ending of ['.index.json', '.safetensors', '.gguf', '.bin', '.pt', '.pth']) {
    const candidates = files.filter((name) => name.endsWith(ending));
    const [only] = candidates;
    if (candidates.length === 1 && only !== undefined) return only;
    if (candidates.length > 1) {
      throw new CheckpointError(`${folder}: holds several weight files, name one of them: ${candidates.join(', ')}`);
    }
  }
  throw new CheckpointError(
    `${folder}: holds no weights; looked for ${PREFERRED.join(', ')}, and any other *.index.json, *.safetensors, *.gguf, *.bin, *.pt or *.pth, among ${counted(files.length, 'file')}`,
  );
}

async function readConfig(folder: string): Promise<Record<string, unknown> | undefined> {
  const file = join(folder, 'config.json');
  const text = await readFile(file, 'utf8').catch(() => undefined);
  if (text === undefined) return undefined;
  try {
    const config: unknown = JSON.parse(text);
    if (typeof config === 'object' && config !== null && !Array.isArray(config)) {
      return config as Record<string, unknown>;
    }
  } catch (cause) {
    throw new CheckpointError(`${file}: is not JSON`, { cause });
  }
  throw new CheckpointError(`${file}: ${basename(file)} must be a JSON object`);
}
