/**
 * LongT5 (Guo et al., "LongT5: Efficient Text-To-Text Transformer for Long Sequences", section 3.1): T5's encoder-decoder (Raffel et al. 2020) with a
 * window in the encoder, and with transient global attention also a summary of each block of tokens, made anew in every layer:
 *
 *     x += o(attention(q, k, v))               with q, k, v of norm(x); scores are not scaled, but have a bias by relative position
 *     x += wo(act(wi(norm(x))))                or wo(act(wi_0(norm(x))) * wi_1(norm(x)))
 *     summary of a block = norm'(sum of its norm(x)), which goes through the same k and v
 *
 * Sums over a block are an attention with equal scores, times the number of its tokens; they stand in the block's first row. Tokens
 * and summaries are two attentions, merged into one softmax by their log-sum-exps.
 */
import * as v from 'valibot';
import { expression as e, t5Buckets } from '../../attention/index.ts';
import {
  add,
  gemm,
  type HostTensor,
  mul,
  ROWS,
  reshape,
  scaleBy,
  sigmoid,
  sub,
  type Value,
} from '../../graph/index.ts';
import { blocks, dense, globalTokens, type Pattern, window } from '../../pattern/index.ts';
import { count, flag, index, int64, type PackedBatch, parseConfig, positive, text } from '../encoder/architecture.ts';
import { checkActivation, type EncoderBuilder, type Scores } from '../encoder/builder.ts';
import {
  cutToSequences,
  forEachSequence,
  type Layout,
  type PackedSequence,
  rowsOf,
  withinSequences,
} from '../encoder/layout.ts';
import type { DecoderBuilder, Seq2SeqArchitecture } from './architecture.ts';

const schema = v.looseObject({
  vocab_size: count,
  d_model: count,
  d_kv: v.pipe(count, v.maxValue(256, 'it must be at most 256')),
  d_ff: count,
  num_layers: count,
  num_decoder_layers: v.nullish(count),
  num_heads: count,
  local_radius: v.optional(count, 127),
  global_block_size: v.optional(count, 16),
  encoder_attention_type: v.optional(
    v.picklist(['local', 'transient-global'], 'it must be local or transient-global'),
    'local',
  ),
  relative_attention_num_buckets: v.optional(count, 32),
  relative_attention_max_distance: v.optional(count, 128),
  feed_forward_proj: v.optional(text, 'relu'),
  layer_norm_epsilon: v.optional(positive, 1e-6),
  tie_word_embeddings: flag(true),
  scale_decoder_outputs: v.nullish(v.boolean('it must be true or false')),
  pad_token_id: v.optional(index, 0),
  decoder_start_token_id: v.nullish(index),
  eos_token_id: v.nullish(index),
});

type Config = v.InferOutput<typeof schema>;

/** A score where a row sees no key at all, so that two such rows can be subtracted. */
const LOWEST = -1e30;

export const longT5: Seq2SeqArchitecture = {
  className: 'LongT5',
  prefix: 'longt5',
  read(json, { source }) {
    const config = parseConfig(schema, json, source);
    const act = config.feed_forward_proj.replace(/^gated-/, '');
    const isGated = act !== config.feed_forward_proj;
    // "gated-gelu" means the approximation; other names mean themselves.
    const activation = checkActivation(isGated && act === 'gelu' ? 'gelu_new' : act, 'feed_forward_proj', source);
    const { d_model: hiddenSize, vocab_size: vocabularySize, num_heads: heads, layer_norm_epsilon: epsilon } = config;
    const inner = heads * config.d_kv;
    const layers = config.num_decoder_layers ?? config.num_layers;
    const plain = (b: EncoderBuilder, x: Value, name: string) => b.linear(x, name, inner, { bias: false });
    const feedForward = (b: EncoderBuilder, x: Value, name: string): Value => {
      const normalized = b.rmsNorm(x, `${name}.layer_norm`, epsilon);
      const wide = (part: string) =>
        b.linear(normalized, `${name}.DenseReluDense.${part}`, config.d_ff, { bias: false });
      const fed = isGated
        ? mul(b.graph, b.activation(wide('wi_0'), activation), wide('wi_1'))
        : b.activation(wide('wi'), activation);
      return add(b.graph, x, b.linear(fed, `${name}.DenseReluDense.wo`, hiddenSize, { bias: false }));
    };
    const words = (b: EncoderBuilder) => {
      for (const copy of ['encoder.embed_tokens.weight', 'decoder.embed_tokens.weight']) b.tensors.allow(copy);
      return b.embedding(b.graph.input('input_ids', 'int64', [ROWS]), 'shared', vocabularySize, hiddenSize);
    };
    const isGlobal = config.encoder_attention_type === 'transient-global';
    return {
      encoder: {
        hiddenSize,
        vocabularySize,
        tokenKinds: 1,
        hasGlobals: false,
        layers(b) {
          let x = words(b); // [rows, d_model]
          const counts = isGlobal ? b.graph.input('block_tokens', 'float32', [ROWS, 1]) : undefined;
          for (let i = 0; i < config.num_layers; i++) {
            const name = `encoder.block.${i}.layer`;
            const normalized = b.rmsNorm(x, `${name}.0.layer_norm`, epsilon);
            const attended =
              counts === undefined
                ? localAttention(b, config, normalized, `${name}.0.LocalSelfAttention`)
                : transientGlobalAttention(b, config, normalized, counts, `${name}.0.TransientGlobalSelfAttention`);
            x = add(b.graph, x, attended);
            x = feedForward(b, x, `${name}.1`);
          }
          return b.rmsNorm(x, 'encoder.final_layer_norm', epsilon);
        },
        heads: {},
        feeds: (batch) => ({
          input_ids: int64(batch.ids),
          ...(isGlobal ? { block_tokens: blockTokens(batch, config.global_block_size) } : {}),
        }),
      },
      decoder: {
        layers,
        heads,
        width: config.d_kv,
        build({ b, selfAttention, crossAttention }: DecoderBuilder) {
          let x = words(b); // [rows, d_model]
          for (let layer = 0; layer < layers; layer++) {
            const name = `decoder.block.${layer}.layer`;
            const own = `${name}.0.SelfAttention`;
            const normalized = b.rmsNorm(x, `${name}.0.layer_norm`, epsilon);
            const before = selfAttention({
              layer,
              q: plain(b, normalized, `${own}.q`),
              k: plain(b, normalized, `${own}.k`),
              v: plain(b, normalized, `${own}.v`),
              name: own,
              scale: 1,
              scores: relativeBias(config, 'decoder.block.0.layer.0.SelfAttention.relative_attention_bias', false),
            });
            x = add(b.graph, x, b.linear(before, `${own}.o`, hiddenSize, { bias: false }));
            const other = `${name}.1.EncDecAttention`;
            const q = plain(b, b.rmsNorm(x, `${name}.1.layer_norm`, epsilon), `${other}.q`);
            const across = crossAttention({ layer, q, name: other, scale: 1 });
            x = add(b.graph, x, b.linear(across, `${other}.o`, hiddenSize, { bias: false }));
            x = feedForward(b, x, `${name}.2`);
          }
          return b.rmsNorm(x, 'decoder.final_layer_norm', epsilon);
        },
        feeds: ({ ids }) => ({ input_ids: int64(ids) }),
      },
      memory: (b, hidden) =>
        Array.from({ length: layers }, (_, layer) => ({
          k: plain(b, hidden, `decoder.block.${layer}.layer.1.EncDecAttention.k`),
          v: plain(b, hidden, `decoder.block.${layer}.layer.1.EncDecAttention.v`),
        })),
      head(b, hidden) {
        const { tie_word_embeddings: isTied, scale_decoder_outputs: isScaled = isTied } = config;
        const scaled = isScaled ? scaleBy(b.graph, hidden, 1 / Math.sqrt(hiddenSize)) : hidden;
        if (isTied) b.tensors.allow('lm_head.weight');
        const matrix = b.tensor(isTied ? 'shared.weight' : 'lm_head.weight', [vocabularySize, hiddenSize]);
        return gemm(b.graph, scaled, matrix, undefined, { transB: true });
      },
      startToken: config.decoder_start_token_id ?? config.pad_token_id,
      endToken: config.eos_token_id ?? undefined,
    };
  },
};

/** The bias of all layers lies in the first one's tensors. `table` [buckets, H]. */
function relativeBias(config: Config, table: string, bidirectional: boolean): Scores {
  const name = `${table}.weight`;
  return {
    tables: { [name]: [config.relative_attention_num_buckets, config.num_heads] },
    make: (tables) =>
      t5Buckets({ table: tables[name] ?? NONE, bidirectional, maxDistance: config.relative_attention_max_distance }),
  };
}

const NONE = { data: new Float32Array(), shape: [] };

/** q, k and v [rows, H*D] of x [rows, d_model]. */
function projected(b: EncoderBuilder, { num_heads, d_kv }: Config, x: Value, name: string) {
  const linear = (part: string) => b.linear(x, `${name}.${part}`, num_heads * d_kv, { bias: false });
  return { q: linear('q'), k: linear('k'), v: linear('v') };
}

function nearby(config: Config, name: string) {
  const own = name.slice(name.lastIndexOf('.') + 1);
  return {
    heads: config.num_heads,
    pattern: window(config.local_radius),
    name,
    scale: 1,
    scores: relativeBias(config, `encoder.block.0.layer.0.${own}.relative_attention_bias`, true),
  };
}

function localAttention(b: EncoderBuilder, config: Config, x: Value, name: string): Value {
  const options = nearby(config, name);
  const attended = b.attention({ ...projected(b, config, x, name), ...options }, (layout) => [
    { pattern: withinSequences(options.pattern, layout), weight: 1 },
  ]);
  return b.linear(attended, `${name}.o`, config.d_model, { bias: false });
}

function transientGlobalAttention(b: EncoderBuilder, config: Config, x: Value, counts: Value, name: string): Value {
  const { graph } = b;
  const { num_heads: heads, d_kv: width, d_model, global_block_size: block, layer_norm_epsilon: epsilon } = config;
  const { q, k, v } = projected(b, config, x, name);
  const options = nearby(config, name);
  const local = b.attentionWithLse({ q, k, v, ...options }, (layout) => [
    { pattern: withinSequences(options.pattern, layout), weight: 1 },
  ]);
  const slices = slicesOf(d_model);
  const mean = b.attention(
    { q: x, k: x, v: x, heads: slices, pattern: dense(), scale: 0, name: `${name}.mean` },
    (layout) => [{ pattern: forEachSequence(layout, (sequence) => ownBlocks(sequence, block)), weight: 1 }],
  ); // [rows, d_model], 0 but in the first row of each block
  const summary = b.rmsNorm(mul(graph, mean, counts), `${name}.global_input_layer_norm`, epsilon);
  const table = `encoder.block.0.layer.0.${name.slice(name.lastIndexOf('.') + 1)}.global_relative_attention_bias.weight`;
  const global = b.attentionWithLse(
    {
      q,
      k: b.linear(summary, `${name}.k`, heads * width, { bias: false }),
      v: b.linear(summary, `${name}.v`, heads * width, { bias: false }),
      heads,
      pattern: dense(),
      name: `${name}.global`,
      scale: 1,
      scores: {
        tables: { [table]: [config.relative_attention_num_buckets, heads] },
        make: (tables, layout) => blockBias(tables[table] ?? NONE, layout, config),
      },
    },
    (layout) => [{ pattern: toSummaries(layout, block), weight: 1 }],
  );
  const merged = mergeSoftmax(b, local, global, heads, width);
  return b.linear(merged, `${name}.o`, d_model, { bias: false });
}

/** Heads of at most 256 numbers that x divides into: their mean is taken apart. */
function slicesOf(width: number): number {
  let slices = Math.ceil(width / 256);
  while (width % slices !== 0) slices++;
  return slices;
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

/** How many blocks of a sequence have summaries: those whose last token counts. */
function summaries({ length, masked }: PackedSequence, block: number): number {
  const ends = masked.filter((place) => place % block === block - 1).length;
  return Math.floor(length / block) - ends;
}

/** The block of each row; the tokens left over at the end belong to the last block. -1 for a masked token, and where there are no blocks. */
function blockOfRows({ rows, sequences }: Layout, block: number): Int32Array {
  const result = new Int32Array(rows);
  for (const sequence of sequences) {
    const last = summaries(sequence, block) - 1;
    for (let i = 0; i < sequence.length; i++) result[sequence.start + i] = Math.min(Math.floor(i / block), last);
    for (const place of sequence.masked) result[sequence.start + place] = -1;
  }
  return result;
}

/** The first row of each block sees the block's tokens. */
function ownBlocks(sequence: PackedSequence, block: number): Pattern {
  const last = summaries(sequence, block) - 1;
  const range = (start: number, end: number) => Array.from({ length: end - start }, (_, i) => start + i);
  const table = range(0, sequence.length).map((place) => {
    const own = place / block;
    if (!Number.isInteger(own) || own > last) return [];
    return range(place, own === last ? sequence.length : place + block);
  });
  return blocks({ block: 1, table });
}

/** Every token sees the summaries of its sequence's blocks. */
function toSummaries(layout: Layout, block: number): Pattern {
  const places = (sequence: PackedSequence) => Array.from({ length: summaries(sequence, block) }, (_, i) => i * block);
  const positions = rowsOf(layout, places);
  // A block's first token may be masked, its summary is not.
  const sequences = layout.sequences.map((sequence) => ({ ...sequence, masked: [] }));
  return cutToSequences(globalTokens({ positions, direction: 'keys' }), { ...layout, sequences });
}

/** The tokens of each row's block [rows, 1], of which masked ones do not count. */
function blockTokens({ layout }: PackedBatch, block: number): HostTensor {
  const own = blockOfRows(layout, block);
  const data = new Float32Array(layout.rows);
  for (const { start, length } of layout.sequences) {
    const counts = new Map<number, number>();
    const rows = own.subarray(start, start + length);
    for (const each of rows) counts.set(each, (counts.get(each) ?? 0) + 1);
    for (let i = 0; i < length; i += block) data[start + i] = counts.get(i / block) ?? 0;
  }
  return { type: 'float32', data, shape: [layout.rows, 1] };
}

/** score + table[bucket(block of the key - block of the query), head]; the key is the first row of its block. */
function blockBias(table: { data: Float32Array; shape: readonly number[] }, layout: Layout, config: Config) {
  const block = config.global_block_size;
  const ofQuery = Float32Array.from(blockOfRows(layout, block));
  const ofKey = new Float32Array(layout.rows);
  for (const { start, length } of layout.sequences) {
    for (let i = 0; i < length; i++) ofKey[start + i] = Math.floor(i / block);
  }
  const bias = t5Buckets({
    table,
    bidirectional: true,
    maxDistance: config.relative_attention_max_distance,
    offset: e.sub(e.lookup('blockOfKey', e.k), e.lookup('blockOfQuery', e.q)),
  });
  const shape = [layout.rows];
  return {
    ...bias,
    parameters: {
      ...bias.parameters,
      blockOfKey: { data: ofKey, shape },
      blockOfQuery: { data: ofQuery, shape },
    },
  };
}
