import { popcount } from '../bitmap.ts';
import { BITMAP_WORDS, BLOCK_SIDE, FULL_BLOCK } from '../block-mask.ts';
import type { BlockGraph } from './block-graph.ts';
import { type Estimate, meanOverTokens, type TokenSample } from './estimate.ts';

export interface Clustering {
  /** Mean over all tokens of edges among neighbours / (d (d - 1) / 2), 0 for a degree d below 2 (Watts, Strogatz 1998). */
  readonly average: Estimate;
  /** 3 triangles / connected triples; 0 where there is no triple. Null where only sampled. */
  readonly transitivity: number | null;
}

/**
 * Clustering coefficients of the tokens of a sample. For each, its neighbours are written
 * as a row of bits, and each neighbour's row is counted against it: time proportional to the kept blocks of the
 * neighbours' rows.
 */
export function measureClustering(graph: BlockGraph, sample: TokenSample, degree: Uint32Array): Clustering {
  const { nodes, rows, bitmaps } = graph;
  const { tokens } = sample;
  const blocks = rows.rowStart.length - 1;
  const own = new Uint32Array(blocks * 2);
  const perBlock = new Uint8Array(blocks);
  const local: number[] = [];
  let closed = 0;
  let triples = 0;
  for (const token of tokens) {
    const i = Math.floor(token / BLOCK_SIDE);
    own.fill(0);
    perBlock.fill(0);
    eachBlockOfRow(graph, token, (j, low, high) => {
      own[j * 2] = low;
      own[j * 2 + 1] = high;
      perBlock[j] = popcount(low) + popcount(high);
    });
    let links = 0;
    for (let e = rows.rowStart[i] ?? 0; e < (rows.rowStart[i + 1] ?? 0); e++) {
      const j = rows.column[e] ?? 0;
      for (let half = 0; half < 2; half++) {
        for (let bits = own[j * 2 + half] ?? 0; bits !== 0; bits &= bits - 1) {
          links += countCommon(j * BLOCK_SIDE + half * 32 + 31 - Math.clz32(bits & -bits));
        }
      }
    }
    const d = degree[token] ?? 0;
    local.push(d < 2 ? 0 : links / (d * (d - 1)));
    closed += links;
    triples += d * (d - 1);
  }

  /** Neighbours of `neighbour` among the bits of `own`. */
  function countCommon(neighbour: number): number {
    const i = Math.floor(neighbour / BLOCK_SIDE);
    const row = (neighbour - i * BLOCK_SIDE) * 2;
    let common = 0;
    for (let e = rows.rowStart[i] ?? 0; e < (rows.rowStart[i + 1] ?? 0); e++) {
      const j = rows.column[e] ?? 0;
      const index = rows.bitmap[e] ?? FULL_BLOCK;
      if (perBlock[j] === 0) continue;
      if (index === FULL_BLOCK) {
        common += perBlock[j] ?? 0;
        continue;
      }
      const word = index * BITMAP_WORDS + row;
      common += popcount((bitmaps[word] ?? 0) & (own[j * 2] ?? 0));
      common += popcount((bitmaps[word + 1] ?? 0) & (own[j * 2 + 1] ?? 0));
    }
    return common;
  }

  const isAll = tokens.length === nodes;
  return {
    average: meanOverTokens(local, sample),
    transitivity: isAll ? (triples === 0 ? 0 : closed / triples) : null,
  };
}

/** The 64 bits of a token's row in each of its blocks, cut to the length. */
function eachBlockOfRow(
  { nodes, rows, bitmaps }: BlockGraph,
  token: number,
  visit: (block: number, low: number, high: number) => void,
): void {
  const i = Math.floor(token / BLOCK_SIDE);
  const row = (token - i * BLOCK_SIDE) * 2;
  for (let e = rows.rowStart[i] ?? 0; e < (rows.rowStart[i + 1] ?? 0); e++) {
    const j = rows.column[e] ?? 0;
    const index = rows.bitmap[e] ?? FULL_BLOCK;
    if (index === FULL_BLOCK) {
      const left = nodes - j * BLOCK_SIDE;
      visit(j, firstBits(left), firstBits(left - 32));
    } else {
      const word = index * BITMAP_WORDS + row;
      visit(j, bitmaps[word] ?? 0, bitmaps[word + 1] ?? 0);
    }
  }
}

function firstBits(count: number): number {
  if (count <= 0) return 0;
  return count >= 32 ? 0xffffffff : 2 ** count - 1;
}
