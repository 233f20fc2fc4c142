import type { WasmDevice } from '../../attention/index.ts';
import type { HubOptions } from '../../checkpoint/index.ts';
import type { DenseBackend } from '../../graph/index.ts';
import type { Pattern } from '../../pattern/index.ts';
import type { Tokenizer } from '../../text/index.ts';
import type { Task } from './architecture.ts';
import type { Encoder } from './encoder.ts';

export interface LoadEncoderOptions {
  /** What to load, e.g. 'base' of a checkpoint that config.json calls BertForMaskedLM. Default: what config.json says. */
  readonly task?: Task;
  /** In the place of full attention (BERT, RoBERTa, full layers of ModernBERT): for texts that are long. Default: dense. */
  readonly pattern?: Pattern;
  /**
   * Beyond the last learned position: 'given' (default) refuses longer sequences; 'repeat' starts again at the first position, as
   * Longformer (section 5) extends RoBERTa's table before training. Without training it fits patterns that look near.
   */
  readonly positions?: 'given' | 'repeat';
  /** Default: tokenizer.json beside the weights, where there is one. */
  readonly tokenizer?: Tokenizer;
  /** For attention. Default: one of the model's own, which ends with it. */
  readonly device?: WasmDevice;
  /** For everything else. Default: onnxruntime-node. */
  readonly backend?: DenseBackend;
  /** Threads of both, where they are made here. Default: one for each core. */
  readonly threads?: number;
  /**
   * 'kept' (default): all weights lie in memory. 'streamed': each layer's weights are read from the file when a batch comes to the layer, and
   * freed when it has passed: the memory of one layer, for texts of thousands of tokens, where the reading hardly counts.
   */
  readonly weights?: 'kept' | 'streamed';
  /** After each part of the model that has been loaded. */
  readonly onProgress?: (done: number, total: number) => void;
  /** For ids of the hub: the revision, the token, offline, and progress of the download. */
  readonly hub?: HubOptions;
  readonly signal?: AbortSignal;
}

/**
 * Opens an encoder (see ENCODERS in architectures.ts): a .safetensors file or an index of shards with config.json beside it, a folder
 * with these, or an id of the Hugging Face hub. Needs Node. The caller ends it with dispose().
 * @throws ModelError for an architecture that is not implemented or a configuration that is impossible; CheckpointError for weights that
 *   are missing, corrupt, or not those of the configuration, with the tensors' names; TextError for a tokenizer that does not match.
 */
export async function loadEncoder(path: string, options: LoadEncoderOptions = {}): Promise<Encoder> {
  const { loadEncoderFromDisk } = await import('./load-node.ts');
  return loadEncoderFromDisk(path, options);
}
