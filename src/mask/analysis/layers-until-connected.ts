import type { Pattern } from '../../pattern/pattern.ts';
import { BITMAP_WORDS, BLOCK_SIDE, FULL_BLOCK } from '../block-mask.ts';
import { compileMask } from '../compile.ts';
import { type BlockGraph, degrees, directedGraph, reversedGraph } from './block-graph.ts';
import { checkCount } from './check.ts';
import { HopSearch, SOURCES } from './hop-search.ts';
import { sampleIntegers, seededRandom } from './random.ts';

/** How many layers it takes. Equal where that is known; both Infinity where no number of layers is enough. */
export interface LayersUntilConnected {
  readonly atLeast: number;
  readonly atMost: number;
}

/**
 * The number of layers after which every query depends on every token; for a pattern that never looks ahead, on every token
 * up to itself. Heads together see what any of them sees, and a token stays with itself through the residual connection.
 *
 * Exact up to `exactLength` tokens (default 4096): the longest of the shortest paths from a query to a key, from every
 * query. Above it, paths from 32 queries (the first, the middle, the last, and others by `seed`) give `atLeast`. `atMost` is
 * then the longest way to one token (the most seen, or the middle one) plus the longest on from it; for a long pattern that
 * never looks ahead no single token is on every way, and `atMost` is Infinity.
 *
 * Throws ArgumentError for a length that is not a positive integer, and what compileMask throws.
 */
export function layersUntilConnected(
  pattern: Pattern,
  options: {
    readonly length: number;
    readonly heads?: number;
    readonly exactLength?: number;
    readonly seed?: number;
  },
): LayersUntilConnected {
  const { length, heads = 1, exactLength = 4096, seed = 0 } = options;
  checkCount('layersUntilConnected length', length, 1);
  const mask = compileMask(pattern, { queries: length, keys: length, heads, length: Infinity });
  const graph = directedGraph(mask);
  const isCausal = !looksAhead(graph);
  const isExact = length <= Math.max(exactLength, SOURCES);
  const sources = isExact ? Array.from({ length }, (_, token) => token) : someSources(length, seed);
  const atLeast = farthestFrom(graph, sources, (token) => (isCausal ? token : length - 1));
  if (isExact || atLeast === Infinity) return { atLeast, atMost: atLeast };
  if (isCausal) return { atLeast, atMost: Infinity };
  const reversed = reversedGraph(mask);
  const seenBy = degrees(reversed);
  const mostSeen = seenBy.reduce((best, count, token) => (count > (seenBy[best] ?? 0) ? token : best), 0);
  const all = (): number => length - 1;
  const through = [mostSeen, length >> 1].map(
    (token) => farthestFrom(reversed, [token], all) + farthestFrom(graph, [token], all),
  );
  const atMost = Math.min(...through);
  return { atLeast: atMost === Infinity ? Infinity : atLeast, atMost };
}

/** The largest distance from a source; Infinity where one does not reach as many tokens as it should. */
function farthestFrom(graph: BlockGraph, sources: readonly number[], shouldReach: (token: number) => number): number {
  const search = new HopSearch(graph);
  let farthest = 0;
  for (let from = 0; from < sources.length; from += SOURCES) {
    const group = sources.slice(from, from + SOURCES);
    const hops = search.run(group);
    for (const [s, token] of group.entries()) {
      if ((hops.reached[s] ?? 0) < shouldReach(token)) return Infinity;
      farthest = Math.max(farthest, hops.farthest[s] ?? 0);
    }
  }
  return farthest;
}

function someSources(length: number, seed: number): number[] {
  const chosen = new Set([0, length >> 1, length - 1]);
  for (const token of sampleIntegers(SOURCES, length, seededRandom(seed))) {
    if (chosen.size < SOURCES) chosen.add(token);
  }
  return [...chosen];
}

/** Whether some edge leads to a later token. */
function looksAhead({ rows, bitmaps }: BlockGraph): boolean {
  for (let i = 0; i + 1 < rows.rowStart.length; i++) {
    for (let e = rows.rowStart[i] ?? 0; e < (rows.rowStart[i + 1] ?? 0); e++) {
      const j = rows.column[e] ?? 0;
      if (j > i) return true;
      const index = rows.bitmap[e] ?? FULL_BLOCK;
      if (j < i || index === FULL_BLOCK) continue;
      for (let r = 0; r < BLOCK_SIDE; r++) {
        const word = index * BITMAP_WORDS + r * 2;
        const low = r < 31 ? (bitmaps[word] ?? 0) >>> (r + 1) : 0;
        const high = (bitmaps[word + 1] ?? 0) >>> Math.max(0, r - 31);
        if (low !== 0 || (r < 63 && high !== 0)) return true;
      }
    }
  }
  return false;
}
