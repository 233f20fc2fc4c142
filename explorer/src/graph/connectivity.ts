import { type BlockGraph, directedGraph, undirectedGraph } from '../../../src/mask/analysis/block-graph.ts';
import { HopSearch, SOURCES } from '../../../src/mask/analysis/hop-search.ts';
import { sampleIntegers, seededRandom } from '../../../src/mask/analysis/random.ts';
import { BITMAP_WORDS, BLOCK_SIDE, type BlockMask, FULL_BLOCK } from '../../../src/mask/index.ts';

/** Up to so many tokens the drawing has all of them, and all their edges. */
export const MOST_TOKENS_DRAWN = 96;
/** Of a longer text: so many tokens, evenly spaced, and for each at most so many of the keys that it reads. */
const SAMPLED_TOKENS = 64;
const SAMPLED_EDGES = 32;

/** What is drawn of a mask's graph. */
export interface Connectivity {
  readonly tokens: number;
  /** The tokens that are drawn, ascending. */
  readonly nodes: Uint32Array;
  /** Pairs (query, key) of different tokens, in which the query is one of `nodes`; the heads together. */
  readonly edges: Uint32Array;
  /** The same of the pairs that the second mask has more. */
  readonly added: Uint32Array;
  /** Whether these are all edges of the nodes. */
  readonly isWhole: boolean;
  /** All edges of all tokens, in the direction of reading; those of the second mask, if any. */
  readonly edgeCount: number;
  /** For each of `nodes`, its distance from `from` in edges either way; 255 where there is no path, 254 for that and more. */
  readonly hops: Uint8Array;
  /** Tokens at distance 0, 1, 2, ... from `from`. */
  readonly byHop: readonly number[];
  readonly unreached: number;
}

/** The edges of a mask, and of a second one that has more, as far as a drawing can hold them. */
export function connectivity(mask: BlockMask, from: number, more: BlockMask = mask): Connectivity {
  const tokens = mask.queries;
  const isWhole = tokens <= MOST_TOKENS_DRAWN;
  const nodes = isWhole ? Uint32Array.from({ length: tokens }, (_, i) => i) : evenly(tokens, from);
  const own = directedGraph(mask);
  const second = more === mask ? own : directedGraph(more);
  const [edges, added]: [number[], number[]] = [[], []];
  let isCut = false;
  for (const token of nodes) {
    const before = neighbours(own, token);
    const known = new Set(before);
    const fresh = second === own ? [] : neighbours(second, token).filter((key) => !known.has(key));
    for (const [keys, list] of [
      [before, edges],
      [fresh, added],
    ] as const) {
      const kept = isWhole ? keys : spread(keys, SAMPLED_EDGES);
      if (kept.length < keys.length) isCut = true;
      for (const key of kept) list.push(token, key);
    }
  }
  return {
    tokens,
    nodes,
    edges: Uint32Array.from(edges),
    added: Uint32Array.from(added),
    isWhole: isWhole && !isCut,
    edgeCount: countEdges(second),
    ...hopsFrom(undirectedGraph(more), from, nodes),
  };
}

/** Evenly spaced tokens, and the one that hops are counted from. */
function evenly(tokens: number, from: number): Uint32Array {
  const last = SAMPLED_TOKENS - 1;
  const spaced = Array.from({ length: SAMPLED_TOKENS }, (_, i) => Math.round((i * (tokens - 1)) / last));
  return Uint32Array.from(new Set([...spaced, from])).sort();
}

/** At most `most` of the items, evenly spaced, the first and the last among them. */
function spread(items: readonly number[], most: number): readonly number[] {
  if (items.length <= most) return items;
  return Array.from({ length: most }, (_, i) => items[Math.round((i * (items.length - 1)) / (most - 1))]);
}

/** The nodes that a node has edges to, ascending. */
function neighbours({ nodes, rows, bitmaps }: BlockGraph, node: number): number[] {
  const found: number[] = [];
  const i = Math.floor(node / BLOCK_SIDE);
  for (let e = rows.rowStart[i]; e < rows.rowStart[i + 1]; e++) {
    const first = rows.column[e] * BLOCK_SIDE;
    const end = Math.min(BLOCK_SIDE, nodes - first);
    const word = rows.bitmap[e] * BITMAP_WORDS + (node - i * BLOCK_SIDE) * 2;
    for (let k = 0; k < end; k++) {
      const isSet = rows.bitmap[e] === FULL_BLOCK || ((bitmaps[word + (k >>> 5)] >>> (k & 31)) & 1) === 1;
      if (isSet) found.push(first + k);
    }
  }
  return found;
}

function countEdges({ nodes, rows, bitmaps }: BlockGraph): number {
  const ofBitmap = new Map<number, number>();
  let count = 0;
  for (let i = 0; i + 1 < rows.rowStart.length; i++) {
    const height = Math.min(BLOCK_SIDE, nodes - i * BLOCK_SIDE);
    for (let e = rows.rowStart[i]; e < rows.rowStart[i + 1]; e++) {
      const index = rows.bitmap[e];
      if (index === FULL_BLOCK) {
        count += height * Math.min(BLOCK_SIDE, nodes - rows.column[e] * BLOCK_SIDE);
        continue;
      }
      let own = ofBitmap.get(index);
      if (own === undefined) {
        own = 0;
        for (let w = index * BITMAP_WORDS; w < (index + 1) * BITMAP_WORDS; w++)
          for (let bits = bitmaps[w]; bits !== 0; bits &= bits - 1) own++;
        ofBitmap.set(index, own);
      }
      count += own;
    }
  }
  return count;
}

function hopsFrom(
  graph: BlockGraph,
  from: number,
  nodes: Uint32Array,
): Pick<Connectivity, 'hops' | 'byHop' | 'unreached'> {
  const hops = new Uint8Array(nodes.length).fill(255);
  for (const [place, node] of nodes.entries()) if (node === from) hops[place] = 0;
  const byHop = [1];
  const search = new HopSearch(graph);
  search.run([from], Infinity, (fresh) => {
    byHop.push(fresh);
    const hop = Math.min(254, byHop.length - 1);
    for (const [place, node] of nodes.entries()) {
      if (hops[place] === 255 && search.hasReached(node)) hops[place] = hop;
    }
  });
  return { hops, byHop, unreached: graph.nodes - byHop.reduce((sum, count) => sum + count) };
}

/** The share of ordered pairs of different tokens at each distance. */
export interface Distances {
  /** shares[h - 1]: at distance h. */
  readonly shares: readonly number[];
  /** Pairs without a path. */
  readonly unreached: number;
  /** Tokens that the search began at: all of them, or a seeded sample. */
  readonly sources: number;
}

/** How far tokens are from each other in the undirected graph: from all of up to `exactLength` tokens, else from 64 drawn ones. */
export function distances(mask: BlockMask, exactLength: number, seed = 0): Distances {
  const graph = undirectedGraph(mask);
  const { nodes } = graph;
  const sources =
    nodes <= exactLength
      ? Array.from({ length: nodes }, (_, i) => i)
      : sampleIntegers(SAMPLED_TOKENS, nodes, seededRandom(seed));
  const counts: number[] = [];
  const search = new HopSearch(graph);
  for (let at = 0; at < sources.length; at += SOURCES) {
    let hop = 0;
    search.run(sources.slice(at, at + SOURCES), Infinity, (fresh) => {
      counts[hop] = (counts[hop] ?? 0) + fresh;
      hop++;
    });
  }
  const all = sources.length * (nodes - 1);
  const shares = counts.map((count) => count / all);
  return { shares, unreached: Math.max(0, 1 - shares.reduce((sum, share) => sum + share, 0)), sources: sources.length };
}
