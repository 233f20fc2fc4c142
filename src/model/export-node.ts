/** Opens a model on disk as a graph to be exported, in Node. */
import { type OpenCheckpointOptions, openCheckpoint } from '../checkpoint/node.ts';
import { ModelError } from '../errors.ts';
import type { Graph } from '../graph/index.ts';
import type { Pattern } from '../pattern/index.ts';
import { llamaConfigFromGguf, llamaConfigFromJson } from './llama-config.ts';
import { llamaOnnxGraph } from './llama-onnx.ts';
import { openLlamaWeights } from './llama-weights.ts';

export interface OpenedGraph {
  readonly graph: Graph;
  /** Bytes of the weights in float32. */
  readonly weightBytes: number;
  close(): Promise<void>;
}

/**
 * A Llama-family model from token ids to logits, under a pattern, with weights in float32 that are loaded as the export writes
 * them. Throws as loadLanguageModel() does; ModelError for an architecture that cannot be exported.
 */
export async function openForExport(
  path: string,
  options: OpenCheckpointOptions & { readonly pattern?: Pattern } = {},
): Promise<OpenedGraph> {
  const opened = await openCheckpoint(path, options);
  const close = (): Promise<void> => opened.checkpoint.close();
  try {
    const { metadata, config: json, format } = opened;
    if (metadata === undefined && json === undefined) {
      throw new ModelError(`${path}: there is no config.json beside the weights`);
    }
    const config =
      metadata === undefined
        ? llamaConfigFromJson(json ?? {}, `${path}: config.json`)
        : llamaConfigFromGguf(metadata, path);
    const weights = openLlamaWeights(opened.checkpoint, config, { format, weights: 'f32', source: path });
    return { graph: await llamaOnnxGraph(config, weights, options), weightBytes: weights.bytes, close };
  } catch (error) {
    await close();
    throw error;
  }
}
