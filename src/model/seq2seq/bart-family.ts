/**
 * What the descendants of BART (Lewis et al., "BART: Denoising Sequence-to-Sequence Pre-training") share: a decoder with learned positions,
 * whose layers see the tokens before, then the text, then feed forward; and a head tied to the embedding of both sides. LED normalizes
 * after each part, BigBird-Pegasus before it.
 */
import * as v from 'valibot';
import { ArgumentError } from '../../errors.ts';
import { add, gemm, type HostTensor, ROWS, scaleBy, tanh, type Value } from '../../graph/index.ts';
import { checkHeads, count, flag, index, int64, parseConfig, text } from '../encoder/architecture.ts';
import { labels, questionAnswering } from '../encoder/bert-family.ts';
import { checkActivation, type EncoderBuilder, widthOf } from '../encoder/builder.ts';
import type { OnnxTokens } from '../encoder/onnx/tokens.ts';
import type { DecoderBatch, DecoderBuilder, Seq2SeqModel } from './architecture.ts';

const schema = v.looseObject({
  vocab_size: count,
  d_model: count,
  encoder_layers: count,
  decoder_layers: count,
  encoder_attention_heads: count,
  decoder_attention_heads: count,
  encoder_ffn_dim: count,
  decoder_ffn_dim: count,
  activation_function: v.optional(text, 'gelu'),
  scale_embedding: flag(false),
  decoder_start_token_id: v.optional(index, 2),
  eos_token_id: v.nullish(index),
  pad_token_id: v.optional(index, 1),
});

const NORM = { epsilon: 1e-5 };

export interface BartConfig extends v.InferOutput<typeof schema> {
  readonly source: string;
  /** 'after' each part and the embedding, or 'before' each part and after the last layer. */
  readonly norms: 'after' | 'before';
  /** Of all projections of attention. */
  readonly attentionBias: boolean;
  readonly encoderPositions: number;
  readonly decoderPositions: number;
}

/** The fields that the family shares. @throws ModelError */
export function readBartConfig(
  json: unknown,
  source: string,
  own: Pick<BartConfig, 'norms' | 'attentionBias' | 'encoderPositions' | 'decoderPositions'>,
): BartConfig {
  const config = parseConfig(schema, json, source);
  checkHeads(config.d_model, config.encoder_attention_heads, source);
  checkHeads(config.d_model, config.decoder_attention_heads, source);
  checkActivation(config.activation_function, 'activation_function', source);
  return { ...config, source, ...own };
}

/** `input_ids` and `position_ids` [rows] to [rows, d_model]; `side` is encoder or decoder. */
export function bartEmbeddings(b: EncoderBuilder, config: BartConfig, side: 'encoder' | 'decoder'): Value {
  const { vocab_size, d_model, scale_embedding, encoderPositions, decoderPositions, norms } = config;
  const ids = (name: string) => b.input(name, 'int64', [ROWS]);
  for (const copy of ['encoder.embed_tokens.weight', 'decoder.embed_tokens.weight', 'lm_head.weight'])
    b.tensors.allow(copy);
  const found = b.embedding(ids('input_ids'), 'shared', vocab_size, d_model);
  const words = scale_embedding ? scaleBy(b.graph, found, Math.sqrt(d_model)) : found;
  const count = side === 'encoder' ? encoderPositions : decoderPositions;
  const x = add(b.graph, words, b.embedding(ids('position_ids'), `${side}.embed_positions`, count, d_model));
  return norms === 'after' ? b.norm(x, `${side}.layernorm_embedding`, NORM) : x;
}

/** What comes after the last layer. */
export function bartEnd(b: EncoderBuilder, config: BartConfig, side: 'encoder' | 'decoder', x: Value): Value {
  return config.norms === 'before' ? b.norm(x, `${side}.layernorm_embedding`, NORM) : x;
}

/** A part of a layer with its residual and its norm: x [rows, d_model] to the same. */
export function residual(
  b: EncoderBuilder,
  config: BartConfig,
  x: Value,
  norm: string,
  part: (x: Value) => Value,
): Value {
  if (config.norms === 'before') return add(b.graph, x, part(b.norm(x, norm, NORM)));
  return b.norm(add(b.graph, x, part(x)), norm, NORM);
}

/** fc2(act(fc1(x))), with its residual. */
export function bartFeedForward(b: EncoderBuilder, config: BartConfig, x: Value, name: string, inner: number): Value {
  return residual(b, config, x, `${name}.final_layer_norm`, (x) =>
    b.linear(
      b.activation(b.linear(x, `${name}.fc1`, inner), config.activation_function),
      `${name}.fc2`,
      config.d_model,
    ),
  );
}

/** Starts of the names of the tensors of the heads that do not write. */
export const BART_HEADS = ['classification_head.', 'qa_outputs.'];

/** BART, section 3: a class is told from a text's last end token, the ends of an answer from every token. */
const heads: Seq2SeqModel['heads'] = {
  sequenceClassification(b, hidden) {
    b.tensors.allow('final_logits_bias');
    const wide = tanh(b.graph, b.linear(hidden, 'classification_head.dense', widthOf(hidden)));
    const name = 'classification_head.out_proj';
    return { logits: b.linear(wide, name, labels(b, name)) };
  },
  questionAnswering(b, hidden) {
    b.tensors.allow('final_logits_bias');
    return questionAnswering().build(b, hidden);
  },
};

/** The decoder, the memory and the heads of a model. */
export function bartDecoder(
  config: BartConfig,
): Pick<Seq2SeqModel, 'decoder' | 'memory' | 'head' | 'heads' | 'startToken' | 'endToken'> {
  const { d_model, vocab_size, decoder_layers, decoder_attention_heads, decoder_ffn_dim, attentionBias: bias } = config;
  return {
    decoder: {
      layers: decoder_layers,
      heads: decoder_attention_heads,
      width: d_model / decoder_attention_heads,
      maxTokens: config.decoderPositions,
      build({ b, selfAttention, crossAttention }: DecoderBuilder) {
        let x = bartEmbeddings(b, config, 'decoder'); // [rows, d_model]
        for (let layer = 0; layer < decoder_layers; layer++) {
          const name = `decoder.layers.${layer}`;
          const project = (x: Value, projection: string) => b.linear(x, `${name}.${projection}`, d_model, { bias });
          x = residual(b, config, x, `${name}.self_attn_layer_norm`, (x) =>
            project(
              selfAttention({
                layer,
                q: project(x, 'self_attn.q_proj'),
                k: project(x, 'self_attn.k_proj'),
                v: project(x, 'self_attn.v_proj'),
                name: `${name}.self_attn`,
              }),
              'self_attn.out_proj',
            ),
          );
          x = residual(b, config, x, `${name}.encoder_attn_layer_norm`, (x) =>
            project(
              crossAttention({ layer, q: project(x, 'encoder_attn.q_proj'), name: `${name}.encoder_attn` }),
              'encoder_attn.out_proj',
            ),
          );
          x = bartFeedForward(b, config, x, name, decoder_ffn_dim);
        }
        return bartEnd(b, config, 'decoder', x);
      },
      feeds: (batch) => positionFeeds(batch, config.decoderPositions),
      onnxInputs: onnxPositions,
    },
    memory: (b, hidden) =>
      Array.from({ length: decoder_layers }, (_, layer) => ({
        k: b.linear(hidden, `decoder.layers.${layer}.encoder_attn.k_proj`, d_model, { bias }),
        v: b.linear(hidden, `decoder.layers.${layer}.encoder_attn.v_proj`, d_model, { bias }),
      })),
    head(b, hidden) {
      const bias = b.tensors.has('final_logits_bias') ? b.tensor('final_logits_bias', [1, vocab_size]) : undefined;
      return gemm(b.graph, hidden, b.tensor('shared.weight', [vocab_size, d_model]), bias, { transB: true });
    },
    heads,
    startToken: config.decoder_start_token_id,
    endToken: config.eos_token_id ?? undefined,
  };
}

/** Ids, and positions that count from 0, of an exported graph's tokens. */
export function onnxPositions(tokens: OnnxTokens): Record<string, Value> {
  return { input_ids: tokens.ids, position_ids: tokens.places };
}

/** Ids, and positions that count from 0, with no more of them than the table has rows. @throws ArgumentError */
export function positionFeeds(
  { layout, ids, first = 0 }: Pick<DecoderBatch, 'layout' | 'ids'> & { first?: number },
  size: number,
): Record<string, HostTensor> {
  const places = new Int32Array(layout.rows);
  for (const { start, length } of layout.sequences) {
    if (first + length > size) {
      throw new ArgumentError(`a sequence has ${first + length} tokens and the model ${size} positions; use fewer`);
    }
    for (let i = 0; i < length; i++) places[start + i] = first + i;
  }
  return { input_ids: int64(ids), position_ids: int64(places) };
}
