/** A trained decoder as a Llama checkpoint, so that everything that reads, exports and quantizes Llamas takes it. */
import { ModelError } from '../errors.ts';
import { formatPattern } from '../pattern/index.ts';
import type { GptConfig } from './gpt.ts';
import { MATCH_TABLE } from './llama-weights.ts';
import type { Parameter } from './trainable.ts';
import { sizesOf } from './transformer.ts';

export interface LlamaFiles {
  /** The content of config.json. */
  readonly config: Readonly<Record<string, unknown>>;
  /** By the names of model.safetensors. */
  readonly tensors: ReadonlyMap<string, { readonly shape: readonly number[]; readonly data: Float32Array }>;
}

/**
 * The same function under other names: a gated decoder with root mean square norms and rotary positions is a Llama. A pattern that
 * all layers share is `farfield_pattern` in the configuration, which loadLanguageModel() reads with and others pass over; of several
 * none is written. A table of matches is a tensor of its own, with `farfield_matches` in the configuration: no other reader has it. The
 * tensors are views of the parameters where their rows are split.
 * @throws ModelError for a configuration that no Llama has, and for parameters that are missing.
 */
export function gptAsLlama(gpt: GptConfig, parameters: readonly Parameter[]): LlamaFiles {
  const { activation = 'gelu', normalization = 'layer', positions = 'rotary' } = gpt;
  if (activation !== 'swiglu' || normalization !== 'rms' || positions !== 'rotary') {
    throw new ModelError(
      `gptAsLlama: a Llama has activation swiglu, normalization rms and positions rotary; this model has ${activation}, ${normalization} and ${positions}`,
    );
  }
  const { width, queries, keys, inner } = sizesOf(gpt);
  const { hiddenSize, layers, heads, vocabularySize, context, matches } = gpt;
  const own = new Map(parameters.map((parameter) => [parameter.name, parameter]));
  const tensors = new Map<string, { shape: readonly number[]; data: Float32Array }>();
  /** Splits the rows of a parameter. */
  const put = (from: string, ...parts: readonly (readonly [name: string, rows: number])[]): void => {
    const parameter = own.get(from);
    if (parameter === undefined) throw new ModelError(`gptAsLlama: the parameters have no ${from}`);
    const [, ...rest] = parameter.shape;
    const each = rest.reduce((product, size) => product * size, 1);
    let row = 0;
    for (const [name, rows] of parts) {
      tensors.set(name, { shape: [rows, ...rest], data: parameter.data.subarray(row * each, (row + rows) * each) });
      row += rows;
    }
  };
  put('embedding', ['model.embed_tokens.weight', vocabularySize]);
  if (matches !== undefined) put('matches', [MATCH_TABLE, matches.length * vocabularySize]);
  for (let i = 0; i < layers; i++) {
    const [from, to] = [`layers.${i}`, `model.layers.${i}`];
    put(`${from}.attention_norm.weight`, [`${to}.input_layernorm.weight`, hiddenSize]);
    put(
      `${from}.qkv`,
      [`${to}.self_attn.q_proj.weight`, queries],
      [`${to}.self_attn.k_proj.weight`, keys],
      [`${to}.self_attn.v_proj.weight`, keys],
    );
    put(`${from}.output`, [`${to}.self_attn.o_proj.weight`, hiddenSize]);
    put(`${from}.feed_forward_norm.weight`, [`${to}.post_attention_layernorm.weight`, hiddenSize]);
    put(`${from}.up`, [`${to}.mlp.gate_proj.weight`, inner], [`${to}.mlp.up_proj.weight`, inner]);
    put(`${from}.down`, [`${to}.mlp.down_proj.weight`, hiddenSize]);
  }
  put('norm.weight', ['model.norm.weight', hiddenSize]);
  const [pattern, ...others] = gpt.patterns ?? [];
  return {
    config: {
      architectures: ['LlamaForCausalLM'],
      model_type: 'llama',
      vocab_size: vocabularySize,
      hidden_size: hiddenSize,
      intermediate_size: inner,
      num_hidden_layers: layers,
      num_attention_heads: heads,
      num_key_value_heads: keys / width,
      head_dim: width,
      max_position_embeddings: context,
      rms_norm_eps: gpt.normEpsilon ?? 1e-5,
      rope_theta: gpt.rotaryBase ?? 10_000,
      hidden_act: 'silu',
      attention_bias: false,
      mlp_bias: false,
      tie_word_embeddings: true,
      ...(pattern === undefined || others.length > 0 ? {} : { farfield_pattern: formatPattern(pattern) }),
      ...(matches === undefined ? {} : { farfield_matches: matches }),
    },
    tensors,
  };
}
