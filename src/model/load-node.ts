/** Opens a language model by a path on disk, in Node. */
import { readFile } from 'node:fs/promises';
import { totalmem } from 'node:os';
import { join } from 'node:path';
import { createDevice, type WasmDevice } from '../attention/index.ts';
import { type OpenCheckpointOptions, type OpenedCheckpoint, openCheckpoint } from '../checkpoint/node.ts';
import { CheckpointError, ModelError } from '../errors.ts';
import { createNodeBackend, type DenseBackend } from '../graph/index.ts';
import { checkVocabulary, type Tokenizer, tokenizerFromGguf } from '../text/index.ts';
import { loadTokenizer } from '../text/node.ts';
import { bundledPath } from './bundled-node.ts';
import { DECODERS, findDecoder } from './decoder/architectures.ts';
import { DecoderEngine } from './decoder/engine.ts';
import { PICTURE_MODEL_TYPES, textPart } from './decoder/text-part.ts';
import { endTokensOfGguf } from './generation.ts';
import { generationIn } from './generation-node.ts';
import type { DecoderSizes, LanguageEngine } from './language-engine.ts';
import { LanguageModel } from './language-model.ts';
import { ARCHITECTURES, type LlamaConfig, llamaConfigFromGguf, llamaConfigFromJson } from './llama-config.ts';
import { LlamaEngine } from './llama-engine.ts';
import { createTrainableLlama, type TrainableLlamaOptions } from './llama-trainable.ts';
import { type LlamaWeights, openLlamaWeights } from './llama-weights.ts';
import type { LoadLanguageModelOptions } from './load.ts';
import { applyLora, type LoraAdapter, readLora } from './lora.ts';
import { checkWeightMemory, type Machine } from './memory.ts';
import type { RowModel } from './row-model.ts';

/** What opening a checkpoint takes of a loader's options. */
export function pickHub({ hub, signal }: OpenCheckpointOptions): OpenCheckpointOptions {
  return { ...(hub === undefined ? {} : { hub }), ...(signal === undefined ? {} : { signal }) };
}

export async function loadFromDisk(given: string, options: LoadLanguageModelOptions): Promise<LanguageModel> {
  const path = bundledPath(given);
  const { weights: kind = 'quantized', onProgress, signal } = options;
  const opened = await openCheckpoint(path, pickHub(options));
  const cleanUp: (() => Promise<void>)[] = [() => opened.checkpoint.close()];
  const close = async () => {
    for (const step of cleanUp.splice(0).reverse()) await step();
  };
  try {
    const { config, weightBytes, leftOut, create } = await decoderOf(opened, path, kind, options.adapter);
    const tokenizer = options.tokenizer ?? (await tokenizerOf(opened, path));
    checkVocabulary(tokenizer, config.vocabularySize);
    const endTokens = await endTokensOf(opened, path);
    const machine: Machine = { memoryBytes: memoryBytes() };
    checkWeightMemory(weightBytes, machine);
    signal?.throwIfAborted();
    const threads = options.threads === undefined ? {} : { threads: options.threads };
    const device: WasmDevice = options.device ?? (await createDevice(threads));
    if (options.device === undefined) cleanUp.push(() => device.dispose());
    const backend: DenseBackend = options.backend ?? (await createNodeBackend(threads));
    const engine = await create(device, backend, {
      ...(onProgress === undefined ? {} : { onProgress }),
      ...(signal === undefined ? {} : { signal }),
    });
    return new LanguageModel({ config, tokenizer, endTokens, engine, device, weightBytes, leftOut, machine, close });
  } catch (error) {
    await close();
    throw error;
  }
}

/** A checkpoint's decoder, before anything is loaded. */
interface FoundDecoder {
  readonly config: DecoderSizes;
  /** Bytes of the weights in memory. */
  readonly weightBytes: number;
  /** See LanguageModel. */
  readonly leftOut?: Readonly<Record<string, number>>;
  readonly create: (
    device: WasmDevice,
    backend: DenseBackend,
    options: Pick<LoadLanguageModelOptions, 'onProgress' | 'signal'>,
  ) => Promise<LanguageEngine>;
}

async function decoderOf(
  opened: OpenedCheckpoint,
  path: string,
  kind: 'quantized' | 'f32',
  adapter: string | undefined,
): Promise<FoundDecoder> {
  const { format } = opened;
  const source = `${path}: config.json`;
  const { config: json, checkpoint, leftOut } = textPart(opened.config ?? {}, opened.checkpoint, source);
  const architecture = format === 'gguf' ? undefined : findDecoder(json);
  if (architecture === undefined) {
    const config = configOf(opened, path);
    const weights = openLlamaWeights(checkpoint, config, { format, weights: kind, source: path });
    const adapt = adapter === undefined ? {} : { adapt: applyLora(await loadAdapter(adapter, weights)) };
    const create: FoundDecoder['create'] = (device, backend, options) =>
      LlamaEngine.create(config, weights, device, backend, { accuracyLevel: 4, ...adapt, ...options });
    return { config, weightBytes: weights.bytes, create };
  }
  if (adapter !== undefined) {
    throw new ModelError(
      `${path}: adapters are implemented for the Llama family, not for ${opened.config?.model_type}`,
    );
  }
  const model = architecture.read(json, source);
  const elements = checkpoint.names().map((name) => {
    const { shape } = checkpoint.info(name);
    // Two numbers of MXFP4 to a byte.
    return shape.reduce((product, side) => product * side, name.endsWith('_blocks') ? 2 : 1);
  });
  return {
    config: model.sizes,
    weightBytes: 4 * elements.reduce((sum, count) => sum + count, 0),
    leftOut,
    create: (device, backend, options) =>
      DecoderEngine.create({ model, checkpoint, source: path, device, backend, ...options }),
  };
}

export async function loadTrainableFromDisk(given: string, options: TrainableLlamaOptions): Promise<RowModel> {
  const path = bundledPath(given);
  const opened = await openCheckpoint(path);
  try {
    const config = configOf(opened, path);
    const weights = openLlamaWeights(opened.checkpoint, config, {
      format: opened.format,
      weights: 'f32',
      source: path,
    });
    // Weights, and where all of them train their gradients and an optimizer's two moments.
    checkWeightMemory((options.lora === undefined ? 4 : 1) * weights.bytes, { memoryBytes: memoryBytes() });
    return await createTrainableLlama(config, weights, options);
  } finally {
    await opened.checkpoint.close();
  }
}

async function loadAdapter(path: string, weights: LlamaWeights): Promise<LoraAdapter> {
  const { checkpoint, folder } = await openCheckpoint(path);
  try {
    const file = join(folder, 'adapter_config.json');
    const text = await readFile(file, 'utf8').catch((cause: unknown) => {
      throw new CheckpointError(`${path}: there is no adapter_config.json beside the adapters`, { cause });
    });
    return await readLora(checkpoint, parseJson(text, file), weights, path);
  } finally {
    await checkpoint.close();
  }
}

function parseJson(text: string, file: string): Record<string, unknown> {
  try {
    return { ...JSON.parse(text) };
  } catch (cause) {
    throw new CheckpointError(`${file}: is not JSON`, { cause });
  }
}

function memoryBytes(): number {
  return Math.min(totalmem(), process.constrainedMemory() || Infinity);
}

function configOf({ format, metadata, config }: OpenedCheckpoint, path: string): LlamaConfig {
  if (format === 'gguf' && metadata !== undefined) return llamaConfigFromGguf(metadata, path);
  if (config === undefined) throw new ModelError(`${path}: there is no config.json beside the weights`);
  const type = config.model_type;
  if (!ARCHITECTURES.some((known) => known === type)) {
    const known = [...ARCHITECTURES, ...Object.keys(DECODERS), ...PICTURE_MODEL_TYPES].join(', ');
    throw new ModelError(
      `${path}: config.json: model_type is ${JSON.stringify(type)}; Farfield implements these decoders: ${known} (SmolLM2 is a llama)`,
    );
  }
  return llamaConfigFromJson(config, `${path}: config.json`);
}

/** A GGUF file is enough by itself. */
async function tokenizerOf({ format, metadata, folder }: OpenedCheckpoint, path: string): Promise<Tokenizer> {
  return format === 'gguf' && metadata !== undefined ? tokenizerFromGguf(metadata, path) : loadTokenizer(folder);
}

async function endTokensOf({ metadata, config, folder }: OpenedCheckpoint, path: string): Promise<readonly number[]> {
  if (metadata !== undefined) return endTokensOfGguf(metadata);
  return (await generationIn(folder, { json: config ?? {}, source: `${path}: config.json` })).endTokens;
}
