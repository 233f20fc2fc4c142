/** What a Llama-family model is made of: read from config.json (Hugging Face) or from the metadata of a GGUF file. */
import * as v from 'valibot';
import type { GgufMetadata } from '../checkpoint/index.ts';
import { counted } from '../counted.ts';
import { ModelError } from '../errors.ts';
import { type Pattern, parsePattern } from '../pattern/index.ts';

/** How rotary angles are stretched beyond the length a model was first trained on. */
export type RotaryScaling =
  | { readonly type: 'default' }
  /** Positions divided by `factor` (Chen et al., "Extending Context Window of Large Language Models via Positional Interpolation"). */
  | { readonly type: 'linear'; readonly factor: number }
  /** Slow angles divided by `factor`, fast ones kept, a ramp between (Llama 3.1's model card and reference code). */
  | {
      readonly type: 'llama3';
      readonly factor: number;
      readonly lowFrequencyFactor: number;
      readonly highFrequencyFactor: number;
      readonly originalContext: number;
    };

export interface LlamaConfig {
  readonly architecture: 'llama' | 'mistral';
  readonly vocabularySize: number;
  readonly hiddenSize: number;
  /** Width of the feed-forward's inner layer. */
  readonly intermediateSize: number;
  readonly layers: number;
  /** H */
  readonly heads: number;
  /** G, divides H. */
  readonly keyValueHeads: number;
  /** D = E, even, at most 256. */
  readonly headWidth: number;
  /** Positions that the model was trained on. */
  readonly context: number;
  readonly normEpsilon: number;
  readonly rotaryBase: number;
  readonly rotaryScaling: RotaryScaling;
  /** W: a query sees itself and the W - 1 tokens before it, in every layer (Mistral). */
  readonly slidingWindow?: number;
  readonly attentionBias: boolean;
  readonly feedForwardBias: boolean;
  /** The head multiplies by the embedding. Unknown for GGUF until the tensors are seen: there `output.weight` decides. */
  readonly tiedEmbeddings?: boolean;
  /** What the model was trained to see (`farfield_pattern` of config.json): the pattern of a stream that is given none. */
  readonly pattern?: Pattern;
  /** Sizes of the matches whose table is added to the embedding (`farfield_matches`): see latest-matches.ts. */
  readonly matches?: readonly number[];
}

/** Architectures that model/ implements, by `model_type` of config.json. */
export const ARCHITECTURES = ['llama', 'mistral'] as const;
const WIDEST_HEAD = 256;

const count = v.pipe(
  v.number('it must be a number'),
  v.safeInteger('it must be an integer'),
  v.minValue(1, 'it must be at least 1'),
);
const positive = v.pipe(
  v.number('it must be a number'),
  v.finite('it must be finite'),
  v.check((x) => x > 0, 'it must be above 0'),
);
const flag = v.optional(v.boolean('it must be true or false'), false);

const scalingSchema = v.looseObject({
  rope_type: v.optional(v.string('it must be a string')),
  type: v.optional(v.string('it must be a string')),
  rope_theta: v.optional(positive),
  factor: v.optional(positive),
  low_freq_factor: v.optional(positive),
  high_freq_factor: v.optional(positive),
  original_max_position_embeddings: v.optional(count),
});

const configSchema = v.looseObject({
  vocab_size: count,
  hidden_size: count,
  intermediate_size: count,
  num_hidden_layers: count,
  num_attention_heads: count,
  num_key_value_heads: v.nullish(count),
  head_dim: v.nullish(count),
  max_position_embeddings: count,
  rms_norm_eps: positive,
  hidden_act: v.optional(v.string('it must be a string'), 'silu'),
  rope_theta: v.optional(positive),
  rope_scaling: v.nullish(scalingSchema),
  rope_parameters: v.nullish(scalingSchema),
  sliding_window: v.nullish(count),
  attention_bias: flag,
  mlp_bias: flag,
  tie_word_embeddings: flag,
  farfield_matches: v.optional(
    v.pipe(
      v.array(count, 'it must be a list of sizes, such as [4, 8, 16]'),
      v.check(
        (sizes) => sizes.every((size, i) => size > (sizes[i - 1] ?? 0)),
        'the sizes must ascend, as in [4, 8, 16]',
      ),
    ),
  ),
  farfield_pattern: v.optional(v.string('it must be a pattern as text, such as "sinks:4+window:256"')),
});

/**
 * Reads config.json. `source` is what errors call the file.
 * @throws ModelError for an architecture that is not implemented, a field that is missing or impossible, a rotary scaling
 *   that is not known; PatternError for a pattern that is wrong.
 */
export function llamaConfigFromJson(json: unknown, source = 'config.json'): LlamaConfig {
  const type = typeof json === 'object' && json !== null ? (json as { model_type?: unknown }).model_type : undefined;
  const architecture = ARCHITECTURES.find((known) => known === type);
  if (architecture === undefined) {
    throw new ModelError(
      `${source}: model_type is ${JSON.stringify(type)}; Farfield implements ${ARCHITECTURES.join(', ')} (SmolLM2 is a llama)`,
    );
  }
  const result = v.safeParse(configSchema, json, { abortEarly: true });
  if (!result.success) {
    const [issue] = result.issues;
    const path = issue.path?.map(({ key }) => String(key)).join('.') ?? 'the configuration';
    throw new ModelError(
      issue.input === undefined
        ? `${source}: ${path} is missing`
        : `${source}: ${path} is ${JSON.stringify(issue.input)}; ${issue.message}`,
    );
  }
  const config = result.output;
  if (config.hidden_act !== 'silu') {
    throw new ModelError(`${source}: hidden_act is "${config.hidden_act}"; Farfield's Llama family has silu`);
  }
  const heads = config.num_attention_heads;
  const rope = config.rope_parameters ?? config.rope_scaling;
  return checked(
    {
      architecture,
      vocabularySize: config.vocab_size,
      hiddenSize: config.hidden_size,
      intermediateSize: config.intermediate_size,
      layers: config.num_hidden_layers,
      heads,
      keyValueHeads: config.num_key_value_heads ?? heads,
      headWidth: config.head_dim ?? config.hidden_size / heads,
      context: config.max_position_embeddings,
      normEpsilon: config.rms_norm_eps,
      rotaryBase: config.rope_parameters?.rope_theta ?? config.rope_theta ?? 10_000,
      rotaryScaling: rotaryScaling(rope ?? {}, source),
      ...(architecture === 'mistral' && config.sliding_window ? { slidingWindow: config.sliding_window } : {}),
      attentionBias: config.attention_bias,
      feedForwardBias: config.mlp_bias,
      tiedEmbeddings: config.tie_word_embeddings,
      ...(config.farfield_pattern === undefined ? {} : { pattern: parsePattern(config.farfield_pattern) }),
      ...(config.farfield_matches === undefined ? {} : { matches: config.farfield_matches }),
    },
    source,
  );
}

function rotaryScaling(rope: v.InferOutput<typeof scalingSchema>, source: string): RotaryScaling {
  const type = rope.rope_type ?? rope.type ?? 'default';
  const need = (name: keyof typeof rope & string): number => {
    const value = rope[name];
    if (typeof value === 'number') return value;
    throw new ModelError(`${source}: rotary scaling of type "${type}" needs ${name}`);
  };
  switch (type) {
    case 'default':
      return { type };
    case 'linear':
      return { type, factor: need('factor') };
    case 'llama3':
      return {
        type,
        factor: need('factor'),
        lowFrequencyFactor: need('low_freq_factor'),
        highFrequencyFactor: need('high_freq_factor'),
        originalContext: need('original_max_position_embeddings'),
      };
    default:
      throw new ModelError(`${source}: rotary scaling is of type "${type}"; Farfield knows default, linear, llama3`);
  }
}

/**
 * Reads the metadata of a GGUF file whose `general.architecture` is llama (keys: https://github.com/ggml-org/ggml/blob/master/docs/gguf.md).
 * @throws ModelError for other architectures, a key that is missing or impossible, a rotary scaling that is not known.
 */
export function llamaConfigFromGguf(metadata: GgufMetadata, source = 'GGUF file'): LlamaConfig {
  const architecture = metadata.get('general.architecture');
  if (architecture !== 'llama') {
    throw new ModelError(
      `${source}: general.architecture is ${JSON.stringify(architecture)}; Farfield implements llama from GGUF`,
    );
  }
  const number = (key: string, otherwise?: number): number => {
    const value = metadata.get(`llama.${key}`) ?? otherwise;
    if (typeof value === 'number' && Number.isFinite(value) && value > 0) return value;
    throw new ModelError(
      value === undefined
        ? `${source}: llama.${key} is missing`
        : `${source}: llama.${key} is ${Array.isArray(value) ? 'a list' : String(value)}; it must be a number above 0`,
    );
  };
  const optional = (key: string): number | undefined => (metadata.has(`llama.${key}`) ? number(key) : undefined);
  if (metadata.has('llama.expert_count') && metadata.get('llama.expert_count') !== 0) {
    throw new ModelError(`${source}: llama.expert_count says mixture of experts, which Farfield does not implement`);
  }
  const heads = number('attention.head_count');
  const hiddenSize = number('embedding_length');
  const headWidth = optional('attention.key_length') ?? hiddenSize / heads;
  const rotated = number('rope.dimension_count', headWidth);
  if (rotated !== headWidth) {
    throw new ModelError(`${source}: llama.rope.dimension_count is ${rotated}; it must be the head width ${headWidth}`);
  }
  const scaling = metadata.get('llama.rope.scaling.type') ?? 'none';
  if (scaling !== 'none' && scaling !== 'linear') {
    throw new ModelError(
      `${source}: llama.rope.scaling.type is ${JSON.stringify(scaling)}; Farfield knows none, linear`,
    );
  }
  const tokens = metadata.get('tokenizer.ggml.tokens');
  const slidingWindow = optional('attention.sliding_window');
  return checked(
    {
      architecture,
      vocabularySize: number('vocab_size', Array.isArray(tokens) ? tokens.length : undefined),
      hiddenSize,
      intermediateSize: number('feed_forward_length'),
      layers: number('block_count'),
      heads,
      keyValueHeads: number('attention.head_count_kv', heads),
      headWidth,
      context: number('context_length'),
      normEpsilon: number('attention.layer_norm_rms_epsilon'),
      rotaryBase: number('rope.freq_base', 10_000),
      rotaryScaling:
        scaling === 'linear' ? { type: 'linear', factor: number('rope.scaling.factor') } : { type: 'default' },
      ...(slidingWindow === undefined ? {} : { slidingWindow }),
      attentionBias: false,
      feedForwardBias: false,
    },
    source,
  );
}

function checked(config: LlamaConfig, source: string): LlamaConfig {
  const { heads, keyValueHeads, headWidth } = config;
  for (const name of [
    'vocabularySize',
    'hiddenSize',
    'intermediateSize',
    'layers',
    'heads',
    'keyValueHeads',
  ] as const) {
    if (!Number.isSafeInteger(config[name])) {
      throw new ModelError(`${source}: ${name} is ${config[name]}; it must be an integer`);
    }
  }
  if (heads % keyValueHeads !== 0) {
    throw new ModelError(`${source}: ${keyValueHeads} key/value heads do not divide ${counted(heads, 'head')}`);
  }
  if (!Number.isInteger(headWidth) || headWidth % 2 !== 0 || headWidth > WIDEST_HEAD) {
    throw new ModelError(
      `${source}: heads are ${headWidth} wide (hidden size ${config.hiddenSize}, ${counted(heads, 'head')}); the width must be even and at most ${WIDEST_HEAD}`,
    );
  }
  return config;
}

/**
 * Angle per position of each pair of a head's numbers [D/2]: base^(-2i/D), stretched as the scaling says. `factors` [D/2] divide
 * them (`rope_freqs.weight` of a GGUF file, which is how llama.cpp stores Llama 3's scaling).
 */
export function rotaryFrequencies(config: LlamaConfig, factors?: ArrayLike<number>): Float64Array {
  const half = config.headWidth / 2;
  return Float64Array.from({ length: half }, (_, i) => {
    const frequency = config.rotaryBase ** (-i / half) / (factors?.[i] ?? 1);
    return stretched(frequency, config.rotaryScaling);
  });
}

function stretched(frequency: number, scaling: RotaryScaling): number {
  if (scaling.type === 'default') return frequency;
  if (scaling.type === 'linear') return frequency / scaling.factor;
  const { factor, lowFrequencyFactor: low, highFrequencyFactor: high, originalContext } = scaling;
  const turns = (originalContext * frequency) / (2 * Math.PI);
  const kept = Math.min(1, Math.max(0, (turns - low) / (high - low)));
  return kept * frequency + ((1 - kept) * frequency) / factor;
}
