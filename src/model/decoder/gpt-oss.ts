/**
 * gpt-oss (OpenAI, "gpt-oss-120b & gpt-oss-20b Model Card", section 2.2): a decoder whose layers slide in turn, with a learned logit for each head in
 * the softmax's denominator, YaRN's rotary angles, and a mixture of experts:
 *
 *     x += o(attention(q, k, v of norm(x)))
 *     x += sum over the chosen experts of share * down((up + 1) * gate * sigmoid(1.702 gate)),  |up| and gate at most 7
 *
 * The shares are a softmax over the scores of the chosen experts. Every expert is computed for every row and the others' shares are 0:
 * exact, and as many times the work as there are experts to a chosen one. Checkpoints in float (not MXFP4) are read.
 */
import * as v from 'valibot';
import { ModelError } from '../../errors.ts';
import {
  add,
  matmul,
  mul,
  ROWS,
  reduceSum,
  reshape,
  scaleBy,
  sigmoid,
  slice,
  softmax,
  transpose,
  type Value,
  where,
} from '../../graph/index.ts';
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

const schema = v.looseObject({ num_local_experts: count, num_experts_per_tok: count });

const LIMIT = 7;
const ALPHA = 1.702;
/** The score of an expert that is not chosen. */
const NOT_CHOSEN = -1e30;

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
      throw new ModelError(`${source}: num_experts_per_tok is ${chosen}; there are ${experts} experts`);
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

/** x [rows, hidden] to [rows, hidden]. E experts. */
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
  const number = (value: number) => graph.constant('float32', Float32Array.of(value), []);
  const half = (part: 'gate' | 'up') => {
    const product = matmul(
      graph,
      reshape(graph, x, [1, ROWS, hiddenSize]),
      everyOther(b, `${name}.experts.gate_up_proj`, [experts, hiddenSize, 2 * inner], part),
    );
    const bias = everyOther(b, `${name}.experts.gate_up_proj_bias`, [experts, 2 * inner], part);
    return add(graph, product, reshape(graph, bias, [experts, 1, inner])); // [E, rows, inner]
  };
  const [gate, up] = [half('gate'), half('up')];
  const limited = graph.op1({ operator: 'Min', inputs: [gate, number(LIMIT)] }, 'float32', gate.shape);
  const clipped = graph.op1({ operator: 'Clip', inputs: [up, number(-LIMIT), number(LIMIT)] }, 'float32', up.shape);
  const gated = mul(graph, limited, sigmoid(graph, scaleBy(graph, limited, ALPHA)));
  const wide = mul(graph, add(graph, clipped, number(1)), gated);
  const down = b.tensor(`${name}.experts.down_proj`, [experts, inner, hiddenSize]);
  const bias = b.tensor(`${name}.experts.down_proj_bias`, [experts, hiddenSize]);
  const fed = add(graph, matmul(graph, wide, down), reshape(graph, bias, [experts, 1, hiddenSize])); // [E, rows, hidden]
  const shares = transpose(graph, sharesOf(b, b.linear(x, `${name}.router`, experts), chosen), [1, 0]); // [E, rows]
  return reduceSum(graph, mul(graph, fed, reshape(graph, shares, [experts, ROWS, 1])), { axis: 0 });
}

/** Softmax over the `chosen` largest scores of each row [rows, E]; 0 for the others. */
function sharesOf({ graph }: EncoderBuilder, scores: Value, chosen: number): Value {
  const [top] = graph.op({
    operator: 'TopK',
    inputs: [scores, graph.constant('int64', BigInt64Array.of(BigInt(chosen)))],
    outputs: [
      { type: 'float32', shape: [ROWS, chosen] },
      { type: 'int64', shape: [ROWS, chosen] },
    ],
  });
  if (top === undefined) throw new TypeError('TopK has two outputs');
  const least = slice(graph, top, chosen - 1, chosen, 1); // [rows, 1]
  const isChosen = graph.op1({ operator: 'GreaterOrEqual', inputs: [scores, least] }, 'bool', scores.shape);
  const notChosen = graph.constant('float32', Float32Array.of(NOT_CHOSEN), []);
  return softmax(graph, where(graph, isChosen, scores, notChosen));
}

/** The even columns of a stored tensor (gate) or the odd ones (up). */
function everyOther(b: EncoderBuilder, name: string, shape: readonly number[], part: 'gate' | 'up'): Value {
  const asked = b.tensors.ask(name, shape);
  const own = shape.with(-1, (shape.at(-1) ?? 0) / 2);
  return b.graph.initializer(`${asked.name}.${part}`, 'float32', own, async () => {
    const whole = await asked.load();
    const first = part === 'gate' ? 0 : 1;
    return Float32Array.from({ length: whole.length / 2 }, (_, i) => whole[2 * i + first] ?? 0);
  });
}
