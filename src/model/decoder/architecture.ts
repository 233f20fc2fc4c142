/** What a file of a decoder gives, and the configuration that decoders share. */
import * as v from 'valibot';
import { counted } from '../../counted.ts';
import { ModelError } from '../../errors.ts';
import { add, rotary, scaleBy, tanh, type Value } from '../../graph/index.ts';
import { causal, type Pattern, window } from '../../pattern/index.ts';
import { count, flag, parseConfig, positive, text } from '../encoder/architecture.ts';
import type { EncoderBuilder } from '../encoder/builder.ts';
import type { DecoderSizes } from '../language-engine.ts';
import { type RotaryAngles, rotaryAngles, rotarySchema } from './rotary-parameters.ts';

export type LayerKind = 'full_attention' | 'sliding_attention';

/** cos and sin of the rows' angles [rows, D/2], by kind of layer. */
export type Angles = Readonly<Record<LayerKind, { readonly cos: Value; readonly sin: Value }>>;

/** An architecture with a configuration. */
export interface DecoderModel {
  readonly sizes: DecoderSizes;
  /** The name that a class with a head gives its decoder. */
  readonly prefix: string;
  /** The tensor of the embedding [vocabulary, hidden]. */
  readonly embedding: string;
  /** A table of learned positions, which is added to the embedding: `${name}.weight` [context, hidden]. */
  readonly learnedPositions?: string;
  /** Kinds of the layers that turn queries and keys; empty where none does. */
  readonly kinds: readonly LayerKind[];
  readonly angles: Readonly<Partial<Record<LayerKind, RotaryAngles>>>;
  /** What each layer sees at most. */
  readonly patterns: readonly Pattern[];
  /** Factor on the embedding. */
  readonly embeddingScale: number;
  /** Adds the layers: rows of the embedding, with learned positions where there are such, [rows, hidden] to those after the last norm. */
  readonly layers: (builder: EncoderBuilder, x: Value, angles: Angles) => Value;
  /** The matrix of the head: 'lm_head.weight', or the embedding's where it is tied. */
  readonly headMatrix: string;
  /** Soft cap on the logits. */
  readonly finalSoftcap?: number | undefined;
}

/** One entry of the registry. */
export interface DecoderArchitecture {
  /** Throws ModelError where a field is missing or impossible. */
  readonly read: (config: unknown, source: string) => DecoderModel;
}

const kind = v.picklist(['full_attention', 'sliding_attention'], 'it must be full_attention or sliding_attention');

const schema = v.looseObject({
  vocab_size: count,
  hidden_size: count,
  intermediate_size: count,
  num_hidden_layers: count,
  num_attention_heads: count,
  num_key_value_heads: v.nullish(count),
  head_dim: v.nullish(count),
  max_position_embeddings: count,
  rms_norm_eps: v.optional(positive, 1e-6),
  sliding_window: v.nullish(count),
  layer_types: v.nullish(v.array(kind)),
  rope_theta: v.optional(positive),
  rope_local_base_freq: v.optional(positive),
  rope_scaling: v.nullish(rotarySchema),
  rope_parameters: v.nullish(
    v.union([v.looseObject({ full_attention: rotarySchema, sliding_attention: rotarySchema }), rotarySchema]),
  ),
  attention_bias: flag(false),
  tie_word_embeddings: v.nullish(v.boolean('it must be true or false')),
});

export interface DecoderConfig extends DecoderSizes {
  readonly source: string;
  readonly epsilon: number;
  readonly attentionBias: boolean;
  readonly tiedEmbeddings: boolean;
  readonly kinds: readonly LayerKind[];
  readonly patterns: readonly Pattern[];
  readonly angles: Readonly<Record<LayerKind, RotaryAngles>>;
}

export interface DecoderDefaults {
  /** The kind of layer i where config.json has no layer_types. */
  readonly kindOf: (i: number) => LayerKind;
  readonly tied: boolean;
  readonly rotaryBase: number;
  /** Whether `rope_scaling` holds for full layers only. */
  readonly scalesFullLayersOnly: boolean;
}

/** The fields that decoders share. @throws ModelError */
export function readDecoderConfig(json: unknown, source: string, defaults: DecoderDefaults): DecoderConfig {
  const config = parseConfig(schema, json, source);
  const { num_attention_heads: heads, num_hidden_layers: layers, sliding_window: size } = config;
  const keyValueHeads = config.num_key_value_heads ?? heads;
  const headWidth = config.head_dim ?? config.hidden_size / heads;
  if (heads % keyValueHeads !== 0) {
    throw new ModelError(`${source}: ${keyValueHeads} key/value heads do not divide ${counted(heads, 'head')}`);
  }
  if (!Number.isInteger(headWidth) || headWidth % 2 !== 0 || headWidth > 256) {
    throw new ModelError(`${source}: heads are ${headWidth} wide; the width must be even and at most 256`);
  }
  const kinds = config.layer_types ?? Array.from({ length: layers }, (_, i) => defaults.kindOf(i));
  if (kinds.length !== layers) {
    throw new ModelError(
      `${source}: layer_types has ${counted(kinds.length, 'element')}; num_hidden_layers is ${layers}`,
    );
  }
  if (kinds.includes('sliding_attention') && typeof size !== 'number') {
    throw new ModelError(`${source}: sliding_window is missing, and layers slide`);
  }
  // W keys with the token itself.
  const near = window({ left: (size ?? 1) - 1 });
  const parameters = config.rope_parameters;
  const scaling = config.rope_scaling ?? {};
  const base = config.rope_theta ?? defaults.rotaryBase;
  const angles = (own: LayerKind): RotaryAngles => {
    if (parameters && 'full_attention' in parameters && 'sliding_attention' in parameters) {
      return rotaryAngles(v.parse(rotarySchema, parameters[own]), headWidth, base, source);
    }
    if (parameters) return rotaryAngles(v.parse(rotarySchema, parameters), headWidth, base, source);
    const isFull = own === 'full_attention';
    const ownBase = isFull ? base : (config.rope_local_base_freq ?? base);
    const ownScaling = isFull || !defaults.scalesFullLayersOnly ? scaling : {};
    return rotaryAngles(v.parse(rotarySchema, ownScaling), headWidth, ownBase, source);
  };
  return {
    source,
    vocabularySize: config.vocab_size,
    hiddenSize: config.hidden_size,
    intermediateSize: config.intermediate_size,
    layers,
    heads,
    keyValueHeads,
    headWidth,
    context: config.max_position_embeddings,
    epsilon: config.rms_norm_eps,
    attentionBias: config.attention_bias,
    tiedEmbeddings: config.tie_word_embeddings ?? defaults.tied,
    kinds,
    patterns: kinds.map((own) => (own === 'full_attention' ? causal() : near)),
    angles: { full_attention: angles('full_attention'), sliding_attention: angles('sliding_attention') },
  };
}

/** What of a configuration goes into every model. */
export function commonParts(config: DecoderConfig) {
  const { kinds, angles, patterns } = config;
  return {
    sizes: config,
    prefix: 'model',
    embedding: 'embed_tokens.weight',
    kinds,
    angles,
    patterns,
    headMatrix: config.tiedEmbeddings ? 'embed_tokens.weight' : 'lm_head.weight',
  };
}

/** From rows of the embedding [rows, hidden] to those after the last norm; `positions` int64 [rows] is asked where positions are learned. */
export function decoderLayers(
  b: EncoderBuilder,
  model: DecoderModel,
  words: Value,
  positions: () => Value,
  angles: Angles,
): Value {
  const { learnedPositions: table, sizes } = model;
  if (table === undefined) return model.layers(b, words, angles);
  const places = b.embedding(positions(), table, sizes.context, sizes.hiddenSize);
  return model.layers(b, add(b.graph, words, places), angles);
}

/** The head: hidden [rows, hidden] to logits [rows, vocabulary]. */
export function decoderLogits(b: EncoderBuilder, model: DecoderModel, hidden: Value): Value {
  const { graph } = b;
  const plain = b.project(hidden, model.headMatrix, model.sizes.vocabularySize, undefined);
  const cap = model.finalSoftcap;
  return cap === undefined ? plain : scaleBy(graph, tanh(graph, scaleBy(graph, plain, 1 / cap)), cap);
}

export interface DecoderAttentionOptions {
  /** Norms of queries and keys, before they turn. */
  readonly normalize?: (x: Value, name: string) => Value;
  readonly scale?: number;
  readonly softcap?: number | undefined;
  readonly sinkLogits?: Value;
}

/** o_proj(attention(rotary(q_proj(x)), rotary(k_proj(x)), v_proj(x))), x [rows, hidden] to [rows, hidden]. */
export function decoderAttention(
  b: EncoderBuilder,
  config: DecoderConfig,
  x: Value,
  layer: number,
  angles: Angles,
  { normalize = (value) => value, softcap, ...options }: DecoderAttentionOptions = {},
): Value {
  const { heads, keyValueHeads, headWidth, hiddenSize, attentionBias: bias, kinds, patterns } = config;
  const name = `layers.${layer}.self_attn`;
  const turn = angles[kinds[layer] ?? 'full_attention'];
  const project = (part: string, count: number) => b.linear(x, `${name}.${part}_proj`, count * headWidth, { bias });
  const q = normalize(project('q', heads), `${name}.q_norm`); // [rows, H*D]
  const k = normalize(project('k', keyValueHeads), `${name}.k_norm`); // [rows, G*D]
  const attended = b.attention(
    {
      q: rotary(b.graph, q, { heads, ...turn }),
      k: rotary(b.graph, k, { heads: keyValueHeads, ...turn }),
      v: project('v', keyValueHeads),
      heads,
      keyValueHeads,
      pattern: patterns[layer] ?? causal(),
      name: `${name}.attention`,
      ...options,
      ...(softcap === undefined ? {} : { softcap }),
    },
    () => [],
  );
  return b.linear(attended, `${name}.o_proj`, hiddenSize, { bias });
}

export { count, flag, parseConfig, positive, text };
