import { popcount } from './bitmap.ts';
import { BLOCK_SIDE, type BlockMask } from './block-mask.ts';
import { type BlockLook, FULL_LOOK, isCompiledMask, readerOfHead } from './block-reader.ts';
import { blocksOfHead, type HeadBlocks, type PatternBlocks } from './pattern-blocks.ts';

/** A mask seen through a grid of cells, for drawing. */
export interface CellGrid {
  readonly rows: number;
  readonly columns: number;
  /** Allowed pairs over pairs of each cell [rows, columns], exact: 0 means none, 1 all. */
  readonly density: Float64Array;
  /** Full blocks that touch each cell, less the partial ones. */
  readonly balance: Float64Array;
  /** Tokens at which cells begin: cell row r covers queries rowEdge[r] .. rowEdge[r + 1]. */
  readonly rowEdge: Float64Array;
  readonly columnEdge: Float64Array;
}

/**
 * Divides the N x M pairs of one head into rows x columns cells (at most one per pair) of nearly equal size and counts the
 * allowed pairs in each. Time proportional to kept blocks plus cells.
 */
export function cellGrid(mask: BlockMask | PatternBlocks, head: number, rows: number, columns: number): CellGrid {
  return gridFromEdges(mask, head, evenEdges(mask.queries, rows), evenEdges(mask.keys, columns));
}

/**
 * As cellGrid, with cells of `side` x `side` tokens, those at the end cut short. Where blocks are not stored and `side` is T times a
 * power of two, cells are counted by what looks alike.
 */
export function squareGrid(mask: BlockMask | PatternBlocks, head: number, side: number): CellGrid {
  if (!isCompiledMask(mask) && side >= BLOCK_SIDE && Number.isInteger(Math.log2(side))) {
    const blocks = blocksOfHead(mask, head);
    if (blocks.countsSquares) return countedGrid(mask, blocks, side);
  }
  return gridFromEdges(mask, head, stepEdges(mask.queries, side), stepEdges(mask.keys, side));
}

function evenEdges(length: number, cells: number): Float64Array {
  const count = Math.max(0, Math.min(length, cells));
  return Float64Array.from({ length: count + 1 }, (_, i) => (count === 0 ? 0 : Math.floor((i * length) / count)));
}

function stepEdges(length: number, side: number): Float64Array {
  return Float64Array.from({ length: Math.ceil(length / side) + 1 }, (_, i) => Math.min(length, i * side));
}

function gridFromEdges(
  mask: BlockMask | PatternBlocks,
  head: number,
  rowEdge: Float64Array,
  columnEdge: Float64Array,
): CellGrid {
  const reader = readerOfHead(mask, head);
  const rows = rowEdge.length - 1;
  const columns = columnEdge.length - 1;
  const density = new Float64Array(rows * columns);
  const balance = new Float64Array(rows * columns);
  let top = 0;
  for (let i = 0; i * BLOCK_SIDE < mask.queries; i++) {
    const q0 = i * BLOCK_SIDE;
    const q1 = Math.min(mask.queries, q0 + BLOCK_SIDE);
    while (at(rowEdge, top + 1) <= q0) top++;
    const rowsIn = (take: (r: number, first: number, last: number) => void): void => {
      for (let r = top; r < rows && at(rowEdge, r) < q1; r++)
        take(r, Math.max(q0, at(rowEdge, r)) - q0, Math.min(q1, at(rowEdge, r + 1)) - q0);
    };
    let left = 0;
    const add = (k0: number, k1: number, look: BlockLook): void => {
      left = cellOf(columnEdge, k0, left);
      const sign = look === FULL_LOOK ? 1 : -1;
      if (look !== FULL_LOOK && at(rowEdge, top + 1) >= q1 && at(columnEdge, left + 1) >= k1) {
        density[top * columns + left] += look.pairs;
        balance[top * columns + left] += sign;
        return;
      }
      rowsIn((r, first, last) => {
        for (let c = left; c < columns && at(columnEdge, c) < k1; c++) {
          const low = Math.max(k0, at(columnEdge, c)) - k0;
          const high = Math.min(k1, at(columnEdge, c + 1)) - k0;
          balance[r * columns + c] += sign * (Math.ceil(high / BLOCK_SIDE) - Math.floor(low / BLOCK_SIDE));
          density[r * columns + c] +=
            look === FULL_LOOK
              ? (last - first) * (high - low)
              : countRectangle(look.words, look.start, first, last, low, high);
        }
      });
    };
    reader.row(i, 0, Math.ceil(mask.keys / BLOCK_SIDE), (first, end, look) => {
      if (look === FULL_LOOK) add(first * BLOCK_SIDE, end * BLOCK_SIDE, look);
      else for (let j = first; j < end; j++) add(j * BLOCK_SIDE, Math.min(mask.keys, (j + 1) * BLOCK_SIDE), look);
    });
  }
  divideByArea(density, rowEdge, columnEdge);
  return { rows, columns, density, balance, rowEdge, columnEdge };
}

function countedGrid({ queries, keys }: PatternBlocks, blocks: HeadBlocks, side: number): CellGrid {
  const [rowEdge, columnEdge] = [stepEdges(queries, side), stepEdges(keys, side)];
  const [rows, columns] = [rowEdge.length - 1, columnEdge.length - 1];
  const density = new Float64Array(rows * columns);
  const balance = new Float64Array(rows * columns);
  for (let r = 0; r < rows; r++) {
    for (let c = 0; c < columns; c++) {
      const { pairs, full, kept } = blocks.count(r * side, c * side, side);
      density[r * columns + c] = pairs;
      balance[r * columns + c] = 2 * full - kept;
    }
  }
  divideByArea(density, rowEdge, columnEdge);
  return { rows, columns, density, balance, rowEdge, columnEdge };
}

function divideByArea(density: Float64Array, rowEdge: Float64Array, columnEdge: Float64Array): void {
  const columns = columnEdge.length - 1;
  for (let r = 0; r + 1 < rowEdge.length; r++) {
    for (let c = 0; c < columns; c++) {
      const area = (at(rowEdge, r + 1) - at(rowEdge, r)) * (at(columnEdge, c + 1) - at(columnEdge, c));
      density[r * columns + c] = (density[r * columns + c] ?? 0) / area;
    }
  }
}

/** The cell that holds token `token`, by bisection from cell `from` on. */
function cellOf(edge: Float64Array, token: number, from: number): number {
  let low = from;
  let high = edge.length - 2;
  while (low < high) {
    const middle = (low + high + 1) >>> 1;
    if (at(edge, middle) <= token) low = middle;
    else high = middle - 1;
  }
  return low;
}

/** Set bits of a bitmap in rows [first, last) and columns [low, high). */
function countRectangle(
  words: Uint32Array,
  start: number,
  first: number,
  last: number,
  low: number,
  high: number,
): number {
  const masks = [columnMask(low, high), columnMask(low - 32, high - 32)];
  let count = 0;
  for (let row = first; row < last; row++) {
    count += popcount((words[start + row * 2] ?? 0) & (masks[0] ?? 0));
    count += popcount((words[start + row * 2 + 1] ?? 0) & (masks[1] ?? 0));
  }
  return count;
}

function columnMask(low: number, high: number): number {
  const first = Math.max(0, low);
  const last = Math.min(32, high);
  return first >= last ? 0 : (0xffffffff >>> (32 - last)) & (0xffffffff << first);
}

function at(edge: Float64Array, index: number): number {
  return edge[index] ?? Infinity;
}
