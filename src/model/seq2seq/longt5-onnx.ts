/** Summaries of blocks in an exported file: as many keys as a text has blocks, from sums that are computed when the file runs. */
import { expression as e } from '../../attention/index.ts';
import { cast, type Value } from '../../graph/index.ts';
import { widthOf } from '../encoder/builder.ts';
import type { OnnxEncoderBuilder } from '../encoder/onnx/builder.ts';
import type { LongT5Config } from './longt5.ts';
import type { BlockSummaries } from './longt5-summaries.ts';

/** A text of N tokens has S = ceil(N / block) summaries, of which those of its complete blocks count. */
export function onnxSummaries(b: OnnxEncoderBuilder, { global_block_size: block }: LongT5Config): BlockSummaries {
  const { tokens, graph } = b;
  const { sequence, mask } = tokens;
  const integers = (operator: string, inputs: readonly Value[], shape: Value['shape']) =>
    tokens.op(operator, inputs, 'int64', shape);
  const flags = (operator: string, inputs: readonly Value[], shape: Value['shape']) =>
    tokens.op(operator, inputs, 'bool', shape);
  const floats = (operator: string, inputs: readonly Value[], shape: Value['shape']) =>
    tokens.op(operator, inputs, 'float32', shape);
  const size = tokens.integer(block);

  const blockOfPlace = integers('Div', [sequence, size], ['sequence']);
  // A block is complete where its last token counts; the tokens behind the last complete block are its own.
  const place = integers('Mod', [sequence, size], ['sequence']);
  const isEnd = flags('Equal', [place, tokens.integer(block - 1)], ['sequence']);
  const ends = cast(graph, flags('And', [mask, isEnd], ['batch', 'sequence']), 'int64');
  const complete = integers('ReduceSum', [ends, tokens.integers(1)], ['batch', 1]);
  const last = integers('Sub', [complete, tokens.integer(1)], ['batch', 1]);
  const own = integers('Min', [blockOfPlace, last], ['batch', 'sequence']);
  const blockOfToken = cast(
    graph,
    integers('Where', [mask, own, tokens.integer(-1)], ['batch', 'sequence']),
    'float32',
  );

  const rounded = integers('Add', [tokens.length, tokens.integer(block - 1)], []);
  const count = integers('Div', [rounded, size], []);
  const numbers = tokens.range(tokens.integer(0), count);
  const counts = flags('LessOrEqual', [numbers, last], ['batch', 'summaries']);
  const isLast = cast(graph, flags('Equal', [numbers, last], ['batch', 'summaries']), 'float32');
  const batch = integers('Gather', [tokens.shape, tokens.integers(0)], [1]);
  const countAlone = integers('Unsqueeze', [count, tokens.integers(0)], [1]);
  const shape = tokens.op('Concat', [batch, countAlone], 'int64', [2], AXIS_0);
  const missing = integers('Sub', [integers('Mul', [count, size], []), tokens.length], []);
  const missingAlone = integers('Unsqueeze', [missing, tokens.integers(0)], [1]);

  const counted = cast(graph, mask, 'float32'); // [batch, sequence]
  const isLate = cast(
    graph,
    flags('And', [mask, flags('Less', [last, blockOfPlace], ['batch', 'sequence'])], ['batch', 'sequence']),
    'float32',
  );
  const late = floats('Unsqueeze', [isLate, tokens.integers(1)], ['batch', 1, 'sequence']);
  const lastColumn = floats('Unsqueeze', [isLast, tokens.integers(2)], ['batch', 'summaries', 1]);
  const padding = tokens.op('Concat', [tokens.integers(0, 0, 0), missingAlone], 'int64', [4], AXIS_0);
  const padded = floats('Pad', [counted, padding], ['batch', 'whole']);
  const rowShape = tokens.op('Concat', [shape, tokens.integers(1, block)], 'int64', [4], AXIS_0);
  const weights = floats('Reshape', [padded, rowShape], ['batch', 'summaries', 1, block]);

  return {
    sums(x) {
      const width = widthOf(x);
      const texts = tokens.bySequence(x, width); // [batch, sequence, d_model]
      const pads = tokens.op(
        'Concat',
        [tokens.integers(0, 0, 0, 0), missingAlone, tokens.integers(0)],
        'int64',
        [6],
        AXIS_0,
      );
      const whole = floats('Pad', [texts, pads], ['batch', 'whole', width]);
      const parts = tokens.op('Concat', [shape, tokens.integers(block, width)], 'int64', [4], AXIS_0);
      const parted = floats('Reshape', [whole, parts], ['batch', 'summaries', block, width]);
      const sums = floats('MatMul', [weights, parted], ['batch', 'summaries', 1, width]);
      const ofBlocks = floats('Squeeze', [sums, tokens.integers(2)], ['batch', 'summaries', width]);
      const rest = floats('MatMul', [late, texts], ['batch', 1, width]);
      const toLast = floats('Mul', [lastColumn, rest], ['batch', 'summaries', width]);
      const all = floats('Add', [ofBlocks, toLast], ['batch', 'summaries', width]);
      return tokens.reshape(all, [-1, width], ['summaries', width]);
    },
    offset: e.sub(e.k, e.lookup('blockOfQuery', e.batch, e.row)),
    attend: (options) =>
      b.attentionWithLse(options, undefined, {
        keys: { shape, mask: counts },
        parameters: { blockOfQuery: blockOfToken },
      }),
  };
}

const AXIS_0 = { axis: { type: 'int', value: 0 } } as const;
