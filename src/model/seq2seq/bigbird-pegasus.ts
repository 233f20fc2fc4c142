/**
 * BigBird-Pegasus (Zaheer et al., "Big Bird", section 4.1): Pegasus' encoder-decoder (Zhang et al., "PEGASUS") with BigBird's blocks in the encoder
 * and learned positions.
 */
import * as v from 'valibot';
import { dense } from '../../pattern/index.ts';
import { count, flag, index, parseConfig } from '../encoder/architecture.ts';
import { bigBirdPairs } from '../encoder/bigbird.ts';
import { onnxBlocks } from '../encoder/bigbird-onnx.ts';
import { withinSequences } from '../encoder/layout.ts';
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
  attention_type: v.optional(
    v.picklist(['block_sparse', 'original_full'], 'it must be block_sparse or original_full'),
    'block_sparse',
  ),
  block_size: v.optional(count, 64),
  num_random_blocks: v.optional(index, 3),
  max_position_embeddings: count,
  use_bias: flag(false),
});

export const bigBirdPegasus: Seq2SeqArchitecture = {
  className: 'BigBirdPegasus',
  prefix: 'model',
  headNames: BART_HEADS,
  read(json, { source }) {
    const own = parseConfig(schema, json, source);
    const config = readBartConfig(json, source, {
      norms: 'before',
      attentionBias: own.use_bias,
      encoderPositions: own.max_position_embeddings,
      decoderPositions: own.max_position_embeddings,
    });
    const { d_model: hiddenSize, encoder_attention_heads: heads, encoder_ffn_dim } = config;
    const blocks = { block: own.block_size, random: own.num_random_blocks, heads };
    return {
      encoder: {
        hiddenSize,
        vocabularySize: config.vocab_size,
        tokenKinds: 1,
        maxTokens: config.encoderPositions,
        hasGlobals: false,
        layers(b) {
          let x = bartEmbeddings(b, config, 'encoder'); // [rows, d_model]
          for (let i = 0; i < config.encoder_layers; i++) {
            const name = `encoder.layers.${i}`;
            x = residual(b, config, x, `${name}.self_attn_layer_norm`, (x) => {
              const attended = b.selfAttention(
                { x, heads, pattern: dense(), name: `${name}.self_attn.self`, bias: own.use_bias },
                (layout) =>
                  own.attention_type === 'original_full'
                    ? [{ pattern: withinSequences(dense(), layout), weight: 1 }]
                    : bigBirdPairs(layout, blocks, i),
              );
              return b.linear(attended, `${name}.self_attn.output`, hiddenSize, { bias: own.use_bias });
            });
            x = bartFeedForward(b, config, x, name, encoder_ffn_dim);
          }
          return bartEnd(b, config, 'encoder', x);
        },
        heads: {},
        feeds: (batch) => positionFeeds(batch, config.encoderPositions),
        onnx: {
          inputs: onnxPositions,
          ...(own.attention_type === 'original_full' ? {} : { attention: (tokens) => onnxBlocks(tokens, blocks) }),
        },
      },
      ...bartDecoder(config),
    };
  },
};
