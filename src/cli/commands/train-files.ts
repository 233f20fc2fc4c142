/** The files that `farfield train` reads: the configuration, the data, the tokenizer. */
import { readFile, stat } from 'node:fs/promises';
import { dirname, join, resolve } from 'node:path';
import { localPath, openCheckpoint } from '../../checkpoint/node.ts';
import { FarfieldError } from '../../errors.ts';
import { loraConfigJson } from '../../model/index.ts';
import { type Tokenizer, tokenizerFromGguf } from '../../text/index.ts';
import { loadTokenizer } from '../../text/node.ts';
import {
  type DataFile,
  listFiles,
  parseTrainConfig,
  savedWeights,
  saveFolder,
  type TrainConfig,
} from '../../train/index.ts';
import { readText } from './model-options.ts';

/** Copied beside the weights of a checkpoint, so that a save can be opened as one. */
const BESIDE = ['config.json', 'tokenizer.json', 'tokenizer_config.json', 'special_tokens_map.json'];

/** The configuration with its paths, which are relative to the file, made absolute. `steps` takes the place of its own. */
export async function readTrainConfig(path: string, steps?: number): Promise<TrainConfig> {
  const text = await readText(path, 'train');
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch (cause) {
    throw new FarfieldError(`train ${path}: is not JSON: ${cause instanceof Error ? cause.message : cause}`, { cause });
  }
  try {
    const config = parseTrainConfig(value);
    const base = dirname(resolve(path));
    // Only with hf: is it an id of the hub here; without, it is relative to this file.
    const atBase = (path: string): string => (path.startsWith('hf:') ? path : resolve(base, path));
    const { model, data } = config;
    const modelAt = (model: TrainConfig['model']): TrainConfig['model'] => {
      if (model.kind === 'checkpoint') return { ...model, path: atBase(model.path) };
      return model.kind === 'gpt' && model.begin !== undefined
        ? { ...model, begin: resolve(base, model.begin) }
        : model;
    };
    const dataAt = (data: TrainConfig['data']): TrainConfig['data'] => {
      if (data.kind === 'task') return data;
      const files = data.files.map((file) => resolve(base, file));
      if (data.kind === 'labelled' || data.tokenizer === undefined) return { ...data, files };
      return { ...data, files, tokenizer: atBase(data.tokenizer) };
    };
    return {
      ...config,
      model: modelAt(model),
      data: dataAt(data),
      folder: resolve(base, config.folder),
      // The schedule is that of the file, so that a first few steps are those of the whole training.
      schedule: { steps: config.steps, ...config.schedule },
      ...(steps === undefined ? {} : { steps }),
    };
  } catch (error) {
    if (!(error instanceof FarfieldError)) throw error;
    throw new FarfieldError(`train ${path}: ${error.message}`, { cause: error });
  }
}

/** The files of the data; none for a task made by code. */
export async function listData({ data }: TrainConfig, signal: AbortSignal): Promise<DataFile[]> {
  if (data.kind === 'task') return [];
  const { files, include, exclude } = data;
  return listFiles(files, {
    ...(include === undefined ? {} : { include }),
    ...(exclude === undefined ? {} : { exclude }),
    signal,
  });
}

/** The tokenizer of text: the one that is named, or the checkpoint's own. */
export async function openTokenizer({ model, data }: TrainConfig): Promise<Tokenizer | undefined> {
  if (data.kind !== 'text') return undefined;
  if (data.tokenizer !== undefined) return loadTokenizer(data.tokenizer);
  if (model.kind !== 'checkpoint') return undefined;
  const { checkpoint, folder, metadata } = await openCheckpoint(model.path);
  await checkpoint.close();
  return metadata === undefined ? loadTokenizer(folder) : tokenizerFromGguf(metadata, model.path);
}

/** What a model of the kind gpt begins with, where the configuration names an earlier training. */
export async function beginningWeights({ model }: TrainConfig): Promise<Map<string, Float32Array> | undefined> {
  if (model.kind !== 'gpt' || model.begin === undefined) return undefined;
  return savedWeights(await saveFolder(model.begin), { average: 'preferred' });
}

/** What a checkpoint in Hugging Face's form has beside its weights. Its saves have the same, and open as it does. */
export async function filesBeside({ model }: TrainConfig): Promise<Record<string, Uint8Array>> {
  if (model.kind !== 'checkpoint') return {};
  if (model.lora !== undefined) {
    const config = JSON.stringify(loraConfigJson(model.lora, model.path), undefined, 2);
    return { 'adapter_config.json': new TextEncoder().encode(`${config}\n`) };
  }
  const path = await localPath(model.path);
  const folder = (await stat(path)).isDirectory() ? path : dirname(path);
  const files: Record<string, Uint8Array> = {};
  for (const name of BESIDE) {
    const bytes = await readFile(join(folder, name)).catch(() => undefined);
    if (bytes !== undefined) files[name] = bytes;
  }
  return files;
}
