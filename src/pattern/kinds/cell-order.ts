/** Where the cells of a grid stand in the sequence. */

/** The last axis runs fastest; with tiles it does so within each tile, and tile stands after tile. */
export interface CellOrder {
  /** The cell of a token along each axis; undefined outside the grid. */
  cellOf(token: number): number[] | undefined;
  /** A token's position is the sum over the axes of what its cell along each gives. */
  place(axis: number, cell: number): number;
  /** Cells along the last axis that stand side by side: one tile, or all. */
  readonly run: number;
}

/** Number of cells. */
export function cells(grid: readonly number[]): number {
  return grid.reduce((product, size) => product * size, 1);
}

/** Distance in tokens between neighbours along each axis. */
export function gridStrides(grid: readonly number[]): number[] {
  return grid.map((_, axis) => cells(grid.slice(axis + 1)));
}

/** `tile`: sides that divide those of the grid. */
export function cellOrder(grid: readonly number[], tile?: readonly number[]): CellOrder {
  const total = cells(grid);
  if (tile === undefined) {
    const strides = gridStrides(grid);
    return {
      cellOf: (token) => {
        if (token < 0 || token >= total) return undefined;
        return grid.map((size, axis) => Math.floor(token / strides[axis]) % size);
      },
      place: (axis, cell) => cell * strides[axis],
      run: grid[grid.length - 1],
    };
  }
  const tiles = grid.map((size, axis) => size / tile[axis]);
  const [outer, inner, each] = [gridStrides(tiles), gridStrides(tile), cells(tile)];
  return {
    cellOf: (token) => {
      if (token < 0 || token >= total) return undefined;
      const [which, within] = [Math.floor(token / each), token % each];
      return tile.map(
        (side, axis) =>
          (Math.floor(which / outer[axis]) % tiles[axis]) * side + (Math.floor(within / inner[axis]) % side),
      );
    },
    place: (axis, cell) => Math.floor(cell / tile[axis]) * outer[axis] * each + (cell % tile[axis]) * inner[axis],
    run: tile[tile.length - 1],
  };
}
