/** Holds the compiled mask, and answers the page's questions about it in the order in which they come. */
import { attentionCost, type BlockMask, compileMask, statistics } from '../../../src/mask/index.ts';
import { parsePattern } from '../../../src/pattern/index.ts';
import { crossAt } from './cross.ts';
import type { Answer, Question } from './questions.ts';
import { makeTile } from './tile.ts';

let mask: BlockMask | undefined;

self.addEventListener('message', ({ data }: MessageEvent<{ id: number; question: Question }>) => {
  const { id, question } = data;
  try {
    self.postMessage({ id, answer: answer(question) });
  } catch (error) {
    self.postMessage({ id, error: error instanceof Error ? error.message : String(error) });
  }
});

function answer(question: Question): Answer {
  if (question.kind === 'compile') {
    const { tokens, heads } = question;
    const compiled = compileMask(parsePattern(question.pattern), { queries: tokens, keys: tokens, heads });
    const { pattern, dense } = attentionCost(compiled);
    const { blocks } = statistics(compiled);
    mask = compiled;
    return { kind: 'compile', pattern, dense, blocks };
  }
  if (mask === undefined) throw new Error('the worker was asked before it had a pattern');
  if (question.kind === 'tile') {
    return { kind: 'tile', tile: makeTile(mask, question.head, question.level, question.column, question.row) };
  }
  return { kind: 'cross', cross: crossAt(mask, question.head, question.query, question.key) };
}
