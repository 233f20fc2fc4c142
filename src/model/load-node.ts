/** Opens a language model by a path on disk, in Node. */
import { totalmem } from 'node:os';
import { createDevice, type WasmDevice } from '../attention/index.ts';
import { type OpenedCheckpoint, openCheckpoint } from '../checkpoint/node.ts';
import { ModelError } from '../errors.ts';
import { createNodeBackend, type DenseBackend } from '../graph/index.ts';
import { checkVocabulary, type Tokenizer, tokenizerFromGguf } from '../text/index.ts';
import { loadTokenizer } from '../text/node.ts';
import { LanguageModel } from './language-model.ts';
import { type LlamaConfig, llamaConfigFromGguf, llamaConfigFromJson } from './llama-config.ts';
import { LlamaEngine } from './llama-engine.ts';
import { createTrainableLlama, type TrainableLlamaOptions } from './llama-trainable.ts';
import { openLlamaWeights } from './llama-weights.ts';
import type { LoadLanguageModelOptions } from './load.ts';
import { checkWeightMemory, type Machine } from './memory.ts';
import type { RowModel } from './row-model.ts';

export async function loadFromDisk(path: string, options: LoadLanguageModelOptions): Promise<LanguageModel> {
  const { weights: kind = 'quantized', onProgress, signal } = options;
  const opened = await openCheckpoint(path);
  const cleanUp: (() => Promise<void>)[] = [() => opened.checkpoint.close()];
  const close = async () => {
    for (const step of cleanUp.splice(0).reverse()) await step();
  };
  try {
    const config = configOf(opened, path);
    const weights = openLlamaWeights(opened.checkpoint, config, { format: opened.format, weights: kind, source: path });
    const tokenizer = options.tokenizer ?? (await tokenizerOf(opened, path));
    checkVocabulary(tokenizer, config.vocabularySize);
    const machine: Machine = { memoryBytes: memoryBytes() };
    const weightBytes = weights.bytes;
    checkWeightMemory(weightBytes, machine);
    signal?.throwIfAborted();
    const threads = options.threads === undefined ? {} : { threads: options.threads };
    const device: WasmDevice = options.device ?? (await createDevice(threads));
    if (options.device === undefined) cleanUp.push(() => device.dispose());
    const backend: DenseBackend = options.backend ?? (await createNodeBackend(threads));
    const engine = await LlamaEngine.create(config, weights, device, backend, {
      accuracyLevel: 4,
      ...(onProgress === undefined ? {} : { onProgress }),
      ...(signal === undefined ? {} : { signal }),
    });
    return new LanguageModel({ config, tokenizer, engine, device, weightBytes, machine, close });
  } catch (error) {
    await close();
    throw error;
  }
}

export async function loadTrainableFromDisk(path: string, options: TrainableLlamaOptions): Promise<RowModel> {
  const opened = await openCheckpoint(path);
  try {
    const config = configOf(opened, path);
    const weights = openLlamaWeights(opened.checkpoint, config, {
      format: opened.format,
      weights: 'f32',
      source: path,
    });
    // Weights, their gradients and an optimizer's two moments.
    checkWeightMemory(4 * weights.bytes, { memoryBytes: memoryBytes() });
    return await createTrainableLlama(config, weights, options);
  } finally {
    await opened.checkpoint.close();
  }
}

function memoryBytes(): number {
  return Math.min(totalmem(), process.constrainedMemory() || Infinity);
}

function configOf({ format, metadata, config }: OpenedCheckpoint, path: string): LlamaConfig {
  if (format === 'gguf' && metadata !== undefined) return llamaConfigFromGguf(metadata, path);
  if (config === undefined) throw new ModelError(`${path}: there is no config.json beside the weights`);
  return llamaConfigFromJson(config, `${path}: config.json`);
}

/** A GGUF file is enough by itself. */
async function tokenizerOf({ format, metadata, folder }: OpenedCheckpoint, path: string): Promise<Tokenizer> {
  return format === 'gguf' && metadata !== undefined ? tokenizerFromGguf(metadata, path) : loadTokenizer(folder);
}
