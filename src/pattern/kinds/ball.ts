import { cellOrder, cells } from './cell-order.ts';
import { count, grid, type KindDefinition, positive } from './definition.ts';
import { checkCells } from './grid.ts';

/**
 * A ball in an n-dimensional grid (local_2d_pattern of xFormers): the sum over the axes of |q_a - k_a|^power is at most `limit`.
 * Power 1 is a diamond, 2 a disc. In whole numbers, so that every engine draws the same border.
 */
export interface Ball {
  readonly kind: 'ball';
  readonly grid: readonly number[];
  readonly power: number;
  readonly limit: number;
}

/** The greatest distance along one axis whose power is at most `rest`. */
export function ballRadius(rest: number, power: number): number {
  let radius = Math.round(rest ** (1 / power));
  while (radius ** power > rest) radius--;
  while ((radius + 1) ** power <= rest) radius++;
  return radius;
}

export const ballDefinition: KindDefinition<Ball> = {
  fields: { grid, power: positive, limit: count },
  check: ({ grid }, name) => checkCells(grid, name),
  allows({ grid, power, limit }, { q, k }) {
    const order = cellOrder(grid);
    const [from, to] = [order.cellOf(q), order.cellOf(k)];
    if (from === undefined || to === undefined) return false;
    return from.reduce((sum, cell, axis) => sum + Math.abs(cell - to[axis]) ** power, 0) <= limit;
  },
  length: ({ grid }) => cells(grid),
};
