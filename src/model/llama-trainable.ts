/** A Llama whose weights train: the layers and the head of llama.ts as one graph, its weights as parameters. */
import { toFloat32 } from '../checkpoint/index.ts';
import { ArgumentError } from '../errors.ts';
import {
  type Graph,
  GraphBuilder,
  gatherElements,
  gemm,
  type Initializer,
  logSoftmax,
  neg,
  ROWS,
  weightsAsInputs,
} from '../graph/index.ts';
import type { Pattern } from '../pattern/index.ts';
import { llamaGraph } from './llama.ts';
import { type LlamaConfig, rotaryFrequencies } from './llama-config.ts';
import { type LlamaWeights, MATCH_TABLE } from './llama-weights.ts';
import { type LoraOptions, newLora } from './lora.ts';
import { RowModel, type RowModelOptions } from './row-model.ts';
import type { Parameter } from './trainable.ts';

const EMBEDDING = 'model.embed_tokens.weight';

export interface TrainableLlamaOptions extends RowModelOptions {
  /** What each token sees, cut to the past. Default: all of it. */
  readonly pattern?: Pattern;
  /** Trains adapters of low rank beside the weights, which stay as they are: they alone are the parameters. Default: all weights train. */
  readonly lora?: LoraOptions;
  /** Of the adapters' first numbers. Default 0. */
  readonly seed?: number;
}

/**
 * Loads all weights in float32, by the names of the Hugging Face checkpoint; they are the parameters. `weights` must have been opened
 * as 'f32'.
 */
export async function createTrainableLlama(
  config: LlamaConfig,
  weights: LlamaWeights,
  options: TrainableLlamaOptions = {},
): Promise<RowModel> {
  const { lora, seed = 0, pattern } = options;
  const { graph, parameters, frozen } =
    lora === undefined
      ? { ...(await trainableLlama(config, weights, pattern)), frozen: [] }
      : await adaptedLlama(config, weights, lora, { seed, ...(pattern === undefined ? {} : { pattern }) });
  const factors = weights.has('rope_freqs.weight') ? await weights.vector('rope_freqs.weight') : undefined;
  return RowModel.create(
    {
      graph,
      parameters,
      frozen,
      input: { kind: 'tokens', vocabularySize: config.vocabularySize, context: config.context },
      lookups: [
        { table: EMBEDDING, by: 'inputs' },
        ...(config.matches === undefined
          ? []
          : [{ table: MATCH_TABLE, by: 'matches', sizes: config.matches } as const]),
      ],
      frequencies: rotaryFrequencies(config, factors),
      head: { kind: 'tokens' },
    },
    options,
  );
}

/**
 * `hidden`, `cos` and `sin` as in llamaGraph() and `targets` [rows, 1] (int64) to `losses` [rows, 1], or to `logits` [rows, vocabulary] without
 * targets; and the parameters, the embedding among them.
 */
export async function trainableLlama(
  config: LlamaConfig,
  weights: LlamaWeights,
  pattern?: Pattern,
  output: 'losses' | 'logits' = 'losses',
): Promise<{ readonly graph: Graph; readonly parameters: Parameter[] }> {
  const layers = await llamaGraph(config, weights, {
    accuracyLevel: 0,
    separate: true,
    ...(pattern === undefined ? {} : { pattern }),
  });
  const trained = weightsAsInputs(layers, (name) => name.startsWith('model.'));
  const graph = GraphBuilder.from(trained.graph);
  const hidden = layers.values.get('last_hidden');
  if (hidden === undefined) throw new ArgumentError('the graph of the layers has no last_hidden');
  const { vocabularySize, hiddenSize } = config;
  const shape = [vocabularySize, hiddenSize];
  const headName = weights.tiedEmbeddings ? EMBEDDING : 'lm_head.weight';
  const logits = gemm(graph, hidden, graph.input(headName, 'float32', shape), undefined, {
    transB: true,
    name: 'logits',
  });
  if (output === 'logits') graph.output(logits);
  else {
    const targets = graph.input('targets', 'int64', [ROWS, 1]);
    graph.output(neg(graph, gatherElements(graph, logSoftmax(graph, logits), targets, 1)), 'losses');
  }
  const tables = [await table(weights, EMBEDDING)];
  if (headName !== EMBEDDING) tables.push(await table(weights, headName));
  if (config.matches !== undefined) tables.push(await table(weights, MATCH_TABLE));
  return { graph: graph.build(), parameters: [...tables, ...(await Promise.all(trained.weights.map(loaded)))] };
}

/** The same graph and the parameters of adapters; the weights are constants, the embedding too, which is given apart. */
export async function adaptedLlama(
  config: LlamaConfig,
  weights: LlamaWeights,
  options: LoraOptions,
  { seed = 0, pattern }: { readonly seed?: number; readonly pattern?: Pattern } = {},
): Promise<{
  readonly graph: Graph;
  readonly parameters: readonly Parameter[];
  readonly frozen: readonly Parameter[];
}> {
  const { adapt, lora } = newLora(options, seed);
  const layers = await llamaGraph(config, weights, {
    accuracyLevel: 0,
    separate: true,
    adapt,
    ...(pattern === undefined ? {} : { pattern }),
  });
  const graph = GraphBuilder.from(layers);
  const hidden = layers.values.get('last_hidden');
  if (hidden === undefined) throw new ArgumentError('the graph of the layers has no last_hidden');
  const shape = [config.vocabularySize, config.hiddenSize];
  const embedding = await table(weights, EMBEDDING);
  const headName = weights.tiedEmbeddings ? EMBEDDING : 'lm_head.weight';
  const head = weights.tiedEmbeddings ? embedding.data : toFloat32(await weights.stored(headName));
  const matrix = graph.initializer(headName, 'float32', shape, () => head);
  const logits = gemm(graph, hidden, matrix, undefined, { transB: true, name: 'logits' });
  const targets = graph.input('targets', 'int64', [ROWS, 1]);
  graph.output(neg(graph, gatherElements(graph, logSoftmax(graph, logits), targets, 1)), 'losses');
  const frozen = config.matches === undefined ? [embedding] : [embedding, await table(weights, MATCH_TABLE)];
  return { graph: graph.build(), parameters: lora.matrices, frozen };
}

/** A copy of a stored matrix: training changes it. */
async function table(weights: LlamaWeights, name: string): Promise<Parameter> {
  const stored = await weights.stored(name);
  return { name, shape: stored.shape, data: Float32Array.from(toFloat32(stored)) };
}

/** A copy: training changes it. */
async function loaded({ name, shape, load }: Initializer): Promise<Parameter> {
  const data = await load();
  if (!(data instanceof Float32Array)) throw new ArgumentError(`weight ${name} must be float32 to be trained`);
  return { name, shape, data: Float32Array.from(data) };
}
