/**
 * The Llama family (Touvron et al., "LLaMA: Open and Efficient Foundation Language Models", section 2.2; Jiang et al., "Mistral 7B"):
 * a decoder of pre-normalized layers, each
 *
 *     x += output(attention(rotary(query(norm(x))), rotary(key(norm(x))), value(norm(x))))
 *     x += down(silu(gate(norm(x))) * up(norm(x)))
 *
 * without biases (or with, where the configuration says so). Shape letters: H heads, G key/value heads, D their width.
 */
import {
  add,
  addRmsNorm,
  canConcatRows,
  concatRows,
  type Graph,
  GraphBuilder,
  linear,
  logSoftmax,
  mul,
  ROWS,
  rmsNorm,
  rotary,
  silu,
  sparseAttention,
  split,
  type Value,
  type Weight,
} from '../graph/index.ts';
import { causal, intersect, type Pattern, window } from '../pattern/index.ts';
import type { LlamaConfig } from './llama-config.ts';
import type { LlamaWeights } from './llama-weights.ts';

export interface LlamaGraphOptions {
  /** For quantized matrices: 4 multiplies integers, 0 floats. See linear(). */
  readonly accuracyLevel: 0 | 4;
  /** What the layers see, within llamaPattern(). Default: all of that. */
  readonly pattern?: Pattern;
  /** One multiplication for each linear layer, so that each weight is an initializer of its own name. Default false. */
  readonly separate?: boolean;
  /** Changes what linear layers compute: see lora.ts. Default: nothing. */
  readonly adapt?: AdaptLinear;
}

/** Takes a linear layer's input x [rows, columns] and product [rows, rows of the weight], without its bias, to what takes its place. */
export type AdaptLinear = (
  graph: GraphBuilder,
  x: Value,
  product: Value,
  layer: { readonly name: string; readonly rows: number; readonly columns: number },
) => Value;

/** What a layer can see at most, whatever pattern is given: the past, and in Mistral the last W tokens of it. */
export function llamaPattern(config: LlamaConfig): Pattern {
  if (config.slidingWindow === undefined) return causal();
  return intersect(causal(), window({ left: config.slidingWindow - 1 }));
}

/**
 * The layers: `hidden` [rows, hidden], rows of the embedding, to `hidden` [rows, hidden] after the last norm. `cos` and `sin`
 * [rows, D/2] are the angles of the rows' positions; `sink_cos` and `sink_sin` those at which they look at sinks (the same, or
 * "cached positions").
 */
export async function llamaGraph(
  config: LlamaConfig,
  weights: LlamaWeights,
  options: LlamaGraphOptions,
): Promise<Graph> {
  const { hiddenSize, heads, keyValueHeads, headWidth, normEpsilon: epsilon } = config;
  const graph = new GraphBuilder('llama');
  const pattern =
    options.pattern === undefined ? llamaPattern(config) : intersect(llamaPattern(config), options.pattern);
  const [cos, sin, sinkCos, sinkSin] = ['cos', 'sin', 'sink_cos', 'sink_sin'].map((name) =>
    graph.input(name, 'float32', [ROWS, headWidth / 2]),
  ) as [Value, Value, Value, Value];

  const vector = async (name: string): Promise<Value> => {
    const data = await weights.vector(name);
    return graph.initializer(name, 'float32', [data.length], () => data);
  };
  /** Linear layers that read the same x, as one multiplication where their formats allow: one value [rows, out] for each. */
  const linears = async (x: Value, names: readonly string[]): Promise<Value[]> => {
    const matrices = names.map((name) => weights.matrix(`${name}.weight`));
    const biases = await Promise.all(
      names.map(async (name) => (weights.has(`${name}.bias`) ? vector(`${name}.bias`) : undefined)),
    );
    const biased = (product: Value, i: number): Value => {
      const [bias, matrix, name = ''] = [biases[i], matrices[i], names[i]];
      const value =
        matrix === undefined ? product : (options.adapt?.(graph, x, product, { ...matrix, name }) ?? product);
      return bias === undefined ? value : add(graph, value, bias);
    };
    const apply = (matrix: Weight, name: string) => linear(graph, x, matrix, { ...options, name });
    if (names.length === 1 || options.separate || !canConcatRows(matrices)) {
      return matrices.map((matrix, i) => biased(apply(matrix, names[i] ?? 'linear'), i));
    }
    const sizes = matrices.map((matrix) => matrix.rows);
    return split(graph, apply(concatRows(matrices), names.join('+')), sizes, 1).map(biased);
  };
  const one = async (x: Value, name: string): Promise<Value> => {
    const [value] = await linears(x, [name]);
    return value as Value;
  };

  let x = graph.input('hidden', 'float32', [ROWS, hiddenSize]);
  let normalized = rmsNorm(graph, x, await vector('model.layers.0.input_layernorm.weight'), { epsilon });
  for (let i = 0; i < config.layers; i++) {
    const layer = `model.layers.${i}`;
    const projections = ['q_proj', 'k_proj', 'v_proj'].map((name) => `${layer}.self_attn.${name}`);
    const [q, k, v] = (await linears(normalized, projections)) as [Value, Value, Value];
    const attended = sparseAttention(graph, {
      q: rotary(graph, q, { heads, cos, sin }), // [rows, H*D]
      k: rotary(graph, k, { heads: keyValueHeads, cos, sin }), // [rows, G*D]
      v,
      sinkQuery: rotary(graph, q, { heads, cos: sinkCos, sin: sinkSin }),
      heads,
      keyValueHeads,
      pattern,
      name: `${layer}.attention`,
    }); // [rows, H*D]
    const middle = addRmsNorm(
      graph,
      await one(attended, `${layer}.self_attn.o_proj`),
      x,
      await vector(`${layer}.post_attention_layernorm.weight`),
      { epsilon },
    );
    const [gate, up] = (await linears(middle.normalized, [`${layer}.mlp.gate_proj`, `${layer}.mlp.up_proj`])) as [
      Value,
      Value,
    ]; // [rows, intermediate]
    const fed = await one(mul(graph, silu(graph, gate), up), `${layer}.mlp.down_proj`);
    const next = i + 1 < config.layers ? `model.layers.${i + 1}.input_layernorm.weight` : 'model.norm.weight';
    ({ sum: x, normalized } = addRmsNorm(graph, fed, middle.sum, await vector(next), { epsilon }));
    graph.boundary(x);
    graph.boundary(normalized);
  }
  graph.output(normalized, 'last_hidden');
  return graph.build();
}

/**
 * The head: `hidden` [rows, hidden] after the last norm and `targets` [rows, 1] (int64) to `logits` [rows, vocabulary] and `losses`
 * [rows, 1], minus the log probability of each target.
 */
export function llamaHeadGraph(config: LlamaConfig, weights: LlamaWeights, options: LlamaGraphOptions): Graph {
  const graph = new GraphBuilder('llama head');
  const hidden = graph.input('hidden', 'float32', [ROWS, config.hiddenSize]);
  const targets = graph.input('targets', 'int64', [ROWS, 1]);
  const matrix = weights.matrix(weights.tiedEmbeddings ? 'model.embed_tokens.weight' : 'lm_head.weight');
  const logits = linear(graph, hidden, matrix, { ...options, name: 'lm_head' });
  const chosen = graph.op1(
    {
      operator: 'GatherElements',
      inputs: [logSoftmax(graph, logits), targets],
      attributes: { axis: { type: 'int', value: 1 } },
    },
    'float32',
    [ROWS, 1],
  );
  graph.output(logits, 'logits');
  graph.output(graph.op1({ operator: 'Neg', inputs: [chosen] }, 'float32', [ROWS, 1]), 'losses');
  return graph.build();
}
