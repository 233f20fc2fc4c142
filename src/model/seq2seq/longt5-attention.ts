/** The attention of LongT5's encoder, and T5's bias of scores. */
import { type Expression, t5Buckets } from '../../attention/index.ts';
import { add, mul, ROWS, reshape, sigmoid, sub, type Value } from '../../graph/index.ts';
import { dense, window } from '../../pattern/index.ts';
import type { EncoderBuilder, Scores } from '../encoder/builder.ts';
import { withinSequences } from '../encoder/layout.ts';
import type { LongT5Config } from './longt5.ts';
import type { BlockSummaries } from './longt5-summaries.ts';

/** A score where a row sees no key at all, so that two such rows can be subtracted. */
const LOWEST = -1e30;

/**
 * The bias of all layers lies in the first one's tensors: `table` [buckets, H]. `offset` says how far a key is behind a query. Default:
 * by their positions.
 */
export function relativeBias(config: LongT5Config, table: string, bidirectional: boolean, offset?: Expression): Scores {
  const shape = [config.relative_attention_num_buckets, config.num_heads];
  const { expression } = t5Buckets({
    table: { data: NO_NUMBERS, shape },
    bidirectional,
    maxDistance: config.relative_attention_max_distance,
    ...(offset === undefined ? {} : { offset }),
  });
  return { expression, tables: { table: { tensor: `${table}.weight`, shape } } };
}

/** An expression depends on its tables' shapes alone. */
const NO_NUMBERS = new Float32Array();

/** q, k and v [rows, H*D] of x [rows, d_model]. */
function projected(b: EncoderBuilder, { num_heads, d_kv }: LongT5Config, x: Value, name: string) {
  const linear = (part: string) => b.linear(x, `${name}.${part}`, num_heads * d_kv, { bias: false });
  return { q: linear('q'), k: linear('k'), v: linear('v') };
}

function nearby(config: LongT5Config, name: string) {
  const own = name.slice(name.lastIndexOf('.') + 1);
  return {
    heads: config.num_heads,
    pattern: window(config.local_radius),
    name,
    scale: 1,
    scores: relativeBias(config, `encoder.block.0.layer.0.${own}.relative_attention_bias`, true),
  };
}

/** x [rows, d_model] to the same. */
export function localAttention(b: EncoderBuilder, config: LongT5Config, x: Value, name: string): Value {
  const options = nearby(config, name);
  const attended = b.attention({ ...projected(b, config, x, name), ...options }, (layout) => [
    { pattern: withinSequences(options.pattern, layout), weight: 1 },
  ]);
  return b.linear(attended, `${name}.o`, config.d_model, { bias: false });
}

/** The same, in one softmax with the summaries. */
export function transientGlobalAttention(
  b: EncoderBuilder,
  config: LongT5Config,
  x: Value,
  summaries: BlockSummaries,
  name: string,
): Value {
  const { num_heads: heads, d_kv: width, d_model, layer_norm_epsilon: epsilon } = config;
  const { q, k, v } = projected(b, config, x, name);
  const options = nearby(config, name);
  const local = b.attentionWithLse({ q, k, v, ...options }, (layout) => [
    { pattern: withinSequences(options.pattern, layout), weight: 1 },
  ]);
  const summary = b.rmsNorm(summaries.sums(x, name), `${name}.global_input_layer_norm`, epsilon);
  const table = `encoder.block.0.layer.0.${name.slice(name.lastIndexOf('.') + 1)}.global_relative_attention_bias`;
  const global = summaries.attend({
    q,
    k: b.linear(summary, `${name}.k`, heads * width, { bias: false }),
    v: b.linear(summary, `${name}.v`, heads * width, { bias: false }),
    heads,
    pattern: dense(),
    name: `${name}.global`,
    scale: 1,
    scores: relativeBias(config, table, true, summaries.offset),
  });
  const merged = mergeSoftmax(b, local, global, heads, width);
  return b.linear(merged, `${name}.o`, d_model, { bias: false });
}

/** One softmax of two: o = (1 - s) o1 + s o2, with the share s = e^l2 / (e^l1 + e^l2) = sigmoid(l2 - l1). [rows, H*E] */
function mergeSoftmax(
  { graph }: EncoderBuilder,
  first: { readonly output: Value; readonly lse: Value },
  second: { readonly output: Value; readonly lse: Value },
  heads: number,
  width: number,
): Value {
  const lowest = graph.constant('float32', Float32Array.of(LOWEST), []);
  const finite = (x: Value) => graph.op1({ operator: 'Max', inputs: [x, lowest] }, 'float32', x.shape);
  const byHead = (x: Value, size: number) => reshape(graph, x, [ROWS, heads, size]);
  const share = byHead(sigmoid(graph, sub(graph, finite(second.lse), finite(first.lse))), 1);
  const from = byHead(first.output, width);
  const step = mul(graph, share, sub(graph, byHead(second.output, width), from));
  return reshape(graph, add(graph, from, step), [ROWS, heads * width]);
}
