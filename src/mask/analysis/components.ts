import { BITMAP_WORDS, BLOCK_SIDE, FULL_BLOCK } from '../block-mask.ts';
import type { BlockGraph } from './block-graph.ts';

/** The number of connected components of an undirected graph: union-find over its edges, whole blocks at once where full. */
export function countComponents({ nodes, rows, bitmaps }: BlockGraph): number {
  const parent = Uint32Array.from({ length: nodes }, (_, token) => token);
  let components = nodes;
  const root = (token: number): number => {
    let at = token;
    for (let up = parent[at] ?? at; up !== at; up = parent[at] ?? at) {
      parent[at] = parent[up] ?? up;
      at = up;
    }
    return at;
  };
  const join = (a: number, b: number): void => {
    const from = root(a);
    const to = root(b);
    if (from === to) return;
    parent[Math.max(from, to)] = Math.min(from, to);
    components--;
  };
  const isJoined = new Uint8Array(rows.rowStart.length);
  const joinBlock = (block: number): void => {
    if (isJoined[block] === 1) return;
    isJoined[block] = 1;
    const first = block * BLOCK_SIDE;
    for (let token = first + 1; token < Math.min(nodes, first + BLOCK_SIDE); token++) join(first, token);
  };
  for (let i = 0; i + 1 < rows.rowStart.length; i++) {
    const first = i * BLOCK_SIDE;
    for (let e = rows.rowStart[i] ?? 0; e < (rows.rowStart[i + 1] ?? 0); e++) {
      const j = rows.column[e] ?? 0;
      if (j > i) continue;
      const index = rows.bitmap[e] ?? FULL_BLOCK;
      if (index === FULL_BLOCK) {
        joinBlock(i);
        joinBlock(j);
        join(first, j * BLOCK_SIDE);
        continue;
      }
      if (isJoined[i] === 1 && isJoined[j] === 1 && root(first) === root(j * BLOCK_SIDE)) continue;
      for (let token = first; token < Math.min(nodes, first + BLOCK_SIDE); token++) {
        const word = index * BITMAP_WORDS + (token - first) * 2;
        for (let half = 0; half < 2; half++) {
          for (let bits = bitmaps[word + half] ?? 0; bits !== 0; bits &= bits - 1) {
            join(token, j * BLOCK_SIDE + half * 32 + 31 - Math.clz32(bits & -bits));
          }
        }
      }
    }
  }
  return components;
}
