/** Tokens as the cells of an n-dimensional grid, the last axis fastest: images, video, volumes. Others are outside. */
import { counted } from '../../counted.ts';
import { PatternError } from '../../errors.ts';
import type { Pattern } from '../pattern.ts';
import { cellOrder, cells } from './cell-order.ts';
import { count, counts, grid, type KindDefinition, modulo, positive } from './definition.ts';

/**
 * Axial attention in n dimensions (Ho et al. 2019): the cells of q and k differ at most along one entry of
 * `axes`. An entry is a list of axes that are attended together: [[0], [1]] is the row and the column of a cell, [[0], [1, 2]]
 * a cell's time line and its whole frame.
 */
export interface Axial {
  readonly kind: 'axial';
  readonly grid: readonly number[];
  readonly axes: readonly (readonly number[])[];
}

/**
 * Neighbourhood attention in n dimensions: along every axis the key is one of the 2 radius + 1 cells around the query, at
 * multiples of `dilation`. `border` 'cut' (default): cells beyond the border are missing. 'clamp': the window moves inward, so
 * that every query sees equally many (NATTEN: Hassani et al. 2023; dilated: Hassani and Shi 2022).
 * `tile`: tokens stand tile by tile, so that neighbours are near each other in the sequence (tiled NATTEN of attention-gym);
 * each side divides that of the grid.
 */
export interface Neighbourhood {
  readonly kind: 'neighbourhood';
  readonly grid: readonly number[];
  readonly radius: readonly number[];
  readonly dilation?: readonly number[];
  readonly border?: 'cut' | 'clamp';
  readonly tile?: readonly number[];
}

/**
 * Shifted windows (Swin: Liu et al. 2021, section 3.2): q and k are in the same window, whose borders lie at shift + i window
 * along every axis. That is the cyclic shift with its region mask: windows at the border are smaller. `shift` defaults to 0.
 */
export interface ShiftedWindows {
  readonly kind: 'shiftedWindows';
  readonly grid: readonly number[];
  readonly window: readonly number[];
  readonly shift?: readonly number[];
}

/** The keys of a query at `cell` along one axis of `size` cells, as [first, last] at steps of `dilation`. */
export function neighbours(
  cell: number,
  size: number,
  radius: number,
  dilation: number,
  border: 'cut' | 'clamp',
): [number, number] {
  const remainder = cell % dilation;
  const last = Math.floor((size - 1 - remainder) / dilation);
  const own = (cell - remainder) / dilation;
  let [low, high] = [own - radius, own + radius];
  if (border === 'clamp') {
    low = Math.max(0, Math.min(low, last - 2 * radius));
    high = low + 2 * radius;
  }
  return [remainder + Math.max(0, low) * dilation, remainder + Math.min(last, high) * dilation];
}

export const axialDefinition: KindDefinition<Axial> = {
  fields: { grid, axes: { type: 'list', item: { type: 'list', item: count, least: 1 }, least: 1 } },
  check(pattern, name) {
    checkCells(pattern.grid, name);
    const axes = pattern.grid.length;
    for (const [i, group] of pattern.axes.entries()) {
      for (const [j, axis] of group.entries()) {
        if (axis < axes && !group.includes(axis, j + 1)) continue;
        const what = axis < axes ? 'there twice' : `not an axis of the grid, which has 0 to ${axes - 1}`;
        throw new PatternError(`${name('axes')}[${i}][${j}] is ${axis}, ${what}`);
      }
    }
  },
  allows({ grid, axes }, { q, k }) {
    const order = cellOrder(grid);
    const [from, to] = [order.cellOf(q), order.cellOf(k)];
    if (from === undefined || to === undefined) return false;
    return axes.some((free) => grid.every((_, axis) => free.includes(axis) || from[axis] === to[axis]));
  },
  expand: ({ grid, axes }) => ({
    kind: 'intersect',
    of: [
      { kind: 'columns', start: 0, count: cells(grid) },
      { kind: 'rows', start: 0, count: cells(grid) },
      { kind: 'union', of: axes.map((free) => sameElsewhere(grid, free)) },
    ],
  }),
  length: ({ grid }) => cells(grid),
};

/** Same coordinates but along the axes `free`: each run of fixed axes is one digit of the position. */
function sameElsewhere(grid: readonly number[], free: readonly number[]): Pattern {
  const of: Pattern[] = [];
  for (let first = 0; first < grid.length; first++) {
    if (free.includes(first)) continue;
    let end = first + 1;
    while (end < grid.length && !free.includes(end)) end++;
    const width = cells(grid.slice(end));
    if (first === 0) of.push({ kind: 'blockLocal', block: width });
    else of.push({ kind: 'sameCoordinate', period: cells(grid.slice(first)), width });
    first = end;
  }
  return of.length === 0 ? { kind: 'dense' } : { kind: 'intersect', of };
}

export const neighbourhoodDefinition: KindDefinition<Neighbourhood> = {
  fields: {
    grid,
    radius: counts,
    dilation: { type: 'list', item: positive, optional: true },
    border: { type: 'word', words: ['cut', 'clamp'], optional: true },
    tile: { type: 'list', item: positive, optional: true },
  },
  check({ grid, radius, dilation, border, tile }, name) {
    checkCells(grid, name);
    checkAxes(grid, radius, name('radius'));
    if (dilation !== undefined) checkAxes(grid, dilation, name('dilation'));
    if (tile !== undefined) checkTile(grid, tile, name('tile'));
    for (const [axis, size] of grid.entries()) {
      const reach = (2 * (radius[axis] ?? 0) + 1) * (dilation?.[axis] ?? 1);
      if (border === 'clamp' && reach > size) {
        throw new PatternError(
          `${name('radius')}[${axis}] is ${radius[axis]}; a clamped window of ${reach} cells must fit the ${size} of the axis`,
        );
      }
    }
  },
  allows({ grid, radius, dilation, border = 'cut', tile }, { q, k }) {
    const order = cellOrder(grid, tile);
    const [from, to] = [order.cellOf(q), order.cellOf(k)];
    if (from === undefined || to === undefined) return false;
    return grid.every((size, axis) => {
      const [cell, other] = [from[axis] ?? 0, to[axis] ?? 0];
      const step = dilation?.[axis] ?? 1;
      const [first, last] = neighbours(cell, size, radius[axis] ?? 0, step, border);
      return first <= other && other <= last && (other - cell) % step === 0;
    });
  },
  length: ({ grid }) => cells(grid),
};

export const shiftedWindowsDefinition: KindDefinition<ShiftedWindows> = {
  fields: { grid, window: { type: 'list', item: positive }, shift: { ...counts, optional: true } },
  check({ grid, window, shift }, name) {
    checkCells(grid, name);
    checkAxes(grid, window, name('window'));
    if (shift === undefined) return;
    checkAxes(grid, shift, name('shift'));
    for (const [axis, size] of window.entries()) {
      const own = shift[axis] ?? 0;
      if (own < size) continue;
      throw new PatternError(`${name('shift')}[${axis}] is ${own}; it must be below the window of ${size}`);
    }
  },
  allows({ grid, window, shift }, { q, k }) {
    const order = cellOrder(grid);
    const [from, to] = [order.cellOf(q), order.cellOf(k)];
    if (from === undefined || to === undefined) return false;
    return window.every((size, axis) => {
      const start = shift?.[axis] ?? 0;
      return Math.floor(((from[axis] ?? 0) - start) / size) === Math.floor(((to[axis] ?? 0) - start) / size);
    });
  },
  length: ({ grid }) => cells(grid),
};

/** First and last cell, inclusive, of the window that `cell` is in. */
export function windowOf(cell: number, size: number, window: number, shift: number): [number, number] {
  const start = cell - modulo(cell - shift, window);
  return [Math.max(0, start), Math.min(size, start + window) - 1];
}

/** Most cells of a grid: as many as a mask can have tokens. */
const MAX_CELLS = 2 ** 32;

export function checkCells(grid: readonly number[], name: (field: string) => string): void {
  const total = cells(grid);
  if (total > MAX_CELLS)
    throw new PatternError(`${name('grid')} has ${total} cells; at most ${MAX_CELLS} are possible`);
}

function checkTile(grid: readonly number[], tile: readonly number[], name: string): void {
  checkAxes(grid, tile, name);
  for (const [axis, side] of tile.entries()) {
    if (grid[axis] % side === 0) continue;
    throw new PatternError(
      `${name}[${axis}] is ${side}; it must divide the ${counted(grid[axis], 'cell')} of the axis`,
    );
  }
}

function checkAxes(grid: readonly number[], values: readonly number[], name: string): void {
  if (values.length !== grid.length) {
    throw new PatternError(
      `${name} has ${counted(values.length, 'number')}; it must have one for each of the ${counted(grid.length, 'axis', 'axes')} of the grid`,
    );
  }
}
