import { ArgumentError } from '../../errors.ts';
import type { BlockMask } from '../block-mask.ts';
import { degrees, directedGraph, undirectedGraph } from './block-graph.ts';
import { checkCount } from './check.ts';
import { measureClustering } from './clustering.ts';
import { countComponents } from './components.ts';
import { type Estimate, exactly, type TokenSample } from './estimate.ts';
import { Laplacian } from './laplacian.ts';
import { measurePaths } from './paths.ts';
import { sampleIntegers, seededRandom } from './random.ts';
import { estimateSpectralGap, exactSpectralGap } from './spectral-gap.ts';

/**
 * Measures of the graph that a mask makes of its tokens, as networkx defines them. Undirected: an edge between two different
 * tokens where one sees the other in some head. Directed: from a query to what it sees.
 */
export interface GraphMeasures {
  readonly nodes: number;
  readonly edges: number;
  readonly averageDegree: number;
  readonly minDegree: number;
  readonly maxDegree: number;
  readonly components: number;
  /** Mean edges of the shortest path over all ordered pairs of different tokens; null where some pair has none. */
  readonly averageShortestPath: Estimate | null;
  /** The same over the pairs that have one; null where none has. */
  readonly averageShortestPathReachable: Estimate | null;
  /** Largest and smallest eccentricity; null where the graph is not connected, or only sampled. */
  readonly diameter: number | null;
  readonly radius: number | null;
  /** Mean over all tokens of (edges among neighbours) / (d (d - 1) / 2), 0 for a degree d below 2. */
  readonly averageClustering: Estimate;
  /** 3 triangles / connected triples; null where only sampled. */
  readonly transitivity: number | null;
  /** Second smallest eigenvalue of I - D^-1/2 A D^-1/2: 0 where the graph is not connected. */
  readonly spectralGap: Estimate;
  readonly directed: {
    readonly edges: number;
    /** Ordered pairs of different tokens that a path leads through. */
    readonly reachablePairs: Estimate;
    /** Mean edges of the shortest path over them; null where there are none. */
    readonly averageShortestPath: Estimate | null;
    /** The layers until everything that can be reached has been; null where there is none, or only sampled. */
    readonly longestShortestPath: number | null;
  };
}

export interface GraphMeasureOptions {
  /** Most tokens for which paths and clustering are exact. Default 4096. */
  readonly exactLength?: number;
  /** Most tokens for which all eigenvalues are computed. Default 512. */
  readonly exactSpectrumLength?: number;
  /** Tokens that an estimate looks at. Default 64. */
  readonly samples?: number;
  /** The sample and the start of the eigenvalue search. Default 0. */
  readonly seed?: number;
  /** Is told what is measured next, for a line of progress. */
  readonly onStage?: (stage: GraphStage) => void;
}

/** The stages of graphMeasures(), in their order. */
export type GraphStage = 'edges' | 'components' | 'paths' | 'clustering' | 'directed paths' | 'spectral gap';

/**
 * Measures a mask with as many queries as keys. Exact up to a length; above it estimates from a seeded sample, with their
 * error. Degrees, edges and components are always exact. Memory proportional to the kept blocks and the length.
 *
 * Throws ArgumentError for an empty mask, one that is not square, or a bad option.
 */
export function graphMeasures(mask: BlockMask, options: GraphMeasureOptions = {}): GraphMeasures {
  const { exactLength = 4096, exactSpectrumLength = 512, samples = 64, seed = 0, onStage } = options;
  checkCount('graphMeasures exactLength', exactLength, 0);
  checkCount('graphMeasures exactSpectrumLength', exactSpectrumLength, 0);
  checkCount('graphMeasures samples', samples, 2);
  const nodes = mask.queries;
  if (nodes === 0) throw new ArgumentError('graphMeasures: the mask has no tokens, so there is nothing to measure');
  onStage?.('edges');
  const graph = undirectedGraph(mask);
  const arrows = directedGraph(mask);
  const degree = degrees(graph);
  const ends = sum(degree);
  const isSampled = nodes > Math.max(exactLength, samples);
  const everyToken = { tokens: Array.from(degree.keys()), certain: 0, population: nodes };
  const sample = isSampled ? drawTokens(degree, samples, seed) : everyToken;

  onStage?.('components');
  const components = countComponents(graph);
  const isConnected = components === 1;
  onStage?.('paths');
  const paths = measurePaths(graph, sample);
  onStage?.('clustering');
  const clustering = measureClustering(graph, sample, degree);
  onStage?.('directed paths');
  const along = measurePaths(arrows, sample);
  onStage?.('spectral gap');
  const laplacian = new Laplacian(graph, degree);
  const isWhole = !isSampled && isConnected;
  return {
    nodes,
    edges: ends / 2,
    averageDegree: ends / nodes,
    minDegree: degree.reduce((least, d) => Math.min(least, d), Infinity),
    maxDegree: degree.reduce((most, d) => Math.max(most, d), 0),
    components,
    averageShortestPath: isConnected ? paths.averageReachable : null,
    averageShortestPathReachable: paths.averageReachable,
    diameter: isWhole ? paths.longest : null,
    radius: isWhole ? paths.shortestEccentricity : null,
    averageClustering: clustering.average,
    transitivity: clustering.transitivity,
    spectralGap:
      !isConnected || nodes < 2
        ? exactly(0)
        : nodes <= exactSpectrumLength
          ? exactSpectralGap(laplacian)
          : estimateSpectralGap(laplacian, seed),
    directed: {
      edges: sum(degrees(arrows)),
      reachablePairs: along.reachablePairs,
      averageShortestPath: along.averageReachable,
      longestShortestPath: isSampled || along.longest === 0 ? null : along.longest,
    },
  };
}

/**
 * Tokens for an estimate. The few with very many neighbours (global tokens) are taken for certain, up to half the sample: a
 * draw would nearly always miss them, and not know what it missed.
 */
function drawTokens(degree: Uint32Array, samples: number, seed: number): TokenSample {
  const population = degree.length;
  const many = (4 * sum(degree)) / population;
  const hubs = Array.from(degree.keys())
    .filter((token) => (degree[token] ?? 0) > many)
    .sort((a, b) => (degree[b] ?? 0) - (degree[a] ?? 0) || a - b)
    .slice(0, samples >> 1);
  const isHub = new Set(hubs);
  const others = Array.from(degree.keys()).filter((token) => !isHub.has(token));
  const drawn = sampleIntegers(samples - hubs.length, others.length, seededRandom(seed)).map((i) => others[i] ?? 0);
  return { tokens: [...hubs, ...drawn], certain: hubs.length, population };
}

function sum(values: Uint32Array): number {
  return values.reduce((total, value) => total + value, 0);
}
