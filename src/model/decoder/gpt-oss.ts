/**
 * gpt-oss (OpenAI, "gpt-oss-120b & gpt-oss-20b Model Card", section 2.2): a decoder whose layers slide in turn, with a learned logit for each head in
 * the softmax's denominator, YaRN's rotary angles, and a mixture of experts:
 *
 *     x += o(attention(q, k, v of norm(x)))
 *     x += sum over the chosen experts of share * down((up + 1) * gate * sigmoid(1.702 gate)),  |up| and gate at most 7
 *
 * The shares are a softmax over the scores of the chosen experts, which alone are computed. Checkpoints in float are read, and those
 * whose experts are in MXFP4, as published; they are expanded to float32.
 */
import * as v from 'valibot';
import { counted } from '../../counted.ts';
import { ModelError } from '../../errors.ts';
import { add, type Value } from '../../graph/index.ts';
import type { EncoderBuilder } from '../encoder/builder.ts';
import {
  commonParts,
  count,
  type DecoderArchitecture,
  type DecoderConfig,
  decoderAttention,
  parseConfig,
  readDecoderConfig,
} from './architecture.ts';
import { expandMxfp4, MXFP4_GROUP } from './mxfp4.ts';

const schema = v.looseObject({ num_local_experts: count, num_experts_per_tok: count });

const LIMIT = 7;
const ALPHA = 1.702;

export const gptOss: DecoderArchitecture = {
  read(json, source) {
    const config = readDecoderConfig(json, source, {
      kindOf: (i) => (i % 2 === 0 ? 'sliding_attention' : 'full_attention'),
      tied: false,
      rotaryBase: 150_000,
      scalesFullLayersOnly: false,
    });
    const { num_local_experts: experts, num_experts_per_tok: chosen } = parseConfig(schema, json, source);
    if (chosen > experts) {
      throw new ModelError(`${source}: num_experts_per_tok is ${chosen}; the model has ${counted(experts, 'expert')}`);
    }
    const { layers, heads, epsilon } = config;
    return {
      ...commonParts(config),
      embeddingScale: 1,
      layers(b, x, angles) {
        for (let i = 0; i < layers; i++) {
          const layer = `layers.${i}`;
          const sinkLogits = b.tensor(`${layer}.self_attn.sinks`, [heads]);
          const normalized = b.rmsNorm(x, `${layer}.input_layernorm`, epsilon);
          x = add(b.graph, x, decoderAttention(b, config, normalized, i, angles, { sinkLogits }));
          const second = b.rmsNorm(x, `${layer}.post_attention_layernorm`, epsilon);
          x = add(b.graph, x, mixture(b, config, second, `${layer}.mlp`, experts, chosen));
        }
        return b.rmsNorm(x, 'norm', epsilon);
      },
    };
  },
};

/**
 * x [rows, hidden] to [rows, hidden], by com.microsoft.MoE (ONNX Runtime, ContribOperators.md), which gathers the rows of each expert and
 * computes these alone. Its matrices are [E, out, in].
 */
function mixture(
  b: EncoderBuilder,
  config: DecoderConfig,
  x: Value,
  name: string,
  experts: number,
  chosen: number,
): Value {
  const { graph } = b;
  const { hiddenSize, intermediateSize: inner } = config;
  const scores = b.linear(x, `${name}.router`, experts); // [rows, E]
  const wide = expertMatrices(b, `${name}.experts.gate_up_proj`, { experts, into: hiddenSize, out: 2 * inner });
  const down = expertMatrices(b, `${name}.experts.down_proj`, { experts, into: inner, out: hiddenSize });
  const wideBias = b.tensor(`${name}.experts.gate_up_proj_bias`, [experts, 2 * inner]);
  const downBias = b.tensor(`${name}.experts.down_proj_bias`, [experts, hiddenSize]);
  return graph.op1(
    {
      operator: 'MoE',
      domain: 'com.microsoft',
      inputs: [x, scores, wide, wideBias, down, downBias],
      attributes: {
        k: { type: 'int', value: chosen },
        // The softmax of all scores, divided by the sum of the chosen ones: that of the chosen scores.
        normalize_routing_weights: { type: 'int', value: 1 },
        activation_type: { type: 'string', value: 'swiglu' },
        // Gate and up take turns in the columns.
        swiglu_fusion: { type: 'int', value: 1 },
        swiglu_limit: { type: 'float', value: LIMIT },
        activation_alpha: { type: 'float', value: ALPHA },
        activation_beta: { type: 'float', value: 1 },
      },
      name: `${name}.experts`,
    },
    'float32',
    x.shape,
  );
}

interface ExpertSizes {
  readonly experts: number;
  readonly into: number;
  readonly out: number;
}

/** Matrices [E, out, in]: stored as floats [E, in, out], or in MXFP4 as `${name}_blocks` and `${name}_scales`. */
function expertMatrices(b: EncoderBuilder, name: string, { experts, into, out }: ExpertSizes): Value {
  const { tensors, graph } = b;
  const shape = [experts, out, into];
  if (tensors.has(`${name}_blocks`)) {
    const groups = into / MXFP4_GROUP;
    const blocks = tensors.askStored(`${name}_blocks`, [experts, out, groups, MXFP4_GROUP / 2]);
    const scales = tensors.askStored(`${name}_scales`, [experts, out, groups]);
    const load = async () => expandMxfp4(await blocks.load(), await scales.load());
    return graph.initializer(blocks.name, 'float32', shape, load);
  }
  const asked = tensors.ask(name, [experts, into, out]);
  return graph.initializer(asked.name, 'float32', shape, async () => transposed(await asked.load(), into, out));
}

/** Matrices [in, out] one behind the other, each as [out, in]. */
function transposed(data: Float32Array, into: number, out: number): Float32Array {
  const result = new Float32Array(data.length);
  for (let start = 0; start < data.length; start += into * out) {
    for (let i = 0; i < into; i++) {
      for (let j = 0; j < out; j++) result[start + j * into + i] = data[start + i * out + j] ?? 0;
    }
  }
  return result;
}
