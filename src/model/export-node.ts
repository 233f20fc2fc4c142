/** Opens a model on disk as a graph to be exported, in Node. */
import { type OpenCheckpointOptions, type OpenedCheckpoint, openCheckpoint } from '../checkpoint/node.ts';
import { ModelError } from '../errors.ts';
import type { Graph } from '../graph/index.ts';
import type { Pattern } from '../pattern/index.ts';
import { bundledPath } from './bundled-node.ts';
import { DECODERS, findDecoder } from './decoder/architectures.ts';
import { decoderOnnxGraph } from './decoder/onnx.ts';
import { PICTURE_MODEL_TYPES, type TextPart, textPart } from './decoder/text-part.ts';
import type { Task } from './encoder/architecture.ts';
import { ENCODERS, findEncoder } from './encoder/architectures.ts';
import { encoderOnnxGraph } from './encoder/onnx/graph.ts';
import { EncoderTensors } from './encoder/tensors.ts';
import { ARCHITECTURES, llamaConfigFromGguf, llamaConfigFromJson } from './llama-config.ts';
import { llamaOnnxGraph } from './llama-onnx.ts';
import { openLlamaWeights } from './llama-weights.ts';
import { findSeq2Seq, SEQ2SEQ } from './seq2seq/architectures.ts';
import { readersTask, writes } from './seq2seq/load-node.ts';
import { seq2seqOnnxGraphs } from './seq2seq/onnx.ts';
import { readerOnnxGraph } from './seq2seq/reader-onnx.ts';

export interface ExportGraphOptions extends OpenCheckpointOptions {
  /** What each token sees: in a decoder, cut to what its layers see; in an encoder in the place of full attention. Default: all. */
  readonly pattern?: Pattern;
  /** Of a Llama without `pattern`: what it was trained to see (`farfield_pattern`), in the place of all. Default false. */
  readonly trainedPattern?: boolean;
  /** Of an encoder: what to do beyond the last learned position. Default 'given'. */
  readonly positions?: 'given' | 'repeat';
  /** The head of an encoder, or of an encoder-decoder that reads. Default: what config.json says. */
  readonly task?: Task;
}

/** One file of an exported model. */
export interface ExportedPart {
  /** Its name without .onnx, where a model has several. */
  readonly name: 'model' | 'encoder_model' | 'decoder_model' | 'decoder_with_past_model';
  readonly graph: Graph;
  /** Bytes of its weights in float32. */
  readonly weightBytes: number;
}

export interface OpenedForExport {
  /** The pattern that was given, or a Llama was trained with. */
  readonly pattern?: Pattern | undefined;
  /** One graph; of an encoder-decoder that writes three. */
  readonly parts: readonly [ExportedPart, ...ExportedPart[]];
  /** Parts of the checkpoint that are not of texts, with their numbers of tensors: of Gemma 3 those that see. */
  readonly leftOut: Readonly<Record<string, number>>;
  close(): Promise<void>;
}

/**
 * A decoder, an encoder or an encoder-decoder from token ids to its outputs, under a pattern, with weights in float32 that are
 * loaded as the export writes them. Throws as loadLanguageModel(), loadEncoder() and loadSeq2Seq() do; ModelError for an architecture
 * that cannot be exported.
 */
export async function openForExport(path: string, options: ExportGraphOptions = {}): Promise<OpenedForExport> {
  const opened = await openCheckpoint(bundledPath(path), options);
  const close = (): Promise<void> => opened.checkpoint.close();
  try {
    return { ...(await graphsOf(path, opened, options)), close };
  } catch (error) {
    await close();
    throw error;
  }
}

async function graphsOf(
  path: string,
  opened: OpenedCheckpoint,
  options: ExportGraphOptions,
): Promise<Omit<OpenedForExport, 'close'>> {
  const { metadata, config } = opened;
  if (metadata === undefined && config === undefined) {
    throw new ModelError(`${path}: there is no config.json beside the weights`);
  }
  const plain = { leftOut: {}, pattern: options.pattern };
  if (metadata !== undefined) return { ...plain, ...(await llamaPart(path, opened, options)) };
  const text = textPart(config ?? {}, opened.checkpoint, `${path}: config.json`);
  const { model_type: type } = text.config;
  const isOneOf = (registry: object) => typeof type === 'string' && Object.hasOwn(registry, type);
  if (isOneOf(ENCODERS)) return { ...plain, parts: [partOf('model', encoderGraph(path, opened, options))] };
  if (isOneOf(SEQ2SEQ)) return { ...plain, parts: seq2seqParts(path, opened, options) };
  if (isOneOf(DECODERS)) {
    return {
      ...plain,
      leftOut: text.leftOut,
      parts: [partOf('model', decoderGraph(path, text, options))],
    };
  }
  if (!ARCHITECTURES.some((name) => name === type)) refuse(type, path);
  return { ...plain, ...(await llamaPart(path, opened, options)) };
}

/** @throws ModelError that lists what can be exported. */
function refuse(type: unknown, path: string): never {
  const decoders = [...ARCHITECTURES, ...Object.keys(DECODERS), ...PICTURE_MODEL_TYPES];
  const known = [...decoders, ...Object.keys(ENCODERS), ...Object.keys(SEQ2SEQ)];
  throw new ModelError(
    `${path}: config.json: model_type is ${JSON.stringify(type)}, which cannot be exported; Farfield exports ${known.join(', ')}`,
  );
}

function partOf(name: ExportedPart['name'], graph: Graph): ExportedPart {
  const sizes = graph.initializers.map(({ shape }) => shape.reduce((product, side) => product * side, 4));
  return { name, graph, weightBytes: sizes.reduce((sum, size) => sum + size, 0) };
}

function encoderGraph(path: string, { checkpoint, config = {} }: OpenedCheckpoint, options: ExportGraphOptions): Graph {
  const { pattern, positions = 'given' } = options;
  const source = `${path}: config.json`;
  const { architecture, task } = findEncoder(config, source, options.task);
  const { prefix, headNames } = architecture;
  const tensors = new EncoderTensors({ checkpoint, source: path, prefix, headNames });
  return encoderOnnxGraph(architecture.read(config, { source, task, tensors, pattern, positions }), tensors).graph;
}

/** Three files of one that writes, one of one that reads. */
function seq2seqParts(
  path: string,
  { checkpoint, config = {} }: OpenedCheckpoint,
  { pattern, positions, task: asked }: ExportGraphOptions,
): OpenedForExport['parts'] {
  const source = `${path}: config.json`;
  const { className, prefix, read, headNames = [] } = findSeq2Seq(config, source);
  if (pattern !== undefined || positions === 'repeat') {
    throw new ModelError(`${source}: a ${className} has a pattern and positions of its own; leave them out`);
  }
  const tensors = new EncoderTensors({ checkpoint, source: path, prefix, headNames });
  const model = read(config, { source, tensors });
  if (asked !== undefined || !writes(config, className)) {
    const task = readersTask(model, config, { className, source, asked });
    return [partOf('model', readerOnnxGraph(model, task, tensors))];
  }
  const { encoder, decoder, decoderWithPast } = seq2seqOnnxGraphs(model, tensors);
  return [
    partOf('encoder_model', encoder),
    partOf('decoder_model', decoder),
    partOf('decoder_with_past_model', decoderWithPast),
  ];
}

function decoderGraph(path: string, { checkpoint, config }: TextPart, { pattern }: ExportGraphOptions): Graph {
  const source = `${path}: config.json`;
  const architecture = findDecoder(config);
  if (architecture === undefined) throw new TypeError('no decoder');
  const model = architecture.read(config, source);
  const tensors = new EncoderTensors({ checkpoint, source: path, prefix: model.prefix, headNames: [] });
  return decoderOnnxGraph(model, tensors, { pattern });
}

async function llamaPart(
  path: string,
  opened: OpenedCheckpoint,
  options: ExportGraphOptions,
): Promise<Pick<OpenedForExport, 'parts' | 'pattern'>> {
  const { metadata, config: json = {}, checkpoint, format } = opened;
  const config =
    metadata === undefined ? llamaConfigFromJson(json, `${path}: config.json`) : llamaConfigFromGguf(metadata, path);
  const weights = openLlamaWeights(checkpoint, config, { format, weights: 'f32', source: path });
  const pattern = options.pattern ?? (options.trainedPattern ? config.pattern : undefined);
  const graph = await llamaOnnxGraph(config, weights, pattern === undefined ? {} : { pattern });
  return { pattern, parts: [partOf('model', graph)] };
}
