import type { WasmDevice } from '../attention/index.ts';
import type { HubOptions } from '../checkpoint/index.ts';
import type { DenseBackend } from '../graph/index.ts';
import type { Tokenizer } from '../text/index.ts';
import type { LanguageModel } from './language-model.ts';
import type { TrainableLlamaOptions } from './llama-trainable.ts';
import type { RowModel } from './row-model.ts';

export interface LoadLanguageModelOptions {
  /** 'quantized' (default) keeps quantized matrices as they are stored; 'f32' expands them: larger, and the exact numbers. */
  readonly weights?: 'quantized' | 'f32';
  /** Default: the one of the GGUF file, or tokenizer.json beside the weights. */
  readonly tokenizer?: Tokenizer;
  /** For attention. Default: one of the model's own, which ends with it. */
  readonly device?: WasmDevice;
  /** For everything else. Default: onnxruntime-node. */
  readonly backend?: DenseBackend;
  /** Threads of both, where they are made here. Default: one for each core. */
  readonly threads?: number;
  /** A folder with adapter_config.json and adapters in safetensors, of PEFT or of `farfield train`, for Llama-family models. */
  readonly adapter?: string;
  /** After each part of the model that has been loaded. */
  readonly onProgress?: (done: number, total: number) => void;
  /** For ids of the hub: the revision, the token, offline, and progress of the download. */
  readonly hub?: HubOptions;
  readonly signal?: AbortSignal;
}

/**
 * Opens a Llama-family model (Llama, SmolLM2, Mistral): a .gguf file, a .safetensors file or an index of shards with config.json and
 * tokenizer.json beside it, a folder with one of these, an id of the Hugging Face hub (owner/name, owner/name:file.gguf), or
 * 'farfield-small', which comes with the package. Needs Node. The caller ends it with dispose().
 * @throws CheckpointError for weights that are missing, corrupt, or not those of the configuration; ModelError for an architecture
 *   that is not implemented; TextError for a tokenizer that does not match; MemoryError where the weights do not fit; HubError where the hub does not give
 *   them.
 */
export async function loadLanguageModel(path: string, options: LoadLanguageModelOptions = {}): Promise<LanguageModel> {
  const { loadFromDisk } = await import('./load-node.ts');
  return loadFromDisk(path, options);
}

/**
 * Opens the same files to train all their weights, in float32 and by their Hugging Face names, under a pattern. Needs Node. The caller ends
 * it with dispose().
 * @throws as loadLanguageModel() does.
 */
export async function loadTrainable(path: string, options: TrainableLlamaOptions = {}): Promise<RowModel> {
  const { loadTrainableFromDisk } = await import('./load-node.ts');
  return loadTrainableFromDisk(path, options);
}
