import type { BlockGraph } from './block-graph.ts';
import { type Estimate, meanOverTokens, ratioOverTokens, type TokenSample } from './estimate.ts';
import { HopSearch, SOURCES } from './hop-search.ts';

export interface PathMeasures {
  /** Mean number of edges over all ordered pairs of different tokens that have a path; null where none has. */
  readonly averageReachable: Estimate | null;
  /** Ordered pairs of different tokens that have a path: exact where all tokens are sources, else scaled up. */
  readonly reachablePairs: Estimate;
  /** The largest and the smallest eccentricity of the sources, counted over what each reaches. */
  readonly longest: number;
  readonly shortestEccentricity: number;
}

/** Shortest paths from the tokens of a sample to everything. */
export function measurePaths(graph: BlockGraph, sample: TokenSample): PathMeasures {
  const { tokens: sources, population } = sample;
  const search = new HopSearch(graph);
  const reached: number[] = [];
  const sums: number[] = [];
  let longest = 0;
  let shortestEccentricity = Infinity;
  for (let from = 0; from < sources.length; from += SOURCES) {
    const group = sources.slice(from, from + SOURCES);
    const hops = search.run(group);
    reached.push(...hops.reached);
    sums.push(...hops.sum);
    longest = Math.max(longest, ...hops.farthest);
    shortestEccentricity = Math.min(shortestEccentricity, ...hops.farthest);
  }
  const meanReached = meanOverTokens(reached, sample);
  return {
    averageReachable: ratioOverTokens(sums, reached, sample),
    reachablePairs: { value: meanReached.value * population, error: meanReached.error * population },
    longest,
    shortestEccentricity: sources.length === 0 ? 0 : shortestEccentricity,
  };
}
