/**
 * LED, the Longformer encoder-decoder (Beltagy et al., "Longformer", section 7): BART with Longformer's attention in the encoder, and positions
 * for 16,384 tokens.
 */
import * as v from 'valibot';
import { count, parseConfig } from '../encoder/architecture.ts';
import { longformerAttention, windowSides } from '../encoder/longformer.ts';
import type { Seq2SeqArchitecture } from './architecture.ts';
import {
  BART_HEADS,
  bartDecoder,
  bartEmbeddings,
  bartEnd,
  bartFeedForward,
  onnxPositions,
  positionFeeds,
  readBartConfig,
  residual,
} from './bart-family.ts';

const schema = v.looseObject({
  attention_window: v.union([count, v.array(count)], 'it must be a number, or one for each layer'),
  max_encoder_position_embeddings: count,
  max_decoder_position_embeddings: count,
});

export const led: Seq2SeqArchitecture = {
  className: 'LED',
  prefix: 'led',
  headNames: BART_HEADS,
  read(json, { source }) {
    const own = parseConfig(schema, json, source);
    const config = readBartConfig(json, source, {
      norms: 'after',
      attentionBias: true,
      encoderPositions: own.max_encoder_position_embeddings,
      decoderPositions: own.max_decoder_position_embeddings,
    });
    const { d_model: hiddenSize, encoder_attention_heads: heads, encoder_ffn_dim } = config;
    const sides = windowSides(own.attention_window, config.encoder_layers, source);
    return {
      encoder: {
        hiddenSize,
        vocabularySize: config.vocab_size,
        tokenKinds: 1,
        maxTokens: config.encoderPositions,
        hasGlobals: true,
        layers(b) {
          let x = bartEmbeddings(b, config, 'encoder'); // [rows, d_model]
          for (const [i, side] of sides.entries()) {
            const name = `encoder.layers.${i}`;
            x = residual(b, config, x, `${name}.self_attn_layer_norm`, (x) => {
              const attended = longformerAttention(b, { heads }, x, `${name}.self_attn.longformer_self_attn`, side);
              return b.linear(attended, `${name}.self_attn.output`, hiddenSize);
            });
            x = bartFeedForward(b, config, x, name, encoder_ffn_dim);
          }
          return bartEnd(b, config, 'encoder', x);
        },
        heads: {},
        feeds: (batch) => positionFeeds(batch, config.encoderPositions),
        onnx: { inputs: onnxPositions, attention: (tokens) => ({ globals: tokens.globals }) },
      },
      ...bartDecoder(config),
    };
  },
};
