/**
 * Gemma 2 and 3 (Gemma Team, "Gemma 2: Improving Open Language Models at a Practical Size", section 2; "Gemma 3 Technical Report", section 2): decoders
 * with a norm before and after each part, and norms that multiply by 1 + weight:
 *
 *     x += norm(attention(norm(x)))
 *     x += norm(down(gelu(gate(norm(x))) * up(norm(x))))
 *
 * In Gemma 2 every other layer slides, and scores and logits are soft-capped. In Gemma 3 five layers slide to one that does not, with a
 * rotary base of their own, and queries and keys are normalized.
 */
import * as v from 'valibot';
import { add, mul, ROWS, reshape, rmsNorm, type Value } from '../../graph/index.ts';
import { checkActivation, type EncoderBuilder, widthOf } from '../encoder/builder.ts';
import {
  commonParts,
  count,
  type DecoderArchitecture,
  type DecoderConfig,
  type DecoderModel,
  decoderAttention,
  parseConfig,
  positive,
  readDecoderConfig,
  text,
} from './architecture.ts';

const schema = v.looseObject({
  query_pre_attn_scalar: v.optional(positive, 256),
  attn_logit_softcapping: v.nullish(positive),
  final_logit_softcapping: v.nullish(positive),
  hidden_activation: v.optional(text, 'gelu_pytorch_tanh'),
  sliding_window_pattern: v.optional(count, 6),
});

export const gemma2: DecoderArchitecture = {
  read(json, source) {
    const config = readDecoderConfig(json, source, {
      kindOf: (i) => (i % 2 === 0 ? 'sliding_attention' : 'full_attention'),
      tied: true,
      rotaryBase: 10_000,
      scalesFullLayersOnly: false,
    });
    return gemma(config, json, false);
  },
};

export const gemma3: DecoderArchitecture = {
  read(json, source) {
    const { sliding_window_pattern: period } = parseConfig(schema, json, source);
    const config = readDecoderConfig(json, source, {
      kindOf: (i) => ((i + 1) % period === 0 ? 'full_attention' : 'sliding_attention'),
      tied: true,
      rotaryBase: 1_000_000,
      scalesFullLayersOnly: true,
    });
    return gemma(config, json, true);
  },
};

function gemma(config: DecoderConfig, json: unknown, normalizesHeads: boolean): DecoderModel {
  const own = parseConfig(schema, json, config.source);
  const activation = checkActivation(own.hidden_activation, 'hidden_activation', config.source);
  const { layers, hiddenSize, intermediateSize, headWidth, epsilon } = config;
  return {
    ...commonParts(config),
    embeddingScale: Math.sqrt(hiddenSize),
    finalSoftcap: own.final_logit_softcapping ?? undefined,
    layers(b, x, angles) {
      const linear = (x: Value, name: string, out: number) => b.linear(x, name, out, { bias: false });
      const norm = (x: Value, name: string) => gemmaNorm(b, x, name, epsilon);
      for (let i = 0; i < layers; i++) {
        const layer = `layers.${i}`;
        const attended = decoderAttention(b, config, norm(x, `${layer}.input_layernorm`), i, angles, {
          scale: own.query_pre_attn_scalar ** -0.5,
          softcap: own.attn_logit_softcapping ?? undefined,
          ...(normalizesHeads ? { normalize: (x, name) => gemmaNorm(b, x, name, epsilon, headWidth) } : {}),
        });
        x = add(b.graph, x, norm(attended, `${layer}.post_attention_layernorm`));
        const normalized = norm(x, `${layer}.pre_feedforward_layernorm`);
        const gate = b.activation(linear(normalized, `${layer}.mlp.gate_proj`, intermediateSize), activation);
        const wide = mul(b.graph, gate, linear(normalized, `${layer}.mlp.up_proj`, intermediateSize));
        const fed = linear(wide, `${layer}.mlp.down_proj`, hiddenSize);
        x = add(b.graph, x, norm(fed, `${layer}.post_feedforward_layernorm`));
      }
      return norm(x, 'norm');
    },
  };
}

/** x / sqrt(mean(x^2) + epsilon) * (1 + weight) over `width` numbers: a row's, or each head's. */
function gemmaNorm(b: EncoderBuilder, x: Value, name: string, epsilon: number, width = widthOf(x)): Value {
  const weight = b.tensor(`${name}.weight`, [width], (value) => 1 + value);
  const parts = widthOf(x) / width;
  if (parts === 1) return rmsNorm(b.graph, x, weight, { epsilon, name });
  const byHead = reshape(b.graph, x, [ROWS, parts, width]);
  return reshape(b.graph, rmsNorm(b.graph, byHead, weight, { epsilon, name }), x.shape);
}
