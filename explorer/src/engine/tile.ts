import {
  BLOCK_SIDE,
  blocksOfHead,
  FULL_LOOK,
  type HeadBlocks,
  isCompiledMask,
  readerOfHead,
} from '../../../src/mask/index.ts';
import type { Blocks } from './block-limit.ts';

/** Cells along a side of a tile. */
export const TILE_SIDE = 256;

/** A tile of the picture: TILE_SIDE x TILE_SIDE cells of 2^level x 2^level pairs, row by row. */
export interface Tile {
  /** Share of allowed pairs: 0 for none, 255 for all, 1 to 254 between. Pairs outside the mask do not count. */
  readonly share: Uint8Array;
  /** 1 where an allowed pair of the cell lies in a partial block. */
  readonly isPartial: Uint8Array;
}

/** Where a tile lies, cut at the end of the mask. */
interface Area {
  readonly cell: number;
  readonly top: number;
  readonly left: number;
  readonly bottom: number;
  readonly right: number;
}

/**
 * Tile (column, row) of one level of the pyramid. Time proportional to the kept blocks in the tile, the rows of blocks that it
 * crosses, and its cells; nothing outside it is read. Where the blocks of a regular pattern are not stored, cells of whole
 * blocks are counted by what looks alike, and take no longer for being dense.
 */
export function makeTile(blocks: Blocks, head: number, level: number, column: number, row: number): Tile {
  const cell = 2 ** level;
  const span = TILE_SIDE * cell;
  const [top, left] = [row * span, column * span];
  const [bottom, right] = [Math.min(blocks.queries, top + span), Math.min(blocks.keys, left + span)];
  const area = { cell, top, left, bottom, right };
  const counts = new Float64Array(TILE_SIDE * TILE_SIDE);
  const isPartial = new Uint8Array(TILE_SIDE * TILE_SIDE);
  const own = isCompiledMask(blocks) ? undefined : blocksOfHead(blocks, head);
  if (own?.countsSquares && cell >= BLOCK_SIDE) countCells(own, area, counts, isPartial);
  else readBlocks(blocks, head, area, counts, isPartial);
  return { share: shares(counts, cell, bottom - top, right - left), isPartial };
}

function countCells(blocks: HeadBlocks, area: Area, counts: Float64Array, isPartial: Uint8Array): void {
  const { cell, top, left, bottom, right } = area;
  /** Goes into a square only where it is neither empty nor full. */
  const count = (q: number, k: number, side: number): void => {
    if (q >= bottom || k >= right) return;
    const { pairs, full, kept } = blocks.count(q, k, side);
    if (kept === 0) return;
    const place = ((q - top) / cell) * TILE_SIDE + (k - left) / cell;
    if (side === cell) {
      counts[place] = pairs;
      if (kept > full) isPartial[place] = 1;
    } else if (pairs === side * side) {
      for (let y = 0; y < side / cell; y++)
        counts.fill(cell * cell, place + y * TILE_SIDE, place + y * TILE_SIDE + side / cell);
    } else {
      const half = side / 2;
      for (const y of [0, half]) for (const x of [0, half]) count(q + y, k + x, half);
    }
  };
  count(top, left, TILE_SIDE * cell);
}

function readBlocks(blocks: Blocks, head: number, area: Area, counts: Float64Array, isPartial: Uint8Array): void {
  const { cell, top, left, bottom, right } = area;
  const reader = readerOfHead(blocks, head);
  const [from, to] = [Math.floor(left / BLOCK_SIDE), Math.ceil(right / BLOCK_SIDE)];
  for (let i = Math.floor(top / BLOCK_SIDE); i * BLOCK_SIDE < bottom; i++) {
    const [q0, q1] = [Math.max(top, i * BLOCK_SIDE), Math.min(bottom, (i + 1) * BLOCK_SIDE)];
    reader.row(i, from, to, (start, end, look) => {
      const isFull = look === FULL_LOOK;
      // Full blocks are counted as one; of others each has its own columns.
      for (let j = start; j < end; j = isFull ? end : j + 1) {
        const first = j * BLOCK_SIDE;
        const k1 = Math.min(right, (isFull ? end : j + 1) * BLOCK_SIDE);
        for (let q = q0; q < q1; ) {
          const nextQ = Math.min(q1, (Math.floor(q / cell) + 1) * cell);
          const line = Math.floor((q - top) / cell) * TILE_SIDE;
          for (let k = Math.max(left, first); k < k1; ) {
            const nextK = Math.min(k1, (Math.floor(k / cell) + 1) * cell);
            const place = line + Math.floor((k - left) / cell);
            const [height, width] = [nextQ - q, nextK - k];
            const found = isFull
              ? height * width
              : countPairs(look.words, look.start, q - i * BLOCK_SIDE, height, k - first, width);
            counts[place] += found;
            if (!isFull && found > 0) isPartial[place] = 1;
            k = nextK;
          }
          q = nextQ;
        }
      }
    });
  }
}

function shares(counts: Float64Array, cell: number, height: number, width: number): Uint8Array {
  return Uint8Array.from(counts, (count, place) => {
    if (count === 0) return 0;
    const y = Math.floor(place / TILE_SIDE) * cell;
    const x = (place % TILE_SIDE) * cell;
    const area = Math.min(cell, height - y) * Math.min(cell, width - x);
    return count === area ? 255 : 1 + Math.round((count / area) * 253);
  });
}

/** Allowed pairs of a part of one bitmap: `height` x `width` pairs from row q, column k on. */
function countPairs(words: Uint32Array, start: number, q: number, height: number, k: number, width: number): number {
  let count = 0;
  for (let y = q; y < q + height; y++) {
    for (let half = 0; half < 2; half++) {
      const low = Math.max(k, half * 32) - half * 32;
      const high = Math.min(k + width, half * 32 + 32) - half * 32;
      if (low >= high) continue;
      let rest = words[start + y * 2 + half] & ((0xffffffff >>> (32 - high)) & (0xffffffff << low));
      for (; rest !== 0; rest &= rest - 1) count++;
    }
  }
  return count;
}
