/**
 * OLMo 3 (Olmo Team, "Olmo 3", section 3): a decoder with norms after each part and none before it, normalized queries and keys, and three
 * sliding layers to one that sees all:
 *
 *     x += norm(attention(x))
 *     x += norm(down(silu(gate(x)) * up(x)))
 */
import { add, mul, silu } from '../../graph/index.ts';
import { commonParts, type DecoderArchitecture, decoderAttention, readDecoderConfig } from './architecture.ts';

export const olmo3: DecoderArchitecture = {
  read(json, source) {
    const config = readDecoderConfig(json, source, {
      kindOf: (i) => ((i + 1) % 4 === 0 ? 'full_attention' : 'sliding_attention'),
      tied: false,
      rotaryBase: 500_000,
      scalesFullLayersOnly: true,
    });
    const { layers, hiddenSize, intermediateSize, epsilon } = config;
    return {
      ...commonParts(config),
      embeddingScale: 1,
      layers(b, x, angles) {
        for (let i = 0; i < layers; i++) {
          const layer = `layers.${i}`;
          const attended = decoderAttention(b, config, x, i, angles, {
            normalize: (value, name) => b.rmsNorm(value, name, epsilon),
          });
          x = add(b.graph, x, b.rmsNorm(attended, `${layer}.post_attention_layernorm`, epsilon));
          const gate = b.linear(x, `${layer}.mlp.gate_proj`, intermediateSize, { bias: false });
          const up = b.linear(x, `${layer}.mlp.up_proj`, intermediateSize, { bias: false });
          const wide = mul(b.graph, silu(b.graph, gate), up);
          const fed = b.linear(wide, `${layer}.mlp.down_proj`, hiddenSize, { bias: false });
          x = add(b.graph, x, b.rmsNorm(fed, `${layer}.post_feedforward_layernorm`, epsilon));
        }
        return b.rmsNorm(x, 'norm', epsilon);
      },
    };
  },
};
