import type { BlockGraph } from './block-graph.ts';
import { type Estimate, meanOfSample } from './estimate.ts';
import { HopSearch, SOURCES } from './hop-search.ts';

export interface PathMeasures {
  /** Mean number of edges over all ordered pairs of different tokens that have a path; 0 where there is none. */
  readonly averageReachable: Estimate;
  /** Ordered pairs of different tokens that have a path: exact where all tokens are sources, else scaled up. */
  readonly reachablePairs: Estimate;
  /** The largest and the smallest eccentricity of the sources, counted over what each reaches. */
  readonly longest: number;
  readonly shortestEccentricity: number;
}

/** Shortest paths from `sources` to everything. Means are over the sources and estimate those over all tokens. */
export function measurePaths(graph: BlockGraph, sources: readonly number[]): PathMeasures {
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
  const meanReached = meanOfSample(reached, graph.nodes);
  return {
    averageReachable: ratioOfSums(sums, reached, graph.nodes),
    reachablePairs: { value: meanReached.value * graph.nodes, error: meanReached.error * graph.nodes },
    longest,
    shortestEccentricity: sources.length === 0 ? 0 : shortestEccentricity,
  };
}

/**
 * Sum of numerators over sum of denominators, with the standard error of a ratio estimate: that of the mean of the
 * residuals y - R x, over the mean of x (Cochran, Sampling Techniques, section 2.11).
 */
function ratioOfSums(numerators: readonly number[], denominators: readonly number[], population: number): Estimate {
  const sum = (values: readonly number[]): number => values.reduce((total, value) => total + value, 0);
  const whole = sum(denominators);
  if (whole === 0) return { value: 0, error: 0 };
  const value = sum(numerators) / whole;
  const residuals = numerators.map((y, i) => y - value * (denominators[i] ?? 0));
  return { value, error: meanOfSample(residuals, population).error / (whole / denominators.length) };
}
