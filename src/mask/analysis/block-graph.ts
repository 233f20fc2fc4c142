import { counted } from '../../counted.ts';
import { ArgumentError } from '../../errors.ts';
import { BitmapStore, EMPTY_BLOCK } from '../bitmap.ts';
import { BITMAP_WORDS, BLOCK_SIDE, type BlockMask, type BlockRows, FULL_BLOCK } from '../block-mask.ts';
import { maskOfBatchEntry } from '../read.ts';
import { transpose } from '../transpose.ts';

/**
 * A mask seen as a graph over tokens: node i has an edge to node j where bit j of its row is set. No node has an edge to
 * itself, so blocks on the diagonal are never full. Stored like a mask, in memory proportional to the kept blocks.
 */
export interface BlockGraph {
  readonly nodes: number;
  readonly rows: BlockRows;
  readonly bitmaps: Uint32Array;
}

const MAX_BITMAPS = 2 ** 22;

/** Ascending blocks of one block row: entry e is in column `column[e]`, its bitmap by index, as it is or transposed. */
interface Source {
  readonly start: Uint32Array;
  readonly column: Uint32Array;
  readonly bitmap: Int32Array;
  readonly isTransposed: boolean;
}

/** An edge from each query to every other token that it sees in some head. Throws ArgumentError unless N = M, offset 0. */
export function directedGraph(mask: BlockMask): BlockGraph {
  checkSquare(mask);
  return merge(mask, forwardSources(mask));
}

/** An edge from each token to every other that sees it in some head. Throws ArgumentError unless N = M, offset 0. */
export function reversedGraph(mask: BlockMask): BlockGraph {
  checkSquare(mask);
  return merge(mask, backwardSources(mask));
}

/** An edge between two different tokens where one sees the other in some head. Throws ArgumentError unless N = M, offset 0. */
export function undirectedGraph(mask: BlockMask): BlockGraph {
  checkSquare(mask);
  return merge(mask, [...forwardSources(mask), ...backwardSources(mask)]);
}

function forwardSources(mask: BlockMask): Source[] {
  return mask.rows.map(({ rowStart, column, bitmap }) => ({ start: rowStart, column, bitmap, isTransposed: false }));
}

function backwardSources(mask: BlockMask): Source[] {
  return transpose(mask).map(({ columnStart, row, bitmap }) => ({
    start: columnStart,
    column: row,
    bitmap,
    isTransposed: true,
  }));
}

function checkSquare(mask: BlockMask): void {
  const { queries, keys, queryOffset } = maskOfBatchEntry(mask);
  if (queries === keys && queryOffset === 0) return;
  throw new ArgumentError(
    `a graph over tokens needs as many queries as keys, each at the same position; the mask has ${counted(queries, 'query', 'queries')} ` +
      `from position ${queryOffset} on, and ${counted(keys, 'key')}`,
  );
}

/** The union of the sources without the diagonal, block by block. */
function merge(mask: BlockMask, sources: readonly Source[]): BlockGraph {
  const blocks = Math.ceil(mask.queries / BLOCK_SIDE);
  const rowStart = new Uint32Array(blocks + 1);
  const column: number[] = [];
  const bitmap: number[] = [];
  const store = new BitmapStore(MAX_BITMAPS);
  const scratch = new Uint32Array(BITMAP_WORDS);
  const transposed = new TransposedBitmaps(mask.bitmaps);
  const at = new Uint32Array(sources.length);
  for (let i = 0; i < blocks; i++) {
    for (const [s, { start }] of sources.entries()) at[s] = start[i] ?? 0;
    for (;;) {
      let j = Infinity;
      for (const [s, { start, column }] of sources.entries()) {
        const e = at[s] ?? 0;
        if (e < (start[i + 1] ?? 0)) j = Math.min(j, column[e] ?? Infinity);
      }
      if (j === Infinity) break;
      let isFull = false;
      scratch.fill(0);
      for (const [s, { start, column, bitmap, isTransposed }] of sources.entries()) {
        const e = at[s] ?? 0;
        if (e >= (start[i + 1] ?? 0) || column[e] !== j) continue;
        at[s] = e + 1;
        const index = bitmap[e] ?? FULL_BLOCK;
        if (index === FULL_BLOCK) isFull = true;
        else if (!isFull) or(scratch, isTransposed ? transposed.get(index) : bitmapAt(mask.bitmaps, index));
      }
      if (isFull) scratch.fill(0xffffffff);
      if (i === j) clearDiagonal(scratch);
      const index = isFull && i !== j ? FULL_BLOCK : store.add(scratch);
      if (index === EMPTY_BLOCK) continue;
      column.push(j);
      bitmap.push(index);
    }
    rowStart[i + 1] = column.length;
  }
  const rows = { rowStart, column: Uint32Array.from(column), bitmap: Int32Array.from(bitmap) };
  return { nodes: mask.queries, rows, bitmaps: store.words() };
}

class TransposedBitmaps {
  readonly #bitmaps: Uint32Array;
  readonly #known = new Map<number, Uint32Array>();

  constructor(bitmaps: Uint32Array) {
    this.#bitmaps = bitmaps;
  }

  get(index: number): Uint32Array {
    const known = this.#known.get(index);
    if (known !== undefined) return known;
    const own = bitmapAt(this.#bitmaps, index);
    const result = new Uint32Array(BITMAP_WORDS);
    for (let row = 0; row < BLOCK_SIDE; row++) {
      for (let half = 0; half < 2; half++) {
        for (let bits = own[row * 2 + half] ?? 0; bits !== 0; bits &= bits - 1) {
          const column = half * 32 + 31 - Math.clz32(bits & -bits);
          const word = column * 2 + (row >>> 5);
          result[word] = (result[word] ?? 0) | (1 << (row & 31));
        }
      }
    }
    this.#known.set(index, result);
    return result;
  }
}

function bitmapAt(bitmaps: Uint32Array, index: number): Uint32Array {
  return bitmaps.subarray(index * BITMAP_WORDS, (index + 1) * BITMAP_WORDS);
}

function or(target: Uint32Array, bits: Uint32Array): void {
  for (let i = 0; i < BITMAP_WORDS; i++) target[i] = (target[i] ?? 0) | (bits[i] ?? 0);
}

function clearDiagonal(bitmap: Uint32Array): void {
  for (let row = 0; row < BLOCK_SIDE; row++) {
    const word = row * 2 + (row >>> 5);
    bitmap[word] = (bitmap[word] ?? 0) & ~(1 << (row & 31));
  }
}

/** The number of edges that start at each node. */
export function degrees({ nodes, rows, bitmaps }: BlockGraph): Uint32Array {
  const result = new Uint32Array(nodes);
  const ofBitmap = new Map<number, Uint8Array>();
  for (let i = 0; i + 1 < rows.rowStart.length; i++) {
    const first = i * BLOCK_SIDE;
    const count = Math.min(BLOCK_SIDE, nodes - first);
    for (let e = rows.rowStart[i] ?? 0; e < (rows.rowStart[i + 1] ?? 0); e++) {
      const index = rows.bitmap[e] ?? FULL_BLOCK;
      const own = index === FULL_BLOCK ? undefined : (ofBitmap.get(index) ?? rowCounts(bitmaps, index));
      if (own !== undefined) ofBitmap.set(index, own);
      for (let r = 0; r < count; r++) result[first + r] = (result[first + r] ?? 0) + (own?.[r] ?? BLOCK_SIDE);
    }
  }
  return result;
}

function rowCounts(bitmaps: Uint32Array, index: number): Uint8Array {
  const own = bitmapAt(bitmaps, index);
  return Uint8Array.from({ length: BLOCK_SIDE }, (_, row) => {
    let count = 0;
    for (let half = 0; half < 2; half++) {
      for (let bits = own[row * 2 + half] ?? 0; bits !== 0; bits &= bits - 1) count++;
    }
    return count;
  });
}
