import {
  BITMAP_WORDS,
  BLOCK_SIDE,
  type BlockMask,
  FULL_BLOCK,
  findBlock,
  rowsOfHead,
} from '../../../src/mask/index.ts';

/** Cells along a side of a tile. */
export const TILE_SIDE = 256;

/** A tile of the picture: TILE_SIDE x TILE_SIDE cells of 2^level x 2^level pairs, row by row. */
export interface Tile {
  /** Share of allowed pairs: 0 for none, 255 for all, 1 to 254 between. Pairs outside the mask do not count. */
  readonly share: Uint8Array;
  /** 1 where an allowed pair of the cell lies in a partial block. */
  readonly isPartial: Uint8Array;
}

/**
 * Tile (column, row) of one level of the pyramid. Time proportional to the kept blocks in the tile, the rows of blocks that it
 * crosses, and its cells; nothing outside it is read.
 */
export function makeTile(mask: BlockMask, head: number, level: number, column: number, row: number): Tile {
  const cell = 2 ** level;
  const span = TILE_SIDE * cell;
  const [top, left] = [row * span, column * span];
  const [bottom, right] = [Math.min(mask.queries, top + span), Math.min(mask.keys, left + span)];
  const rows = rowsOfHead(mask, head);
  const counts = new Float64Array(TILE_SIDE * TILE_SIDE);
  const isPartial = new Uint8Array(TILE_SIDE * TILE_SIDE);
  for (let i = Math.floor(top / BLOCK_SIDE); i * BLOCK_SIDE < bottom; i++) {
    const [q0, q1] = [Math.max(top, i * BLOCK_SIDE), Math.min(bottom, (i + 1) * BLOCK_SIDE)];
    const end = rows.rowStart[i + 1];
    for (let e = findBlock(rows, i, Math.floor(left / BLOCK_SIDE)); e < end; e++) {
      const first = rows.column[e] * BLOCK_SIDE;
      if (first >= right) break;
      const [k0, k1] = [Math.max(left, first), Math.min(right, first + BLOCK_SIDE)];
      const bitmap = rows.bitmap[e];
      for (let q = q0; q < q1; ) {
        const nextQ = Math.min(q1, (Math.floor(q / cell) + 1) * cell);
        const line = Math.floor((q - top) / cell) * TILE_SIDE;
        for (let k = k0; k < k1; ) {
          const nextK = Math.min(k1, (Math.floor(k / cell) + 1) * cell);
          const place = line + Math.floor((k - left) / cell);
          if (bitmap === FULL_BLOCK) counts[place] += (nextQ - q) * (nextK - k);
          else {
            const found = countPairs(
              mask.bitmaps,
              bitmap * BITMAP_WORDS,
              q - i * BLOCK_SIDE,
              nextQ - q,
              k - first,
              nextK - k,
            );
            counts[place] += found;
            if (found > 0) isPartial[place] = 1;
          }
          k = nextK;
        }
        q = nextQ;
      }
    }
  }
  return { share: shares(counts, cell, bottom - top, right - left), isPartial };
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
