import { FarfieldError } from '../../../src/errors.ts';
import {
  type AttentionCost,
  attentionCost,
  type MaskStatistics,
  type PatternBlocks,
  patternBlocks,
  statistics,
} from '../../../src/mask/index.ts';
import { checkPatternFits, type Pattern, parsePattern, sinks } from '../../../src/pattern/index.ts';
import { isCausal } from '../engine/causality.ts';

/** What is asked: a pattern, and one layer's attention over n tokens. */
export interface CostQuestion {
  /** As parsePattern reads it. */
  readonly pattern: string;
  /** n, queries and keys. */
  readonly tokens: number;
  /** H. */
  readonly heads: number;
  /** D = E. */
  readonly width: number;
  /** Bytes of a number of q, k, v and the output. */
  readonly bytesPerNumber: number;
}

/** One set of pairs at one length, for all heads. */
export interface CostLine {
  readonly pairs: number;
  readonly flops: number;
  /** Between memory and kernel, forward. */
  readonly movedBytes: number;
  /** q, k, v, the output, lse and the mask: what kernels hold that stream over blocks. */
  readonly streamedBytes: number;
  /** q, k, v, the output, and the score of every pair: what an implementation holds that writes scores down. */
  readonly storedBytes: number;
}

export interface CostPoint {
  readonly tokens: number;
  /** Every pair, and every pair with k <= q. */
  readonly dense: CostLine;
  readonly causal: CostLine;
  /** Absent where the pattern cannot be had at this length, for `reason`. */
  readonly pattern?: CostLine;
  readonly reason?: string;
}

/** The figures at the page's own length, from statistics() and attentionCost() of the same blocks. */
export interface CostFigures {
  readonly point: CostPoint;
  readonly statistics: MaskStatistics;
  readonly cost: AttentionCost;
  /** Whether no query sees a later key. */
  readonly isCausal: boolean;
}

export type CostPart =
  | { readonly kind: 'figures'; readonly figures: CostFigures }
  | { readonly kind: 'point'; readonly point: CostPoint };

/** Lengths of the curve: powers of two. */
const LEAST_POWER = 6;
const MOST_POWER = 20;
/** Scattered patterns, whose blocks are looked at one by one, are left out of the curve beyond so many: each takes some seconds. */
export const MOST_BLOCKS = 2 ** 20;

/** The figures at `tokens`, then the curve from its shortest length on. Throws what patternBlocks throws at `tokens`. */
export function* costCurve(question: CostQuestion): Generator<CostPart> {
  const pattern = parsePattern(question.pattern);
  const figures = costFigures(pattern, question);
  yield { kind: 'figures', figures };
  yield { kind: 'point', point: figures.point };
  let blocks: [number, number] = [0, 0];
  const isScattered = !blocksFor(pattern, question.tokens, question.heads).rows.every((rows) => rows.countsSquares);
  for (let power = LEAST_POWER; power <= MOST_POWER; power++) {
    const tokens = 2 ** power;
    if (tokens === question.tokens) continue;
    const [before, last] = blocks;
    const expected = before === 0 ? last * 2 : last * Math.max(1, last / before);
    if (expected > MOST_BLOCKS && isScattered) {
      const reason = `its mask would keep more than ${MOST_BLOCKS.toLocaleString('en')} blocks, each to be looked at`;
      yield { kind: 'point', point: { ...densePoint(question, tokens), reason } };
      blocks = [last, expected];
      continue;
    }
    try {
      const counted = blocksFor(pattern, tokens, question.heads);
      blocks = [last, counted.rows.reduce((sum, rows) => sum + rows.total().kept, 0)];
      yield { kind: 'point', point: pointOf(counted, question, statistics(counted).bytes) };
    } catch (error) {
      if (!(error instanceof FarfieldError)) throw error;
      yield { kind: 'point', point: { ...densePoint(question, tokens), reason: error.message } };
    }
  }
}

/** Throws what patternBlocks throws, and PatternError for a pattern that is not meant for so many tokens. */
export function costFigures(pattern: Pattern, question: CostQuestion): CostFigures {
  const { tokens, heads } = question;
  const blocks = blocksFor(pattern, tokens, heads);
  const counted = statistics(blocks);
  return {
    point: pointOf(blocks, question, counted.bytes),
    statistics: counted,
    cost: compare(blocks, question).pattern,
    isCausal: isCausal(pattern, tokens, heads),
  };
}

/** Throws PatternError for a pattern that is not meant for so many tokens. */
function blocksFor(pattern: Pattern, tokens: number, heads: number): PatternBlocks {
  checkPatternFits(pattern, tokens);
  return patternBlocks(pattern, { queries: tokens, keys: tokens, heads });
}

function compare(mask: PatternBlocks, { width, bytesPerNumber }: CostQuestion): ReturnType<typeof attentionCost> {
  return attentionCost(mask, { queryWidth: width, bytesPerNumber });
}

function pointOf(mask: PatternBlocks, question: CostQuestion, maskBytes: number): CostPoint {
  const { pattern, dense, causal } = compare(mask, question);
  const line = (cost: AttentionCost, bytes: number) => lineOf(cost, mask.queries, question, bytes);
  return { tokens: mask.queries, dense: line(dense, 0), causal: line(causal, 0), pattern: line(pattern, maskBytes) };
}

/** A point without the pattern. */
function densePoint(question: CostQuestion, tokens: number): CostPoint {
  const nothing = patternBlocks(sinks(0), { queries: tokens, keys: tokens, heads: question.heads });
  const { pattern: _, ...point } = pointOf(nothing, question, 0);
  return point;
}

function lineOf(cost: AttentionCost, tokens: number, question: CostQuestion, maskBytes: number): CostLine {
  const { heads, width, bytesPerNumber } = question;
  const tensors = 4 * tokens * heads * width * bytesPerNumber;
  return {
    pairs: cost.pairs,
    flops: cost.forward.flops,
    movedBytes: cost.forward.bytes,
    streamedBytes: tensors + 4 * tokens * heads + maskBytes,
    storedBytes: tensors + cost.pairs * bytesPerNumber,
  };
}
