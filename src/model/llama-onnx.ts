/** A Llama as one graph from token ids to logits, as ONNX files of language models have it. */
import { toFloat32 } from '../checkpoint/index.ts';
import { ArgumentError } from '../errors.ts';
import {
  add,
  cast,
  type Graph,
  GraphBuilder,
  gather,
  gemm,
  linear,
  type Node,
  ROWS,
  type Value,
  withBatchAxis,
} from '../graph/index.ts';
import type { Pattern } from '../pattern/index.ts';
import { llamaGraph } from './llama.ts';
import { type LlamaConfig, rotaryFrequencies } from './llama-config.ts';
import { type LlamaWeights, MATCH_TABLE } from './llama-weights.ts';

export interface LlamaOnnxOptions {
  /** What each token sees, cut to the past. Default: all of it. */
  readonly pattern?: Pattern;
  /** Leaves attention over packed rows, for a caller who puts something else in its place. Default false. */
  readonly keepRows?: boolean;
}

/** The names of the batch and length of the tokens (int64 [2]), and of the mask of keys. */
export const [SHAPE, KEY_MASK] = ['tokens/shape', 'tokens/key_mask'] as const;

/** The input of models with matches: their rows of the table as matchRows() gives them (int64 [batch, sequence, sizes]). */
export const MATCH_ROWS = 'match_rows';

/**
 * `input_ids` and `attention_mask` [batch, sequence] (int64; 0 for padding, on either side) to `logits` [batch, sequence, vocabulary]. Positions
 * count from the start of the sequence, at which the rotary embedding is computed in float64. A model with matches has the input MATCH_ROWS
 * too. `weights` opened as 'f32' give a graph of standard operators.
 */
export async function llamaOnnxGraph(
  config: LlamaConfig,
  weights: LlamaWeights,
  options: LlamaOnnxOptions = {},
): Promise<Graph> {
  const layers = await llamaGraph(config, weights, {
    accuracyLevel: 0,
    ...(options.pattern === undefined ? {} : { pattern: options.pattern }),
  });
  const tokens = await tokensGraph(config, weights);
  const builder = GraphBuilder.from({ ...layers, nodes: layers.nodes.map(withoutSinkQuery), outputs: [] });
  const hidden = layers.values.get('last_hidden');
  if (hidden === undefined) throw new ArgumentError('the graph of the layers has no last_hidden');
  builder.output(headOf(builder, hidden, weights), 'logits of rows');
  const rest = builder.build();
  const joined: Graph = {
    ...rest,
    inputs: tokens.inputs,
    nodes: [...tokens.nodes, ...rest.nodes],
    initializers: [...tokens.initializers, ...rest.initializers.filter(({ name }) => name !== EMBEDDING)],
    values: new Map([...rest.values, ...tokens.values]),
  };
  const graph = options.keepRows ? joined : withBatchAxis(joined, { shape: SHAPE, keyMask: KEY_MASK });
  const whole = GraphBuilder.from({ ...graph, outputs: [] });
  const named = (each: string): Value => {
    const value = graph.values.get(each);
    if (value === undefined) throw new ArgumentError(`the graph has no value ${each}`);
    return value;
  };
  const vocabulary = whole.constant('int64', BigInt64Array.of(BigInt(config.vocabularySize)));
  const axis = { axis: { type: 'int', value: 0 } } as const;
  const sides = whole.op1({ operator: 'Concat', inputs: [named(SHAPE), vocabulary], attributes: axis }, 'int64', [3]);
  whole.output(
    whole.op1({ operator: 'Reshape', inputs: [named('logits of rows'), sides], name: 'logits' }, 'float32', [
      'batch',
      'sequence',
      config.vocabularySize,
    ]),
  );
  return whole.build();
}

/** The table of the embedding, which a tied head multiplies with. */
const EMBEDDING = 'tokens/embedding';

/** hidden [rows, hidden] to [rows, vocabulary]. A tied matrix of float32 is in the file once. */
function headOf(graph: GraphBuilder, hidden: Value, weights: LlamaWeights): Value {
  const name = 'lm_head';
  if (!weights.tiedEmbeddings)
    return linear(graph, hidden, weights.matrix('lm_head.weight'), { accuracyLevel: 0, name });
  const matrix = weights.matrix('model.embed_tokens.weight');
  if (matrix.bits !== 32) return linear(graph, hidden, matrix, { accuracyLevel: 0, name });
  const table = graph.initializer(EMBEDDING, 'float32', [matrix.rows, matrix.columns], matrix.load);
  return gemm(graph, hidden, table, undefined, { transB: true, name });
}

/** Everything before the first layer: embeddings and angles of all rows, batch and length, the mask of keys. */
async function tokensGraph(config: LlamaConfig, weights: LlamaWeights): Promise<Graph> {
  const graph = new GraphBuilder('tokens');
  const ids = graph.input('input_ids', 'int64', ['batch', 'sequence']);
  const mask = graph.input('attention_mask', 'int64', ['batch', 'sequence']);
  const { matches } = config;
  const found = matches && graph.input(MATCH_ROWS, 'int64', ['batch', 'sequence', matches.length]);
  const factors = weights.has('rope_freqs.weight') ? await weights.vector('rope_freqs.weight') : undefined;
  const frequencies = rotaryFrequencies(config, factors);
  graph.scope('tokens', () => {
    const [size, half] = [config.hiddenSize, config.headWidth / 2];
    const integers = (...values: number[]) => graph.constant('int64', BigInt64Array.from(values, BigInt));
    const integer = (value: number) => graph.constant('int64', BigInt64Array.of(BigInt(value)), []);
    const reshaped = (value: Value, shape: number[], known: readonly (number | string)[]) =>
      graph.op1({ operator: 'Reshape', inputs: [value, integers(...shape)] }, value.type, known);
    /** The sum of the rows that each token found; row -1 is the last, of zeros. */
    const matched = (rows: Value): Value => {
      const sizes = matches?.length ?? 0;
      const count = sizes * config.vocabularySize + 1;
      const table = graph.initializer('matches', 'float32', [count, size], async () => {
        const data = new Float32Array(count * size);
        data.set(toFloat32(await weights.stored(MATCH_TABLE)));
        return data;
      });
      const each = gather(graph, table, reshaped(rows, [-1, sizes], [ROWS, sizes])); // [rows, sizes, hidden]
      const without = { keepdims: { type: 'int', value: 0 } } as const;
      const summed = { operator: 'ReduceSum', inputs: [each, integers(1)], attributes: without };
      return graph.op1(summed, 'float32', [ROWS, size]);
    };
    const load = async () => toFloat32(await weights.stored('model.embed_tokens.weight'));
    const table = graph.initializer('embedding', 'float32', [config.vocabularySize, size], load);
    const embedded = gather(graph, table, reshaped(ids, [-1], [ROWS]));
    graph.output(found === undefined ? embedded : add(graph, embedded, matched(found)), 'hidden');

    const shape = graph.op1({ operator: 'Shape', inputs: [ids], name: 'shape' }, 'int64', [2]);
    graph.output(shape);
    graph.output(cast(graph, mask, 'bool', 'key_mask'));
    const length = gather(graph, shape, integer(1));
    const places = graph.op1({ operator: 'Range', inputs: [integer(0), length, integer(1)] }, 'int64', ['sequence']);
    const all = graph.op1({ operator: 'Expand', inputs: [places, shape] }, 'int64', ['batch', 'sequence']);
    // In float64, as the angles of far positions need it.
    const positions = cast(graph, reshaped(all, [-1, 1], [ROWS, 1]), 'float64');
    const each = graph.initializer('frequencies', 'float64', [1, half], () => frequencies);
    const angles = graph.op1({ operator: 'Mul', inputs: [positions, each] }, 'float64', [ROWS, half]);
    for (const [name, operator] of [
      ['cos', 'Cos'],
      ['sin', 'Sin'],
    ] as const) {
      graph.output(cast(graph, graph.op1({ operator, inputs: [angles] }, 'float64', [ROWS, half]), 'float32'), name);
    }
  });
  return graph.build();
}

/** At positions as given, a query looks at sinks as at other keys. */
function withoutSinkQuery(node: Node): Node {
  if (node.operator !== 'SparseAttention') return node;
  return {
    ...node,
    inputs: node.inputs.filter((_, i) => i !== 3 || node.inputs.length > 4).map((name, i) => (i === 3 ? '' : name)),
  };
}
