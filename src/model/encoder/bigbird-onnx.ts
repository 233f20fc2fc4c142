/** What BigBird's blocks are in an exported graph, where a text's length is known when the file runs: see bigbird.ts. */
import type { Value } from '../../graph/index.ts';
import { blockLocal, type Pattern } from '../../pattern/index.ts';
import { type BigBirdBlocks, NO_ANSWER } from './bigbird.ts';
import type { GlobalTokenValues, OnnxTokens } from './onnx/tokens.ts';

/**
 * A block's neighbours are the pattern; the first and the last block are global tokens. Every random block is block 0, so the keys of
 * that block count 1 + r times: ln(1 + r) is added to their scores. In a short text every token is global.
 */
export function onnxBlocks(
  tokens: OnnxTokens,
  { block, random }: BigBirdBlocks,
): { readonly pattern: Pattern; readonly globals: GlobalTokenValues } {
  const { graph } = tokens;
  const scalar = (operator: string, ...inputs: Value[]) => tokens.op(operator, inputs, 'int64', []);
  const flags = (operator: string, ...inputs: Value[]) => tokens.op(operator, inputs, 'bool', ['sequence']);
  const isShort = graph.once('bigbird: is short', () =>
    tokens.op('LessOrEqual', [tokens.length, tokens.integer((5 + 2 * random) * block)], 'bool', []),
  );
  const mask = graph.once('bigbird: mask', () => {
    const last = scalar('Div', scalar('Sub', tokens.length, tokens.integer(1)), tokens.integer(block));
    const start = scalar('Mul', last, tokens.integer(block));
    const isFirst = flags('Less', tokens.sequence, tokens.integer(block));
    const isLast = flags('LessOrEqual', start, tokens.sequence);
    const isEnd = flags('Or', flags('Or', isFirst, isLast), isShort);
    return tokens.op('Unsqueeze', [isEnd, tokens.integers(0)], 'bool', [1, 'sequence']);
  });
  const places = graph.once('bigbird: places', () =>
    tokens.placesWhere(tokens.op('Squeeze', [mask, tokens.integers(0)], 'bool', ['sequence'])),
  );
  const bias = graph.once('bigbird: bias', () => {
    const isFirst = tokens.op('Less', [places, tokens.integer(block)], 'bool', ['places']);
    const isLong = tokens.op('Not', [isShort], 'bool', []);
    const counts = tokens.op('And', [isFirst, isLong], 'bool', ['places']);
    const number = (value: number) => graph.constant('float32', Float32Array.of(value), []);
    return tokens.op('Where', [counts, number(Math.log(1 + random)), number(0)], 'float32', ['places']);
  });
  return { pattern: blockLocal({ block, back: 1, ahead: 1 }), globals: { places, mask, bias, seeAll: true } };
}

/** Hides the question from an output [batch, sequence]: all tokens up to the first separator, but for the first token. */
export function onnxAnswers(tokens: OnnxTokens, output: Value, separator: number): Value {
  const { graph } = tokens;
  const shape = ['batch', 'sequence'];
  const hidden = graph.once('bigbird: question', () => {
    const ids = tokens.op('Reshape', [tokens.ids, tokens.shape], 'int64', shape);
    const isSeparator = tokens.op('Equal', [ids, tokens.integer(separator)], 'bool', shape);
    const numbers = tokens.op('Cast', [isSeparator], 'int32', shape, { to: { type: 'int', value: 6 } });
    const ends = tokens.op('ArgMax', [numbers], 'int64', ['batch', 1], { axis: { type: 'int', value: 1 } });
    const isBefore = tokens.op('LessOrEqual', [tokens.sequence, ends], 'bool', shape);
    const isLater = tokens.op('Less', [tokens.integer(0), tokens.sequence], 'bool', ['sequence']);
    const isQuestion = tokens.op('And', [isBefore, isLater], 'bool', shape);
    const number = (value: number) => graph.constant('float32', Float32Array.of(value), []);
    return tokens.op('Where', [isQuestion, number(NO_ANSWER), number(0)], 'float32', shape);
  });
  return tokens.op('Sub', [output, hidden], 'float32', shape);
}
