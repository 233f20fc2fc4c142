/** The rectangles of parts that list keys for each query: tables, groups, random draws. */
import type { Blocks } from '../pattern/kinds/block.ts';
import { type RandomBlocks, type RandomTokens, randomKeyBlocks, randomKeys } from '../pattern/kinds/random.ts';
import type { Groups } from '../pattern/kinds/sequence.ts';
import type { EmitRectangle, Rectangles } from './plan-scatter.ts';

/** Query block i of `block` tokens sees the key blocks that `keyBlocks(i)` lists. */
function tableRectangles(block: number, keyBlocks: (i: number) => readonly number[]): Rectangles {
  return (first, last, emit) => {
    for (let i = Math.max(0, Math.floor(first / block)); i * block <= last; i++) {
      emitRuns(i * block, (i + 1) * block - 1, block, keyBlocks(i), emit);
    }
  };
}

/** One rectangle for each run of neighbouring blocks. */
function emitRuns(q1: number, q2: number, block: number, listed: readonly number[], emit: EmitRectangle): void {
  const isAscending = listed.every((j, i) => i === 0 || j > (listed[i - 1] ?? 0));
  const sorted = isAscending ? listed : [...new Set(listed)].sort((a, b) => a - b);
  let start = 0;
  for (let i = 1; i <= sorted.length; i++) {
    if (i < sorted.length && sorted[i] === (sorted[i - 1] ?? 0) + 1) continue;
    emit(q1, q2, (sorted[start] ?? 0) * block, ((sorted[i - 1] ?? 0) + 1) * block - 1);
    start = i;
  }
}

export function blocksRectangles({ block, table }: Blocks): Rectangles {
  return tableRectangles(block, (i) => table[i] ?? []);
}

export function randomTokensRectangles(pattern: RandomTokens): Rectangles {
  return tableRectangles(1, (q) => randomKeys(pattern, q));
}

export function randomBlocksRectangles(pattern: RandomBlocks): Rectangles {
  return tableRectangles(pattern.block, (i) => randomKeyBlocks(pattern, i));
}

export function groupsRectangles({ ids }: Groups): Rectangles {
  const runs = new Map<number, [number, number][]>();
  for (let start = 0; start < ids.length; ) {
    const id = ids[start] ?? -1;
    let end = start + 1;
    while (end < ids.length && ids[end] === id) end++;
    if (id >= 0) {
      const known = runs.get(id);
      if (known === undefined) runs.set(id, [[start, end - 1]]);
      else known.push([start, end - 1]);
    }
    start = end;
  }
  return (first, last, emit) => {
    for (let q = Math.max(0, first); q <= last && q < ids.length; ) {
      const id = ids[q] ?? -1;
      const start = q;
      while (q <= last && ids[q] === id) q++;
      for (const [k1, k2] of runs.get(id) ?? []) emit(start, q - 1, k1, k2);
    }
  };
}
