/**
 * GPT-2 (Radford et al., "Language Models are Unsupervised Multitask Learners", section 2.3): a decoder with learned positions and a norm before
 * each part,
 *
 *     x += c_proj(attention(q, k, v))       with q, k, v = c_attn(norm(x))
 *     x += c_proj(gelu(c_fc(norm(x))))
 *
 * Its matrices are stored [in, out].
 */
import * as v from 'valibot';
import { ModelError } from '../../errors.ts';
import { add, gemm, split, type Value } from '../../graph/index.ts';
import { causal } from '../../pattern/index.ts';
import { checkHeads } from '../encoder/architecture.ts';
import { checkActivation, type EncoderBuilder, widthOf } from '../encoder/builder.ts';
import { count, type DecoderArchitecture, flag, parseConfig, positive, text } from './architecture.ts';

const schema = v.looseObject({
  vocab_size: count,
  n_embd: count,
  n_layer: count,
  n_head: count,
  n_positions: count,
  n_inner: v.nullish(count),
  activation_function: v.optional(text, 'gelu_new'),
  layer_norm_epsilon: v.optional(positive, 1e-5),
  scale_attn_weights: flag(true),
  scale_attn_by_inverse_layer_idx: flag(false),
});

export const gpt2: DecoderArchitecture = {
  read(json, source) {
    const config = parseConfig(schema, json, source);
    const { n_embd: hiddenSize, n_layer: layers, n_head: heads, layer_norm_epsilon: epsilon } = config;
    checkHeads(hiddenSize, heads, source);
    const activation = checkActivation(config.activation_function, 'activation_function', source);
    if (config.scale_attn_by_inverse_layer_idx || !config.scale_attn_weights) {
      throw new ModelError(
        `${source}: Farfield's GPT-2 divides scores by the root of the head's width and by nothing else`,
      );
    }
    const inner = config.n_inner ?? 4 * hiddenSize;
    return {
      sizes: {
        vocabularySize: config.vocab_size,
        hiddenSize,
        intermediateSize: inner,
        layers,
        heads,
        keyValueHeads: heads,
        headWidth: hiddenSize / heads,
        context: config.n_positions,
      },
      prefix: 'transformer',
      embedding: 'wte.weight',
      learnedPositions: 'wpe',
      headMatrix: 'wte.weight',
      kinds: [],
      angles: {},
      patterns: Array(layers).fill(causal()),
      embeddingScale: 1,
      layers(b, x) {
        for (let i = 0; i < layers; i++) {
          const layer = `h.${i}`;
          // Masks that some writers store.
          for (const mask of ['bias', 'masked_bias']) b.tensors.allow(`${layer}.attn.${mask}`);
          const joined = inOut(b, b.norm(x, `${layer}.ln_1`, { epsilon }), `${layer}.attn.c_attn`, 3 * hiddenSize);
          const [q, k, v] = split(b.graph, joined, [hiddenSize, hiddenSize, hiddenSize], 1) as [Value, Value, Value];
          const attended = b.attention({ q, k, v, heads, pattern: causal(), name: `${layer}.attention` }, () => []);
          x = add(b.graph, x, inOut(b, attended, `${layer}.attn.c_proj`, hiddenSize));
          const wide = inOut(b, b.norm(x, `${layer}.ln_2`, { epsilon }), `${layer}.mlp.c_fc`, inner);
          x = add(b.graph, x, inOut(b, b.activation(wide, activation), `${layer}.mlp.c_proj`, hiddenSize));
        }
        return b.norm(x, 'ln_f', { epsilon });
      },
    };
  },
};

/** x [rows, in] times a matrix [in, out], plus the bias. */
function inOut(b: EncoderBuilder, x: Value, name: string, out: number): Value {
  return gemm(b.graph, x, b.tensor(`${name}.weight`, [widthOf(x), out]), b.tensor(`${name}.bias`, [out]), { name });
}
