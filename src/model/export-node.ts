/** Opens a model on disk as a graph to be exported, in Node. */
import { type OpenCheckpointOptions, type OpenedCheckpoint, openCheckpoint } from '../checkpoint/node.ts';
import { ModelError } from '../errors.ts';
import type { Graph } from '../graph/index.ts';
import type { Pattern } from '../pattern/index.ts';
import type { Task } from './encoder/architecture.ts';
import { ENCODERS, findEncoder } from './encoder/architectures.ts';
import { encoderOnnxGraph } from './encoder/onnx/graph.ts';
import { EncoderTensors } from './encoder/tensors.ts';
import { ARCHITECTURES, llamaConfigFromGguf, llamaConfigFromJson } from './llama-config.ts';
import { llamaOnnxGraph } from './llama-onnx.ts';
import { openLlamaWeights } from './llama-weights.ts';

export interface ExportGraphOptions extends OpenCheckpointOptions {
  /** What each token sees: in a Llama, cut to the past; in an encoder in the place of full attention. Default: all. */
  readonly pattern?: Pattern;
  /** Of an encoder: what to do beyond the last learned position. Default 'given'. */
  readonly positions?: 'given' | 'repeat';
  /** Of an encoder: its head. Default: what config.json says. */
  readonly task?: Task;
}

export interface OpenedGraph {
  readonly graph: Graph;
  /** What tokens see by default: in a Llama those before them. */
  readonly kind: 'decoder' | 'encoder';
  /** Bytes of the weights in float32. */
  readonly weightBytes: number;
  close(): Promise<void>;
}

/**
 * A Llama-family model or an encoder from token ids to its outputs, under a pattern, with weights in float32 that are loaded as the
 * export writes them. Throws as loadLanguageModel() and loadEncoder() do; ModelError for an architecture that cannot be exported.
 */
export async function openForExport(path: string, options: ExportGraphOptions = {}): Promise<OpenedGraph> {
  const opened = await openCheckpoint(path, options);
  const close = (): Promise<void> => opened.checkpoint.close();
  try {
    const { metadata, config } = opened;
    if (metadata === undefined && config === undefined) {
      throw new ModelError(`${path}: there is no config.json beside the weights`);
    }
    const type = config?.model_type;
    if (metadata === undefined) checkExported(type, path);
    const isEncoder = metadata === undefined && typeof type === 'string' && Object.hasOwn(ENCODERS, type);
    const graph = isEncoder ? encoderGraph(path, opened, options) : await llamaGraph(path, opened, options);
    return { ...graph, kind: isEncoder ? 'encoder' : 'decoder', close };
  } catch (error) {
    await close();
    throw error;
  }
}

/** @throws ModelError that lists what can be exported. */
function checkExported(type: unknown, path: string): void {
  const known = [...ARCHITECTURES, ...Object.keys(ENCODERS)];
  if (known.some((name) => name === type)) return;
  throw new ModelError(
    `${path}: config.json: model_type is ${JSON.stringify(type)}, which cannot be exported; Farfield exports ${known.join(', ')}`,
  );
}

function encoderGraph(path: string, { checkpoint, config = {} }: OpenedCheckpoint, options: ExportGraphOptions) {
  const { pattern, positions = 'given' } = options;
  const source = `${path}: config.json`;
  const { architecture, task } = findEncoder(config, source, options.task);
  const { prefix, headNames } = architecture;
  const tensors = new EncoderTensors({ checkpoint, source: path, prefix, headNames });
  const { graph } = encoderOnnxGraph(architecture.read(config, { source, task, tensors, pattern, positions }), tensors);
  const sizes = graph.initializers.map(({ shape }) => shape.reduce((product, side) => product * side, 4));
  return { graph, weightBytes: sizes.reduce((sum, size) => sum + size, 0) };
}

async function llamaGraph(path: string, opened: OpenedCheckpoint, { pattern }: ExportGraphOptions) {
  const { metadata, config: json = {}, checkpoint, format } = opened;
  const config =
    metadata === undefined ? llamaConfigFromJson(json, `${path}: config.json`) : llamaConfigFromGguf(metadata, path);
  const weights = openLlamaWeights(checkpoint, config, { format, weights: 'f32', source: path });
  const graph = await llamaOnnxGraph(config, weights, pattern === undefined ? {} : { pattern });
  return { graph, weightBytes: weights.bytes };
}
