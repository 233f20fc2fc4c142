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
import { add, gemm, mul, ROWS, scaleBy, type Value } from '../../graph/index.ts';
import { count, flag, index, int64, parseConfig, positive, text } from '../encoder/architecture.ts';
import { checkActivation, type EncoderBuilder } from '../encoder/builder.ts';
import type { DecoderBuilder, Seq2SeqArchitecture } from './architecture.ts';
import { localAttention, relativeBias, transientGlobalAttention } from './longt5-attention.ts';
import { onnxSummaries } from './longt5-onnx.ts';
import { type BlockSummaries, blockTokens, summariesInRows } from './longt5-summaries.ts';

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

export type LongT5Config = v.InferOutput<typeof schema>;

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
      return b.embedding(b.input('input_ids', 'int64', [ROWS]), 'shared', vocabularySize, hiddenSize);
    };
    const isGlobal = config.encoder_attention_type === 'transient-global';
    const encode = (b: EncoderBuilder, summaries: BlockSummaries | undefined): Value => {
      let x = words(b); // [rows, d_model]
      for (let i = 0; i < config.num_layers; i++) {
        const name = `encoder.block.${i}.layer`;
        const normalized = b.rmsNorm(x, `${name}.0.layer_norm`, epsilon);
        const attended =
          summaries === undefined
            ? localAttention(b, config, normalized, `${name}.0.LocalSelfAttention`)
            : transientGlobalAttention(b, config, normalized, summaries, `${name}.0.TransientGlobalSelfAttention`);
        x = add(b.graph, x, attended);
        x = feedForward(b, x, `${name}.1`);
      }
      return b.rmsNorm(x, 'encoder.final_layer_norm', epsilon);
    };
    return {
      encoder: {
        hiddenSize,
        vocabularySize,
        tokenKinds: 1,
        hasGlobals: false,
        layers: (b) => encode(b, isGlobal ? summariesInRows(b, config) : undefined),
        heads: {},
        feeds: (batch) => ({
          input_ids: int64(batch.ids),
          ...(isGlobal ? { block_tokens: blockTokens(batch, config.global_block_size) } : {}),
        }),
        onnx: {
          inputs: (tokens) => ({ input_ids: tokens.ids }),
          ...(isGlobal ? { layers: (b) => encode(b, onnxSummaries(b, config)) } : {}),
        },
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
        onnxInputs: (tokens) => ({ input_ids: tokens.ids }),
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
