/** The rectangles of parts on a grid: for each query its keys along the last axis, for every cell of the others. */
import { type Ball, ballRadius } from '../pattern/kinds/ball.ts';
import { cellOrder, cells } from '../pattern/kinds/cell-order.ts';
import { type Neighbourhood, neighbours, type ShiftedWindows, windowOf } from '../pattern/kinds/grid.ts';
import type { Rectangles } from './plan-scatter.ts';

/** First and last cell along `axis` that a query at `cell` sees, and the step between them. */
type Reach = (axis: number, cell: number) => { readonly first: number; readonly last: number; readonly step: number };

function gridRectangles(grid: readonly number[], reach: Reach, tile?: readonly number[]): Rectangles {
  const order = cellOrder(grid, tile);
  const total = cells(grid);
  const lastAxis = grid.length - 1;
  return (first, last, emit) => {
    for (let q = Math.max(0, first); q <= last && q < total; q++) {
      const at = order.cellOf(q) ?? [];
      const visit = (axis: number, base: number): void => {
        const own = reach(axis, at[axis]);
        if (axis === lastAxis && own.step === 1) {
          for (let cell = own.first; cell <= own.last; ) {
            const end = Math.min(own.last, cell - (cell % order.run) + order.run - 1);
            const key = base + order.place(axis, cell);
            emit(q, q, key, key + end - cell);
            cell = end + 1;
          }
          return;
        }
        for (let cell = own.first; cell <= own.last; cell += own.step) {
          const key = base + order.place(axis, cell);
          if (axis === lastAxis) emit(q, q, key, key);
          else visit(axis + 1, key);
        }
      };
      visit(0, 0);
    }
  };
}

export function ballRectangles({ grid, power, limit }: Ball): Rectangles {
  const order = cellOrder(grid);
  const total = cells(grid);
  const lastAxis = grid.length - 1;
  return (first, last, emit) => {
    for (let q = Math.max(0, first); q <= last && q < total; q++) {
      const at = order.cellOf(q) ?? [];
      const visit = (axis: number, base: number, rest: number): void => {
        const radius = ballRadius(rest, power);
        const [low, high] = [Math.max(0, at[axis] - radius), Math.min(grid[axis] - 1, at[axis] + radius)];
        if (axis === lastAxis) emit(q, q, base + order.place(axis, low), base + order.place(axis, high));
        else {
          for (let cell = low; cell <= high; cell++)
            visit(axis + 1, base + order.place(axis, cell), rest - Math.abs(cell - at[axis]) ** power);
        }
      };
      visit(0, 0, limit);
    }
  };
}

export function neighbourhoodRectangles({ grid, radius, dilation, border = 'cut', tile }: Neighbourhood): Rectangles {
  const reach: Reach = (axis, cell) => {
    const step = dilation?.[axis] ?? 1;
    const [first, last] = neighbours(cell, grid[axis] ?? 1, radius[axis] ?? 0, step, border);
    return { first, last, step };
  };
  return gridRectangles(grid, reach, tile);
}

export function shiftedWindowsRectangles({ grid, window, shift }: ShiftedWindows): Rectangles {
  return gridRectangles(grid, (axis, cell) => {
    const [first, last] = windowOf(cell, grid[axis] ?? 1, window[axis] ?? 1, shift?.[axis] ?? 0);
    return { first, last, step: 1 };
  });
}
