/** Holds the compiled mask, and answers the page's questions in the order in which they come. */
import { attentionCost, drawPng, drawSvg, statistics } from '../../../src/mask/index.ts';
import { checkPatternFits, type Pattern, parsePattern } from '../../../src/pattern/index.ts';
import { type Blocks, blocksOf } from './block-limit.ts';
import { connectedOf } from './connected.ts';
import { crossAt } from './cross.ts';
import type { Answer, Question } from './questions.ts';
import { reachOf } from './reach.ts';
import { makeTile, TILE_SIDE } from './tile.ts';

let mask: Blocks | undefined;

self.addEventListener('message', ({ data }: MessageEvent<{ id: number; question: Question }>) => {
  const { id, question } = data;
  try {
    self.postMessage({ id, answer: answer(question) });
  } catch (error) {
    self.postMessage({ id, error: error instanceof Error ? error.message : String(error) });
  }
});

function answer(question: Question): Answer {
  switch (question.kind) {
    case 'compile': {
      const pattern = parsePattern(question.pattern);
      const compiled = blocksOf(pattern, question.tokens, question.heads);
      const { pattern: cost, dense } = attentionCost(compiled);
      const { blocks, pairsPerHead } = statistics(compiled);
      mask = compiled;
      const misfit = misfitOf(pattern, question.tokens);
      return { kind: 'compile', pattern: cost, dense, blocks, pairsPerHead, headRows: [...compiled.headRows], misfit };
    }
    case 'tile':
      return { kind: 'tile', tile: makeTile(held(), question.head, question.level, question.column, question.row) };
    case 'cross':
      return { kind: 'cross', cross: crossAt(held(), question.head, question.query, question.key, question.mostRuns) };
    case 'file': {
      const { head, size, format } = question;
      const content =
        format === 'png' ? new Uint8Array(drawPng(held(), { head, size })) : drawSvg(held(), { head, size });
      return { kind: 'file', content };
    }
    case 'picture': {
      const { tokens, cells, head } = question;
      const level = Math.max(0, Math.ceil(Math.log2(tokens / Math.min(cells, TILE_SIDE))));
      const tile = makeTile(blocksOf(parsePattern(question.pattern), tokens, question.heads), head, level, 0, 0);
      return { kind: 'picture', tile, cells: Math.ceil(tokens / 2 ** level) };
    }
    case 'reach': {
      const { tokens, heads, query, layers } = question;
      const patterns = question.patterns.map((text) => parsePattern(text));
      return { kind: 'reach', reach: reachOf(patterns, { length: tokens, heads, query, layers }) };
    }
    case 'connected': {
      const { tokens, heads } = question;
      return { kind: 'connected', connected: connectedOf(parsePattern(question.pattern), tokens, heads) };
    }
  }
}

function misfitOf(pattern: Pattern, tokens: number): string | undefined {
  try {
    checkPatternFits(pattern, tokens);
    return undefined;
  } catch (error) {
    return error instanceof Error ? error.message : String(error);
  }
}

function held(): Blocks {
  if (mask === undefined) throw new Error('the worker was asked before it had a pattern');
  return mask;
}
