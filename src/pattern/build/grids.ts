/** Constructors of patterns on grids that stand in no other file. All throw PatternError. */
import { counted } from '../../counted.ts';
import { PatternError } from '../../errors.ts';
import { union } from '../constructors.ts';
import type { Ball } from '../kinds/ball.ts';
import { cellOrder, cells } from '../kinds/cell-order.ts';
import type { Pattern } from '../pattern.ts';
import { checkInteger, checkList, show } from '../values.ts';
import { made } from './made.ts';

/**
 * Cells nearer than `distance`, a number above 0, in the p-norm (local_2d_pattern of xFormers, in n dimensions): the sum over the
 * axes of |q_a - k_a|^p is below distance^p. `p` is a whole number; default 2.
 */
export function ball(options: { grid: readonly number[]; distance: number; p?: number }): Ball {
  const { grid, distance, p = 2 } = options;
  checkInteger('ball p', p, 1);
  const power = distance ** p;
  if (!(distance > 0 && power <= Number.MAX_SAFE_INTEGER))
    throw new PatternError(
      `ball distance is ${show(distance)}; it must be a number above 0, its power ${p} below 2^53`,
    );
  return made<Ball>({ kind: 'ball', grid, power: p, limit: Math.ceil(power) - 1 });
}

/**
 * Sliding tiles (Sliding Tile Attention: Zhang et al. 2025) in n dimensions: tokens stand tile by tile; those of one tile see
 * the whole tiles of a `kernel` of cells around theirs, moved inward at the border; an even number of tiles has one more before than
 * after. `text` tokens after the grid see everything and are seen by everything. Whole blocks of as many tokens as a tile has.
 */
export function slidingTile(options: {
  grid: readonly number[];
  tile: readonly number[];
  kernel: readonly number[];
  text?: number;
}): Pattern {
  const { grid, tile, kernel, text = 0 } = options;
  for (const [name, sides] of Object.entries({ grid, tile, kernel })) {
    checkList(`slidingTile ${name}`, sides, grid.length);
    for (const [axis, side] of sides.entries()) checkInteger(`slidingTile ${name}[${axis}]`, side, 1);
  }
  checkInteger('slidingTile text', text);
  const divided = (name: string, sides: readonly number[]): number[] =>
    grid.map((size, axis) => {
      if (sides[axis] % tile[axis] === 0 && sides[axis] <= size) return sides[axis] / tile[axis];
      throw new PatternError(
        `slidingTile ${name}[${axis}] is ${sides[axis]}; it must be a multiple of the tile's ${counted(tile[axis], 'cell')}, at most ${size}`,
      );
    });
  const [tiles, reach] = [divided('grid', grid), divided('kernel', kernel)];
  const order = cellOrder(tiles);
  const table = Array.from({ length: cells(tiles) }, (_, own) => {
    let seen = [0];
    for (const [axis, at] of (order.cellOf(own) ?? []).entries()) {
      const first = Math.min(Math.max(0, at - Math.floor(reach[axis] / 2)), tiles[axis] - reach[axis]);
      const along = Array.from({ length: reach[axis] }, (_, i) => order.place(axis, first + i));
      seen = seen.flatMap((base) => along.map((place) => base + place));
    }
    return seen.sort((a, b) => a - b);
  });
  const blocks = made({ kind: 'blocks', block: cells(tile), table });
  if (text === 0) return blocks;
  const beyond = { start: cells(grid), count: text };
  return union(blocks, made({ kind: 'columns', ...beyond }), made({ kind: 'rows', ...beyond }));
}
