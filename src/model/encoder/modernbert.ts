/**
 * ModernBERT (Warner et al., "Smarter, Better, Faster, Longer: A Modern Bidirectional Encoder", section 2.1): pre-normalized layers with
 * rotary positions, most of them with a sliding window, every third with full attention and another rotary base:
 *
 *     x += Wo(attention(rotary(q), rotary(k), v))     with q, k, v = Wqkv(norm(x))
 *     x += mlp.Wo(act(a) * gate)                      with a, gate = mlp.Wi(norm(x))
 *
 * The embedding is normalized, so the first layer's attention has no norm of its own. The decoder (Weller et al., "Seq vs Seq") is the same
 * with the past only and three projections in the place of Wqkv.
 */
import * as v from 'valibot';
import { counted } from '../../counted.ts';
import { ModelError } from '../../errors.ts';
import { add, type HostTensor, mul, ROWS, rotary, rotaryRows, split, type Value } from '../../graph/index.ts';
import { causal, dense, intersect, type Pattern, window } from '../../pattern/index.ts';
import {
  checkHeads,
  count,
  type EncoderArchitecture,
  type EncoderModel,
  flag,
  type Head,
  int64,
  type PackedBatch,
  parseConfig,
  positive,
  type ReadContext,
  type Task,
  text,
} from './architecture.ts';
import { labels, startAndEnd } from './bert-family.ts';
import { checkActivation, type EncoderBuilder } from './builder.ts';
import { withinSequences } from './layout.ts';
import type { OnnxTokens } from './onnx/tokens.ts';

type Kind = 'full_attention' | 'sliding_attention';

const kind = v.picklist(['full_attention', 'sliding_attention'], 'it must be full_attention or sliding_attention');
const rope = v.looseObject({
  rope_theta: positive,
  rope_type: v.optional(v.literal('default', 'Farfield implements "default" here'), 'default'),
});

const schema = v.looseObject({
  vocab_size: count,
  hidden_size: count,
  intermediate_size: count,
  num_hidden_layers: count,
  num_attention_heads: count,
  norm_eps: v.optional(positive, 1e-5),
  hidden_activation: v.optional(text, 'gelu'),
  local_attention: v.optional(count, 128),
  sliding_window: v.nullish(count),
  layer_types: v.nullish(v.array(kind)),
  global_attn_every_n_layers: v.optional(count, 3),
  rope_parameters: v.nullish(v.looseObject({ full_attention: rope, sliding_attention: rope })),
  global_rope_theta: v.optional(positive, 160_000),
  local_rope_theta: v.nullish(positive),
  attention_bias: flag(false),
  mlp_bias: flag(false),
  norm_bias: flag(false),
  decoder_bias: flag(true),
  classifier_bias: flag(false),
  classifier_activation: v.optional(text, 'gelu'),
  classifier_pooling: v.optional(v.picklist(['cls', 'mean'], 'it must be cls or mean'), 'cls'),
  tie_word_embeddings: flag(true),
});

type Config = v.InferOutput<typeof schema>;

export const modernBert: EncoderArchitecture = {
  className: 'ModernBert',
  prefix: 'model',
  headNames: ['head.', 'decoder.', 'classifier.'],
  tasks: ['base', 'maskedLm', 'sequenceClassification', 'tokenClassification', 'questionAnswering'],
  read(json, context) {
    const config = readConfig(json, context.source);
    const side = window(Math.floor(config.local_attention / 2));
    const patterns = { full_attention: context.pattern ?? dense(), sliding_attention: side };
    const heads: Partial<Record<Task, Record<string, Head>>> = {
      maskedLm: { head: vocabularyHead(config, 'head') },
      sequenceClassification: { head: classifier(config, config.classifier_pooling === 'cls' ? 'first' : 'mean') },
      tokenClassification: { head: classifier(config, 'all') },
      questionAnswering: { head: answerHead(config) },
    };
    return modelOf(config, patterns, joinedProjections, heads[context.task] ?? {}, context);
  },
};

export const modernBertDecoder: EncoderArchitecture = {
  className: 'ModernBertDecoder',
  prefix: 'model',
  headNames: ['lm_head.', 'decoder.', 'head.', 'classifier.'],
  tasks: ['base', 'causalLm', 'sequenceClassification'],
  read(json, context) {
    const config = readConfig(json, context.source);
    const keys = config.sliding_window ?? Math.floor(config.local_attention / 2);
    const patterns = {
      full_attention: context.pattern === undefined ? causal() : intersect(context.pattern, causal()),
      // One key less than to the left of a token in the encoder.
      sliding_attention: window({ left: keys - 1 }),
    };
    const heads: Partial<Record<Task, Record<string, Head>>> = {
      causalLm: { head: vocabularyHead(config, 'lm_head') },
      // The last token has seen them all.
      sequenceClassification: { head: classifier(config, 'last', config.classifier_bias) },
    };
    return modelOf(config, patterns, ownProjections, heads[context.task] ?? {}, context);
  },
};

function readConfig(json: unknown, source: string): Config {
  const config = parseConfig(schema, json, source);
  checkHeads(config.hidden_size, config.num_attention_heads, source);
  checkActivation(config.hidden_activation, 'hidden_activation', source);
  checkActivation(config.classifier_activation, 'classifier_activation', source);
  const types = config.layer_types;
  if (types && types.length !== config.num_hidden_layers) {
    throw new ModelError(
      `${source}: layer_types has ${counted(types.length, 'element')}; num_hidden_layers is ${config.num_hidden_layers}`,
    );
  }
  return config;
}

function modelOf(
  config: Config,
  patterns: Readonly<Record<Kind, Pattern>>,
  project: Projections,
  heads: Record<string, Head>,
  { source }: ReadContext,
): EncoderModel {
  const { hidden_size: hiddenSize, vocab_size: vocabularySize, num_attention_heads, norm_eps: epsilon } = config;
  const half = hiddenSize / num_attention_heads / 2;
  if (!Number.isInteger(half)) {
    throw new ModelError(`${source}: heads are ${2 * half} wide; rotary positions need an even width`);
  }
  const kinds = Array.from(
    { length: config.num_hidden_layers },
    (_, i): Kind =>
      config.layer_types?.[i] ?? (i % config.global_attn_every_n_layers === 0 ? 'full_attention' : 'sliding_attention'),
  );
  const used = [...new Set(kinds)];
  const norm = { epsilon, bias: config.norm_bias };
  return {
    hiddenSize,
    vocabularySize,
    tokenKinds: 1,
    hasGlobals: false,
    layers(b) {
      const ids = b.input('input_ids', 'int64', [ROWS]);
      const angles = Object.fromEntries(
        used.map((kind) => {
          const input = (name: string) => b.input(`${name}_${kind}`, 'float32', [ROWS, half]);
          return [kind, { cos: input('cos'), sin: input('sin') }];
        }),
      );
      let x = b.norm(
        b.embedding(ids, 'embeddings.tok_embeddings', vocabularySize, hiddenSize),
        'embeddings.norm',
        norm,
      );
      for (const [i, kind] of kinds.entries()) {
        const normalized = i === 0 ? x : b.norm(x, `layers.${i}.attn_norm`, norm);
        const turn = angles[kind] as { cos: Value; sin: Value };
        const heads = num_attention_heads;
        const { q, k, v } = project(b, normalized, `layers.${i}.attn`, config);
        const attended = b.attention(
          {
            q: rotary(b.graph, q, { heads, ...turn }),
            k: rotary(b.graph, k, { heads, ...turn }),
            v,
            heads,
            pattern: patterns[kind],
            name: `layers.${i}.attn`,
          },
          (layout) => [{ pattern: withinSequences(patterns[kind], layout), weight: 1 }],
        );
        x = add(b.graph, x, b.linear(attended, `layers.${i}.attn.Wo`, hiddenSize, { bias: config.attention_bias }));
        const fed = feedForward(b, b.norm(x, `layers.${i}.mlp_norm`, norm), `layers.${i}.mlp`, config);
        x = b.graph.boundary(add(b.graph, x, fed));
      }
      return b.norm(x, 'final_norm', norm);
    },
    heads,
    onnx: {
      inputs: (tokens) => ({
        input_ids: tokens.ids,
        ...Object.assign({}, ...used.map((kind) => onnxAngles(tokens, kind, frequencies(config, kind, half)))),
      }),
    },
    feeds: (batch) => ({
      input_ids: int64(batch.ids),
      ...Object.assign({}, ...used.map((kind) => angleFeeds(batch, kind, frequencies(config, kind, half)))),
    }),
  };
}

type Projections = (b: EncoderBuilder, x: Value, name: string, config: Config) => { q: Value; k: Value; v: Value };

/** q, k and v [rows, hidden] of one matrix. */
const joinedProjections: Projections = (b, x, name, { hidden_size: size, attention_bias: bias }) => {
  const [q, k, v] = split(b.graph, b.linear(x, `${name}.Wqkv`, 3 * size, { bias }), [size, size, size], 1);
  return { q, k, v } as { q: Value; k: Value; v: Value };
};

const ownProjections: Projections = (b, x, name, { hidden_size: size, attention_bias: bias }) => ({
  q: b.linear(x, `${name}.q_proj`, size, { bias }),
  k: b.linear(x, `${name}.k_proj`, size, { bias }),
  v: b.linear(x, `${name}.v_proj`, size, { bias }),
});

function feedForward(b: EncoderBuilder, x: Value, name: string, config: Config): Value {
  const { intermediate_size: inner, mlp_bias: bias, hidden_activation, hidden_size } = config;
  const [wide, gate] = split(b.graph, b.linear(x, `${name}.Wi`, 2 * inner, { bias }), [inner, inner], 1) as [
    Value,
    Value,
  ];
  return b.linear(mul(b.graph, b.activation(wide, hidden_activation), gate), `${name}.Wo`, hidden_size, { bias });
}

/** Angle per position of each pair of a head's numbers [D/2]. */
function frequencies(config: Config, kind: Kind, half: number): Float64Array {
  const published =
    kind === 'full_attention' ? config.global_rope_theta : (config.local_rope_theta ?? config.global_rope_theta);
  const base = config.rope_parameters?.[kind].rope_theta ?? published;
  return Float64Array.from({ length: half }, (_, i) => base ** (-i / half));
}

/** cos and sin [rows, D/2]; positions count from each sequence's first token. */
function angleFeeds({ layout }: PackedBatch, kind: Kind, frequencies: Float64Array): Record<string, HostTensor> {
  const half = frequencies.length;
  const cos = new Float32Array(layout.rows * half);
  const sin = new Float32Array(layout.rows * half);
  for (const { start, length } of layout.sequences) {
    rotaryRows(frequencies, 0, length, { cos: cos.subarray(start * half), sin: sin.subarray(start * half) });
  }
  const shape = [layout.rows, half];
  return {
    [`cos_${kind}`]: { type: 'float32', data: cos, shape },
    [`sin_${kind}`]: { type: 'float32', data: sin, shape },
  };
}

/** The same of an exported graph's tokens. */
function onnxAngles(tokens: OnnxTokens, kind: Kind, frequencies: Float64Array): Record<string, Value> {
  const { cos, sin } = tokens.angles(kind, frequencies);
  return { [`cos_${kind}`]: cos, [`sin_${kind}`]: sin };
}

/** norm(act(dense(x))), which every head begins with. */
function transformed(b: EncoderBuilder, x: Value, name: string, config: Config): Value {
  const wide = b.linear(x, `${name}.dense`, config.hidden_size, { bias: config.classifier_bias });
  const { norm_eps: epsilon, norm_bias: bias } = config;
  return b.norm(b.activation(wide, config.classifier_activation), `${name}.norm`, { epsilon, bias });
}

/** A masked or causal language model's head, tied to the embedding. */
function vocabularyHead(config: Config, name: 'head' | 'lm_head'): Head {
  return {
    rows: 'all',
    build(b, hidden) {
      b.tensors.allow('decoder.weight');
      const matrix = config.tie_word_embeddings ? 'embeddings.tok_embeddings.weight' : 'decoder.weight';
      const bias = config.decoder_bias ? 'decoder.bias' : undefined;
      return { logits: b.project(transformed(b, hidden, name, config), matrix, config.vocab_size, bias) };
    },
  };
}

function classifier(config: Config, rows: Head['rows'], bias = true): Head {
  return {
    rows,
    build: (b, x) => ({
      logits: b.linear(transformed(b, x, 'head', config), 'classifier', labels(b, 'classifier'), { bias }),
    }),
  };
}

function answerHead(config: Config): Head {
  return { rows: 'all', build: (b, x) => startAndEnd(b, b.linear(transformed(b, x, 'head', config), 'classifier', 2)) };
}
