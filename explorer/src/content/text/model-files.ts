/** The files of a model folder, as gptCheckpoint() of src/model writes it, back to what TextModel runs. */
import { memorySource } from '../../../../src/checkpoint/byte-source.ts';
import { openSafetensors } from '../../../../src/checkpoint/safetensors.ts';
import { readFloat32 } from '../../../../src/checkpoint/to-float32.ts';
import { ModelError } from '../../../../src/errors.ts';
import type { GptConfig } from '../../../../src/model/gpt.ts';
import { parsePattern } from '../../../../src/pattern/index.ts';
import { byteVocabulary } from '../../../../src/text/byte-vocabulary.ts';
import type { ModelFiles } from './text-model.ts';

/** Stands before the first byte of a document. */
export const START = byteVocabulary.documentEnd;

/** Of config.json, by the names that Llamas have. */
interface LlamaConfig {
  readonly model_type?: string;
  readonly vocab_size: number;
  readonly hidden_size: number;
  readonly intermediate_size: number;
  readonly num_hidden_layers: number;
  readonly num_attention_heads: number;
  readonly num_key_value_heads?: number;
  readonly max_position_embeddings: number;
  readonly rms_norm_eps: number;
  readonly rope_theta?: number;
  readonly rope_scaling?: unknown;
  readonly tie_word_embeddings?: boolean;
  readonly hidden_act?: string;
  readonly farfield_pattern?: string;
  readonly farfield_matches?: readonly number[];
}

/**
 * Reads config.json and model.safetensors of a Llama of bytes whose head is its embedding.
 * @throws ModelError for another architecture or vocabulary; CheckpointError for a file that is not well formed or lacks tensors.
 */
export async function readModelFiles(configText: string, safetensors: Uint8Array): Promise<ModelFiles> {
  const config = gptConfig(readJson(configText));
  const checkpoint = await openSafetensors(memorySource(safetensors, 'model.safetensors'));
  const read = async (...names: readonly string[]): Promise<Float32Array> => {
    const parts: Float32Array[] = [];
    for (const name of names) parts.push(await readFloat32(checkpoint, name));
    const joined = new Float32Array(parts.reduce((sum, { length }) => sum + length, 0));
    let end = 0;
    for (const part of parts) {
      joined.set(part, end);
      end += part.length;
    }
    return joined;
  };
  const weights = new Map<string, Float32Array>();
  weights.set('embedding', await read('model.embed_tokens.weight'));
  if (config.matches !== undefined) weights.set('matches', await read('model.embed_matches.weight'));
  for (let i = 0; i < config.layers; i++) {
    const [from, to] = [`model.layers.${i}`, `layers.${i}`];
    weights.set(`${to}.attention_norm.weight`, await read(`${from}.input_layernorm.weight`));
    const projections = ['q', 'k', 'v'].map((name) => `${from}.self_attn.${name}_proj.weight`);
    weights.set(`${to}.qkv`, await read(...projections));
    weights.set(`${to}.output`, await read(`${from}.self_attn.o_proj.weight`));
    weights.set(`${to}.feed_forward_norm.weight`, await read(`${from}.post_attention_layernorm.weight`));
    weights.set(`${to}.up`, await read(`${from}.mlp.gate_proj.weight`, `${from}.mlp.up_proj.weight`));
    weights.set(`${to}.down`, await read(`${from}.mlp.down_proj.weight`));
  }
  weights.set('norm.weight', await read('model.norm.weight'));
  return { config, weights };
}

function readJson(text: string): LlamaConfig {
  try {
    return JSON.parse(text) as LlamaConfig;
  } catch (cause) {
    throw new ModelError('config.json is not JSON', { cause });
  }
}

function gptConfig(config: LlamaConfig): GptConfig {
  const { model_type: type, vocab_size: vocabulary, hidden_act: act = 'silu', farfield_pattern: pattern } = config;
  if (type !== 'llama' || act !== 'silu' || config.tie_word_embeddings !== true || config.rope_scaling) {
    throw new ModelError(
      `the page runs Llamas with silu, a tied head and plain rotary positions; config.json has model_type ${type}, hidden_act ${act}` +
        `, tie_word_embeddings ${config.tie_word_embeddings} and rope_scaling ${JSON.stringify(config.rope_scaling ?? null)}`,
    );
  }
  if (vocabulary !== byteVocabulary.size) {
    throw new ModelError(
      `the page runs models of bytes, with ${byteVocabulary.size} tokens; this one has ${vocabulary}`,
    );
  }
  return {
    vocabularySize: vocabulary,
    hiddenSize: config.hidden_size,
    intermediateSize: config.intermediate_size,
    layers: config.num_hidden_layers,
    heads: config.num_attention_heads,
    keyValueHeads: config.num_key_value_heads ?? config.num_attention_heads,
    context: config.max_position_embeddings,
    normEpsilon: config.rms_norm_eps,
    rotaryBase: config.rope_theta ?? 10_000,
    activation: 'swiglu',
    normalization: 'rms',
    ...(pattern === undefined ? {} : { patterns: [parsePattern(pattern)] }),
    ...(config.farfield_matches === undefined ? {} : { matches: config.farfield_matches }),
  };
}
