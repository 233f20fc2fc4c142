/**
 * Longformer (Beltagy et al., "Longformer: The Long-Document Transformer", sections 3 and 4): RoBERTa's layers with a window around each
 * token, and global tokens that see all and are seen by all. A global token takes its own projections q', k', v' over all keys:
 *
 *     local row:  softmax over its window and the global tokens, of q, k, v
 *     global row: softmax over all tokens, of q', k', v'
 *
 * Both are attention nodes over all rows, whose pairs a batch decides: rows of the other kind see no key there, which gives zeros, so
 * that the sum of the two is the layer's attention. The published code pads a text to a multiple of the window with masked tokens,
 * on which no token that counts depends; here there is no padding.
 */
import * as v from 'valibot';
import { counted } from '../../counted.ts';
import { ArgumentError, ModelError } from '../../errors.ts';
import type { Value } from '../../graph/index.ts';
import { complement, globalTokens, intersect, type Pattern, union, window } from '../../pattern/index.ts';
import { count, type EncoderArchitecture, type Head, index, parseConfig, type Task } from './architecture.ts';
import {
  type BertConfig,
  bertEmbeddings,
  bertFeeds,
  bertLayer,
  bertOnnxInputs,
  firstTokenClassifier,
  maskedLmHead,
  maxTokens,
  poolerIfThere,
  questionAnswering,
  readBertConfig,
  tokenClassifier,
} from './bert-family.ts';
import type { EncoderBuilder } from './builder.ts';
import { cutToSequences, type Layout, rowsOf, type WeightedPattern } from './layout.ts';

const schema = v.looseObject({
  attention_window: v.union([count, v.array(count)], 'it must be a number, or one for each layer'),
  sep_token_id: v.optional(index, 2),
});

export const longformer: EncoderArchitecture = {
  className: 'Longformer',
  prefix: 'longformer',
  headNames: ['pooler.', 'lm_head.', 'classifier.', 'qa_outputs.'],
  tasks: ['base', 'maskedLm', 'sequenceClassification', 'tokenClassification', 'questionAnswering'],
  read(json, context) {
    const config = readBertConfig(json, context.source);
    const { attention_window: windows, sep_token_id: separator } = parseConfig(schema, json, context.source);
    const sides = windowSides(windows, config.layers, context.source);
    if (context.pattern !== undefined) {
      throw new ModelError(`${context.source}: a Longformer has windows of its own; leave the pattern out`);
    }
    const heads: Partial<Record<Task, Record<string, Head>>> = {
      base: poolerIfThere(context.tensors, 'pooler.dense'),
      maskedLm: { head: maskedLmHead(config, 'lm_head') },
      sequenceClassification: { head: firstTokenClassifier('tanh') },
      tokenClassification: { head: tokenClassifier() },
      questionAnswering: { head: questionAnswering() },
    };
    const { padToken, positions } = config;
    const rule = { first: padToken + 1, skipped: padToken, size: positions, beyond: context.positions };
    return {
      hiddenSize: config.hiddenSize,
      vocabularySize: config.vocabularySize,
      tokenKinds: config.tokenKinds,
      maxTokens: maxTokens(rule),
      hasGlobals: true,
      layers(b) {
        let x = bertEmbeddings(b, config); // [rows, hidden]
        for (const [i, side] of sides.entries()) {
          x = bertLayer(b, config, x, `encoder.layer.${i}`, (x, name) => longformerAttention(b, config, x, name, side));
        }
        return x;
      },
      heads: heads[context.task] ?? {},
      feeds: (batch) => bertFeeds(batch, rule),
      onnx: {
        inputs: (tokens) => bertOnnxInputs(tokens, rule, config),
        attention: (tokens) => ({ globals: tokens.globals }),
      },
      defaults: (ids, name) => {
        if (context.task === 'sequenceClassification')
          return { globals: Uint8Array.from(ids, (_, i) => (i === 0 ? 1 : 0)) };
        return context.task === 'questionAnswering' ? { globals: questionMask(ids, separator, name) } : {};
      },
    };
  },
};

/** Keys to either side of a token, by layer. `attention_window` counts both sides together. */
export function windowSides(windows: number | number[], layers: number, source: string): number[] {
  const each = Array.isArray(windows) ? windows : Array.from({ length: layers }, () => windows);
  if (each.length !== layers) {
    throw new ModelError(
      `${source}: attention_window has ${counted(each.length, 'number')}; num_hidden_layers is ${layers}`,
    );
  }
  const odd = each.find((size) => size % 2 !== 0);
  if (odd !== undefined) throw new ModelError(`${source}: attention_window is ${odd}; it must be even`);
  return each.map((size) => size / 2);
}

/** x [rows, hidden] to [rows, hidden], from `${name}.query`, `${name}.query_global` and so on. */
export function longformerAttention(
  b: EncoderBuilder,
  { heads }: Pick<BertConfig, 'heads'>,
  x: Value,
  name: string,
  side: number,
): Value {
  const near = window(side);
  const globals = (layout: Layout) => weigh(globalPairs(layout));
  return b.selfAttention({ x, heads, pattern: near, name, globals }, (layout) => weigh(localPairs(near, layout)));
}

/** What rows without global attention see: their window, and the global tokens of their sequence. */
function localPairs(near: Pattern, layout: Layout): Pattern {
  const globals = rowsOf(layout, (sequence) => sequence.globals);
  const silent = [...globals, ...rowsOf(layout, (sequence) => sequence.masked)];
  if (silent.length === 0) return cutToSequences(near, layout);
  const seen = union(near, globalTokens({ positions: globals, direction: 'keys' }));
  return intersect(cutToSequences(seen, layout), complement(globalTokens({ positions: silent, direction: 'queries' })));
}

/** What rows with global attention see: their whole sequence. */
function globalPairs(layout: Layout): Pattern | undefined {
  const globals = rowsOf(layout, (sequence) => sequence.globals);
  if (globals.length === 0) return undefined;
  return cutToSequences(globalTokens({ positions: globals, direction: 'queries' }), layout);
}

function weigh(pattern: Pattern | undefined): WeightedPattern[] {
  return pattern === undefined ? [] : [{ pattern, weight: 1 }];
}

/** Global attention on the question: all tokens before the first separator. */
function questionMask(ids: Int32Array, separator: number, name: string): Uint8Array {
  const separators = ids.reduce((sum, id) => sum + (id === separator ? 1 : 0), 0);
  if (separators !== 3) {
    throw new ArgumentError(
      `${name} has ${counted(separators, 'separator')} (id ${separator}); question answering needs <s> question </s></s> text </s>, which ` +
        'has three, or a globalAttentionMask',
    );
  }
  const end = ids.indexOf(separator);
  return Uint8Array.from(ids, (_, i) => (i < end ? 1 : 0));
}
