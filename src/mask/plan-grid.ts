/** The rectangles of parts on a grid: for each query its keys along the last axis, for every cell of the others. */
import {
  cells,
  gridStrides,
  type Neighbourhood,
  neighbours,
  type ShiftedWindows,
  windowOf,
} from '../pattern/kinds/grid.ts';
import type { Rectangles } from './plan-scatter.ts';

/** First and last cell along `axis` that a query at `cell` sees, and the step between them. */
type Reach = (axis: number, cell: number) => { readonly first: number; readonly last: number; readonly step: number };

function gridRectangles(grid: readonly number[], reach: Reach): Rectangles {
  const strides = gridStrides(grid);
  const total = cells(grid);
  const lastAxis = grid.length - 1;
  return (first, last, emit) => {
    for (let q = Math.max(0, first); q <= last && q < total; q++) {
      const visit = (axis: number, base: number): void => {
        const stride = strides[axis] ?? 1;
        const own = reach(axis, Math.floor(q / stride) % (grid[axis] ?? 1));
        if (axis === lastAxis && own.step === 1) {
          emit(q, q, base + own.first, base + own.last);
          return;
        }
        for (let cell = own.first; cell <= own.last; cell += own.step) {
          const key = base + cell * stride;
          if (axis === lastAxis) emit(q, q, key, key);
          else visit(axis + 1, key);
        }
      };
      visit(0, 0);
    }
  };
}

export function neighbourhoodRectangles({ grid, radius, dilation, border = 'cut' }: Neighbourhood): Rectangles {
  return gridRectangles(grid, (axis, cell) => {
    const step = dilation?.[axis] ?? 1;
    const [first, last] = neighbours(cell, grid[axis] ?? 1, radius[axis] ?? 0, step, border);
    return { first, last, step };
  });
}

export function shiftedWindowsRectangles({ grid, window, shift }: ShiftedWindows): Rectangles {
  return gridRectangles(grid, (axis, cell) => {
    const [first, last] = windowOf(cell, grid[axis] ?? 1, window[axis] ?? 1, shift?.[axis] ?? 0);
    return { first, last, step: 1 };
  });
}
