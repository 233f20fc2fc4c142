/**
 * BigBird (Zaheer et al., "Big Bird: Transformers for Longer Sequences", section 2 and appendix D), as the published implementation computes
 * it. A text of n blocks: the first and the last block see every key; block i between sees blocks i-1, i, i+1, the first, the last, and
 * its random ones. It differs from the paper in this, and so does this file:
 *
 * - A block that is listed twice, a random one that is also in the window or global, counts twice in the softmax.
 * - Outside training all random blocks are block 0, so the keys of block 0 count 1 + `num_random_blocks` times.
 * - Blocks are laid over the text with the padding that was given, up to a whole block, so the last block may be masked.
 * - A text of at most (5 + 2 num_random_blocks) blocks gets full attention. (There the whole model changes for good; here only that text.)
 */
import * as v from 'valibot';
import { counted } from '../../counted.ts';
import { ArgumentError, ModelError } from '../../errors.ts';
import { blockLocal, blocks, columns, dense, type Pattern, perHead, rows, union } from '../../pattern/index.ts';
import { count, type EncoderArchitecture, flag, type Head, index, parseConfig, type Task } from './architecture.ts';
import {
  type BertConfig,
  bertEmbeddings,
  bertFeedForward,
  bertFeeds,
  bertLayer,
  bertOnnxInputs,
  firstTokenClassifier,
  maskedLmHead,
  maxTokens,
  poolerIfThere,
  readBertConfig,
  startAndEnd,
  tokenClassifier,
} from './bert-family.ts';
import { onnxAnswers, onnxBlocks } from './bigbird-onnx.ts';
import {
  forEachSequence,
  type Layout,
  type PackedSequence,
  type RandomBlockTables,
  type WeightedPattern,
} from './layout.ts';

const schema = v.looseObject({
  attention_type: v.optional(
    v.picklist(['block_sparse', 'original_full'], 'it must be block_sparse or original_full'),
    'block_sparse',
  ),
  block_size: v.optional(count, 64),
  num_random_blocks: v.optional(index, 3),
  sep_token_id: v.optional(index, 66),
  use_bias: flag(true),
  rescale_embeddings: flag(false),
  hidden_act: v.optional(v.string('it must be a string'), 'gelu_new'),
});

/** Subtracted from the logits of the question, so that no answer begins or ends there. */
export const NO_ANSWER = 1e6;

/** Where a sequence has block-sparse attention, and how. */
export interface BigBirdBlocks {
  /** Tokens of a block. */
  readonly block: number;
  /** Random blocks of each block. */
  readonly random: number;
  readonly heads: number;
}

export const bigBird: EncoderArchitecture = {
  className: 'BigBird',
  prefix: 'bert',
  headNames: ['pooler.', 'cls.predictions.', 'cls.seq_relationship.', 'classifier.', 'qa_classifier.'],
  tasks: ['base', 'maskedLm', 'sequenceClassification', 'tokenClassification', 'questionAnswering'],
  read(json, context) {
    const own = parseConfig(schema, json, context.source);
    const config = readBertConfig({ ...(json as object), hidden_act: own.hidden_act }, context.source);
    if (own.rescale_embeddings)
      throw new ModelError(`${context.source}: rescale_embeddings is true, which is not implemented`);
    if (context.pattern !== undefined && own.attention_type === 'block_sparse') {
      throw new ModelError(`${context.source}: a block-sparse BigBird has blocks of its own; leave the pattern out`);
    }
    const { heads } = config;
    const settings = { block: own.block_size, random: own.num_random_blocks, heads };
    const full = context.pattern ?? dense();
    const pairs = (layer: number) => (layout: Layout) =>
      own.attention_type === 'original_full'
        ? [{ pattern: forEachSequence(layout, () => full), weight: 1 }]
        : bigBirdPairs(layout, settings, layer);
    const task: Partial<Record<Task, Record<string, Head>>> = {
      base: poolerIfThere(context.tensors, 'pooler'),
      maskedLm: { head: maskedLmHead(config, 'cls.predictions') },
      sequenceClassification: { head: firstTokenClassifier(config.activation) },
      tokenClassification: { head: tokenClassifier() },
      questionAnswering: { head: answerHead(config) },
    };
    const rule = { first: 0, size: config.positions, beyond: context.positions };
    const asks = context.task === 'questionAnswering';
    return {
      hiddenSize: config.hiddenSize,
      vocabularySize: config.vocabularySize,
      tokenKinds: config.tokenKinds,
      maxTokens: maxTokens(rule),
      hasGlobals: false,
      layers(b) {
        let x = bertEmbeddings(b, config); // [rows, hidden]
        for (let i = 0; i < config.layers; i++) {
          x = bertLayer(b, config, x, `encoder.layer.${i}`, (x, name) =>
            b.selfAttention({ x, heads, pattern: full, name, bias: own.use_bias }, pairs(i)),
          );
        }
        return x;
      },
      heads: task[context.task] ?? {},
      feeds: (batch) => bertFeeds(batch, rule),
      onnx: {
        inputs: (tokens) => bertOnnxInputs(tokens, rule, config),
        ...(own.attention_type === 'original_full' ? {} : { attention: (tokens) => onnxBlocks(tokens, settings) }),
        ...(asks ? { finish: (tokens, output) => onnxAnswers(tokens, output, own.sep_token_id) } : {}),
      },
      ...(asks
        ? {
            defaults: (ids, name) => ({
              tokenTypes: ids.map((_, i) => (i > questionEnd(ids, own.sep_token_id, name) ? 1 : 0)),
            }),
            finish: (outputs, ids) => hideQuestion(outputs, questionEnd(ids, own.sep_token_id, 'inputIds')),
          }
        : {}),
    };
  },
};

/** A feed-forward block on every row, then start and end. */
function answerHead(config: BertConfig): Head {
  return {
    rows: 'all',
    build(b, hidden) {
      const fed = bertFeedForward(b, config, hidden, 'qa_classifier', config.intermediateSize);
      return startAndEnd(b, b.linear(fed, 'qa_classifier.qa_outputs', 2));
    },
  };
}

/** The place of the first separator. */
function questionEnd(ids: Int32Array, separator: number, name: string): number {
  const end = ids.indexOf(separator);
  if (end < 0) throw new ArgumentError(`${name} has no separator (id ${separator}) to end its question`);
  return end;
}

function hideQuestion(outputs: Readonly<Record<string, Float32Array>>, end: number): void {
  for (const logits of Object.values(outputs)) {
    for (let place = 1; place <= end; place++) logits[place] = (logits[place] ?? 0) - NO_ANSWER;
  }
}

/** The pairs of one layer, those that count several times apart. */
export function bigBirdPairs(layout: Layout, settings: BigBirdBlocks, layer: number): WeightedPattern[] {
  const listed = layout.sequences.map((sequence) => listedBlocks(sequence, settings, layout.randomBlocks?.[layer]));
  const pairsOf = (sequence: PackedSequence) => listed[layout.sequences.indexOf(sequence)];
  const counts = new Set(listed.flatMap(({ repeated }) => [...repeated.keys()]));
  return [
    { pattern: forEachSequence(layout, (sequence) => pairsOf(sequence)?.once ?? dense()), weight: 1 },
    ...[...counts].map((weight) => ({
      pattern: forEachSequence(layout, (sequence) => pairsOf(sequence)?.repeated.get(weight) ?? NO_PAIRS),
      weight,
    })),
  ];
}

const NO_PAIRS: Pattern = blocks({ block: 1, table: [] });

interface ListedBlocks {
  /** Every block that is listed. */
  readonly once: Pattern;
  /** By how many more times: the blocks that are listed again. */
  readonly repeated: ReadonlyMap<number, Pattern>;
}

function listedBlocks(
  { givenLength }: PackedSequence,
  { block, random, heads }: BigBirdBlocks,
  tables?: RandomBlockTables,
): ListedBlocks {
  if (givenLength <= (5 + 2 * random) * block) return { once: dense(), repeated: new Map() };
  const last = Math.ceil(givenLength / block) - 1;
  if (tables !== undefined) checkTables(tables, heads, last + 1);
  const zeros = Array.from({ length: random }, () => 0);
  const byHead = (tables ?? [undefined]).map((table) => {
    const drawn: number[][] = Array.from({ length: last }, () => []);
    const again = new Map<number, number[][]>();
    for (let i = 1; i < last; i++) {
      const fixed = new Set([0, i - 1, i, i + 1, last]);
      const times = new Map<number, number>();
      for (const j of table === undefined ? zeros : (table[i - 1] ?? [])) times.set(j, (times.get(j) ?? 0) + 1);
      for (const [j, listed] of times) {
        if (!fixed.has(j)) drawn[i]?.push(j);
        const more = fixed.has(j) ? listed : listed - 1;
        if (more === 0) continue;
        const rows = again.get(more) ?? Array.from({ length: last }, () => []);
        rows[i]?.push(j);
        again.set(more, rows);
      }
    }
    return { drawn, again };
  });
  const forHeads = (tableOf: (head: (typeof byHead)[number]) => number[][]): Pattern => {
    const patterns = byHead.map((head) => blocks({ block, table: tableOf(head) }));
    return patterns.length === 1 && patterns[0] !== undefined ? patterns[0] : perHead(patterns);
  };
  const counts = new Set(byHead.flatMap(({ again }) => [...again.keys()]));
  return {
    once: union(
      blockLocal({ block, back: 1, ahead: 1 }),
      columns({ count: block }),
      columns({ start: last * block, count: block }),
      rows({ count: block }),
      rows({ start: last * block, count: block }),
      forHeads(({ drawn }) => drawn),
    ),
    repeated: new Map([...counts].map((more) => [more, forHeads(({ again }) => again.get(more) ?? [])])),
  };
}

function checkTables(tables: RandomBlockTables, heads: number, size: number): void {
  if (tables.length !== heads)
    throw new ArgumentError(`randomBlocks has tables for ${counted(tables.length, 'head')}; the model has ${heads}`);
  for (const [head, table] of tables.entries()) {
    if (table.length !== size - 2) {
      throw new ArgumentError(
        `randomBlocks has ${counted(table.length, 'row')} for head ${head}; a text of ${size} blocks needs ${size - 2}, one for each block but the first and the last`,
      );
    }
    const bad = table.flat().find((j) => !Number.isInteger(j) || j < 0 || j >= size);
    if (bad !== undefined)
      throw new ArgumentError(`randomBlocks names block ${bad} for head ${head}; there are ${size}`);
  }
}
