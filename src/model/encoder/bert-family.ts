/**
 * What BERT (Devlin et al., "BERT: Pre-training of Deep Bidirectional Transformers") and its descendants share: the sum of three
 * embeddings, and post-normalized layers, each
 *
 *     x = norm(x + output(attention(query(x), key(x), value(x))))
 *     x = norm(x + down(act(up(x))))
 *
 * What differs, where the positions start and what attends, each architecture says in its own file.
 */
import * as v from 'valibot';
import { ArgumentError } from '../../errors.ts';
import { add, cast, type HostTensor, ROWS, split, tanh, type Value } from '../../graph/index.ts';
import {
  checkHeads,
  count,
  flag,
  type Head,
  index,
  int64,
  type PackedBatch,
  parseConfig,
  positive,
  type ReadContext,
  text,
} from './architecture.ts';
import { checkActivation, type EncoderBuilder, widthOf } from './builder.ts';
import type { OnnxTokens } from './onnx/tokens.ts';
import type { EncoderTensors } from './tensors.ts';

const schema = v.looseObject({
  vocab_size: count,
  hidden_size: count,
  intermediate_size: count,
  num_hidden_layers: count,
  num_attention_heads: count,
  max_position_embeddings: count,
  type_vocab_size: count,
  layer_norm_eps: positive,
  hidden_act: v.optional(text, 'gelu'),
  pad_token_id: v.optional(index, 0),
  position_embedding_type: v.optional(v.literal('absolute', 'Farfield implements "absolute"'), 'absolute'),
  is_decoder: v.optional(v.literal(false, 'Farfield implements the encoder'), false),
  tie_word_embeddings: flag(true),
});

export interface BertConfig {
  readonly vocabularySize: number;
  readonly hiddenSize: number;
  /** Width of the feed-forward's inner layer. */
  readonly intermediateSize: number;
  readonly layers: number;
  readonly heads: number;
  /** Rows of the table of positions. */
  readonly positions: number;
  readonly tokenKinds: number;
  readonly normEpsilon: number;
  readonly activation: string;
  readonly padToken: number;
  /** The masked language model's last matrix is the word embedding. */
  readonly tiedEmbeddings: boolean;
}

/** The fields that the family shares. @throws ModelError */
export function readBertConfig(json: unknown, source: string): BertConfig {
  const config = parseConfig(schema, json, source);
  checkHeads(config.hidden_size, config.num_attention_heads, source);
  return {
    vocabularySize: config.vocab_size,
    hiddenSize: config.hidden_size,
    intermediateSize: config.intermediate_size,
    layers: config.num_hidden_layers,
    heads: config.num_attention_heads,
    positions: config.max_position_embeddings,
    tokenKinds: config.type_vocab_size,
    normEpsilon: config.layer_norm_eps,
    activation: checkActivation(config.hidden_act, 'hidden_act', source),
    padToken: config.pad_token_id,
    tiedEmbeddings: config.tie_word_embeddings,
  };
}

/** `input_ids`, `position_ids` and `token_type_ids` [rows] to the normalized sum of their embeddings [rows, hidden]. */
export function bertEmbeddings(b: EncoderBuilder, config: BertConfig): Value {
  const { vocabularySize, hiddenSize, positions, tokenKinds, normEpsilon: epsilon } = config;
  const ids = (name: string) => b.input(name, 'int64', [ROWS]);
  const words = b.embedding(ids('input_ids'), 'embeddings.word_embeddings', vocabularySize, hiddenSize);
  const places = b.embedding(ids('position_ids'), 'embeddings.position_embeddings', positions, hiddenSize);
  const kinds = b.embedding(ids('token_type_ids'), 'embeddings.token_type_embeddings', tokenKinds, hiddenSize);
  return b.norm(add(b.graph, add(b.graph, words, places), kinds), 'embeddings.LayerNorm', { epsilon });
}

/** One layer, x [rows, hidden] to [rows, hidden]; `attend` makes the attention's [rows, hidden] under the given name. */
export function bertLayer(
  b: EncoderBuilder,
  config: BertConfig,
  x: Value,
  name: string,
  attend: (x: Value, name: string) => Value,
): Value {
  const { hiddenSize, intermediateSize, normEpsilon: epsilon } = config;
  const attended = b.linear(attend(x, `${name}.attention.self`), `${name}.attention.output.dense`, hiddenSize);
  const middle = b.norm(add(b.graph, attended, x), `${name}.attention.output.LayerNorm`, { epsilon });
  return bertFeedForward(b, config, middle, name, intermediateSize);
}

/** The feed-forward half of a layer: norm(x + down(act(up(x)))). */
export function bertFeedForward(b: EncoderBuilder, config: BertConfig, x: Value, name: string, inner: number): Value {
  const { hiddenSize, activation, normEpsilon: epsilon } = config;
  const wide = b.activation(b.linear(x, `${name}.intermediate.dense`, inner), activation); // [rows, inner]
  const fed = b.linear(wide, `${name}.output.dense`, hiddenSize);
  return b.graph.boundary(b.norm(add(b.graph, fed, x), `${name}.output.LayerNorm`, { epsilon }));
}

/** tanh(dense(x)). */
export function pool(b: EncoderBuilder, x: Value, name: string): Value {
  return tanh(b.graph, b.linear(x, name, widthOf(x)));
}

/** The pooler of the first token, which files of models without a head have, and others may lack. */
export function poolerIfThere(tensors: EncoderTensors, name: string): Record<string, Head> {
  if (!tensors.has(`${name}.weight`)) return {};
  return { pooler: { rows: 'first', build: (b, hidden) => ({ pooled: pool(b, hidden, name) }) } };
}

/** The masked language model head, under BERT's names (`cls.predictions`) or RoBERTa's (`lm_head`). */
export function maskedLmHead(config: BertConfig, names: 'cls.predictions' | 'lm_head'): Head {
  const { hiddenSize, vocabularySize, activation, normEpsilon: epsilon, tiedEmbeddings } = config;
  const isBert = names === 'cls.predictions';
  const dense = isBert ? 'cls.predictions.transform.dense' : 'lm_head.dense';
  const norm = isBert ? 'cls.predictions.transform.LayerNorm' : 'lm_head.layer_norm';
  return {
    rows: 'all',
    build(b, hidden) {
      const wide = b.activation(b.linear(hidden, dense, hiddenSize), isBert ? activation : 'gelu');
      const normalized = b.norm(wide, norm, { epsilon });
      const copy = `${names}.decoder.weight`;
      const matrix = tiedEmbeddings ? 'embeddings.word_embeddings.weight' : copy;
      b.tensors.allow(copy);
      b.tensors.allow(`${names}.decoder.bias`);
      return { logits: b.project(normalized, matrix, vocabularySize, `${names}.bias`) };
    },
  };
}

/** classifier.out_proj(act(classifier.dense(first token))), RoBERTa's and its descendants'. */
export function firstTokenClassifier(activation: string): Head {
  return {
    rows: 'first',
    build(b, hidden) {
      const wide = b.activation(b.linear(hidden, 'classifier.dense', widthOf(hidden)), activation);
      return { logits: b.linear(wide, 'classifier.out_proj', labels(b, 'classifier.out_proj')) };
    },
  };
}

/** A linear layer on every row: token classification, or as `qa_outputs` start and end. */
export function tokenClassifier(): Head {
  return { rows: 'all', build: (b, x) => ({ logits: b.linear(x, 'classifier', labels(b, 'classifier')) }) };
}

export function questionAnswering(name = 'qa_outputs'): Head {
  return { rows: 'all', build: (b, x) => startAndEnd(b, b.linear(x, name, 2)) };
}

/** [rows, 2] to start and end logits [rows, 1]. */
export function startAndEnd(b: EncoderBuilder, both: Value): Record<string, Value> {
  const [startLogits, endLogits] = split(b.graph, both, [1, 1], 1) as [Value, Value];
  return { startLogits, endLogits };
}

/** The number of classes is that of the file's matrix; configurations leave it out where it is 2. */
export function labels(b: EncoderBuilder, name: string): number {
  return b.tensors.shapeOf(`${name}.weight`)?.[0] ?? 2;
}

export interface PositionRule {
  /** The table's row of a sequence's first token. */
  readonly first: number;
  /** Tokens of this id stand at `first - 1` and are not counted (RoBERTa). */
  readonly skipped?: number;
  /** Rows of the table. */
  readonly size: number;
  /** 'repeat' starts again at `first` beyond the last position (Longformer, section 5, copies the table that way). */
  readonly beyond: ReadContext['positions'];
}

/** Tokens of the longest sequence under a rule. */
export function maxTokens({ first, size, beyond }: PositionRule): number {
  return beyond === 'repeat' ? Infinity : size - first;
}

/** The inputs of bertEmbeddings(). @throws ArgumentError where a sequence is longer than the table. */
export function bertFeeds(batch: PackedBatch, rule: PositionRule): Record<string, HostTensor> {
  const { layout, ids, tokenTypes } = batch;
  const { first, size, skipped, beyond } = rule;
  const room = size - first;
  const places = new Int32Array(layout.rows);
  for (const [i, { start, length }] of layout.sequences.entries()) {
    let next = 0;
    for (let row = start; row < start + length; row++) {
      if (ids[row] === skipped) {
        places[row] = first - 1;
        continue;
      }
      if (next === room && beyond === 'given') {
        throw new ArgumentError(
          `inputIds[${i}] has ${length} tokens and the model ${room} positions; cut the text, or load the model with ` +
            `positions 'repeat' and a pattern that looks near, such as window:128`,
        );
      }
      places[row] = first + (next % room);
      next++;
    }
  }
  return { input_ids: int64(ids), position_ids: int64(places), token_type_ids: int64(tokenTypes) };
}

/** The inputs of bertEmbeddings() in an exported graph, by the same rule. Places beyond the table fail when the file runs. */
export function bertOnnxInputs(
  tokens: OnnxTokens,
  rule: PositionRule,
  { tokenKinds }: BertConfig,
): Record<string, Value> {
  return {
    input_ids: tokens.ids,
    position_ids: onnxPositions(tokens, rule),
    token_type_ids: tokenKinds > 1 ? tokens.tokenTypes : tokens.zeros,
  };
}

function onnxPositions(tokens: OnnxTokens, { first, size, skipped, beyond }: PositionRule): Value {
  const op = (operator: string, ...inputs: Value[]) => tokens.op(operator, inputs, 'int64', [ROWS]);
  const placed = (next: Value): Value => {
    const within = beyond === 'repeat' ? op('Mod', next, tokens.integer(size - first)) : next;
    return first === 0 ? within : op('Add', within, tokens.integer(first));
  };
  if (skipped === undefined) return placed(tokens.places);
  const isSkipped = tokens.op('Equal', [tokens.ids, tokens.integer(skipped)], 'bool', [ROWS]);
  const counted = cast(tokens.graph, tokens.op('Not', [isSkipped], 'bool', [ROWS]), 'int64');
  const bySequence = tokens.op('Reshape', [counted, tokens.shape], 'int64', ['batch', 'sequence']);
  const sums = tokens.op('CumSum', [bySequence, tokens.integer(1)], 'int64', ['batch', 'sequence']);
  const next = op('Sub', tokens.reshape(sums, [-1], [ROWS]), tokens.integer(1));
  return tokens.op('Where', [isSkipped, tokens.integer(first - 1), placed(next)], 'int64', [ROWS]);
}
