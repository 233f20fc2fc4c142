import { compileMask, type GraphMeasures, type GraphStage, graphMeasures } from '../../../src/mask/index.ts';
import { parsePattern } from '../../../src/pattern/index.ts';
import { checkBlocks } from '../engine/block-limit.ts';
import { type Connectivity, connectivity, type Distances, distances } from './connectivity.ts';
import { type RandomPoint, randomCurve, withRandomEdges } from './random-edges.ts';

/** Up to so many tokens all paths are measured; above it those from a seeded sample of 64. */
export const EXACT_TOKENS = 2048;
/** Up to so many tokens the spectral gap is that of all eigenvalues; above it a search for the one. */
export const EXACT_SPECTRUM_TOKENS = 256;
/** Most blocks of a mask that is made a graph, which takes several times their memory. */
const MOST_GRAPH_BLOCKS = 4_000_000;

interface GraphSubject {
  /** As parsePattern reads it. */
  readonly pattern: string;
  readonly tokens: number;
  readonly heads: number;
}

export type GraphQuestion =
  | (GraphSubject & { readonly kind: 'drawing'; readonly random: number; readonly from: number })
  | (GraphSubject & { readonly kind: 'measures'; readonly random: number })
  | (GraphSubject & { readonly kind: 'curve' });

export type GraphPart =
  | { readonly kind: 'drawing'; readonly drawing: Connectivity }
  | { readonly kind: 'stage'; readonly stage: GraphStage | 'distances' }
  | { readonly kind: 'measures'; readonly measures: GraphMeasures }
  | { readonly kind: 'distances'; readonly distances: Distances }
  | { readonly kind: 'point'; readonly point: RandomPoint };

/**
 * The parts of an answer go to `send` as they come, those that tell of progress too. Throws what parsePattern, compileMask and
 * graphMeasures throw.
 */
export function answerGraph(question: GraphQuestion, send: (part: GraphPart) => void): void {
  const { tokens, heads } = question;
  const pattern = parsePattern(question.pattern);
  const shape = { queries: tokens, keys: tokens, heads };
  if (question.kind === 'curve') {
    for (const point of randomCurve(pattern, { tokens, heads })) send({ kind: 'point', point });
    return;
  }
  checkBlocks(pattern, tokens, heads, MOST_GRAPH_BLOCKS, 'A graph');
  const own = compileMask(pattern, shape);
  const more =
    question.random === 0 ? own : compileMask(withRandomEdges(pattern, question.random, { tokens, heads }), shape);
  if (question.kind === 'drawing') {
    send({ kind: 'drawing', drawing: connectivity(own, question.from, more) });
    return;
  }
  const measures = graphMeasures(more, {
    exactLength: EXACT_TOKENS,
    exactSpectrumLength: EXACT_SPECTRUM_TOKENS,
    onStage: (stage) => send({ kind: 'stage', stage }),
  });
  send({ kind: 'measures', measures });
  send({ kind: 'stage', stage: 'distances' });
  send({ kind: 'distances', distances: distances(more, EXACT_TOKENS) });
}
