import { cut, type KeyRange, merge } from '../key-ranges.ts';
import type { FamilyPattern } from '../pattern.ts';
import { ballRadius } from './ball.ts';
import { cells, gridStrides } from './cell-order.ts';
import { documentStarts } from './sequence.ts';

/**
 * The keys of `keys` that some query at `fromQuery` or later can see, for a kind without an expansion. Exact for columns, rows,
 * diagonals, blockLocal, blocks, documents and groups. A superset for the others: in a grid the keys no further back than the
 * window reaches; for random draws, sameCoordinate and ordered all keys.
 */
export function visibleInFamily(pattern: FamilyPattern, keys: KeyRange, fromQuery: number): KeyRange[] {
  switch (pattern.kind) {
    case 'columns': {
      const { start, count, period } = pattern;
      if (period === undefined) return cut(keys, start, start + count);
      const ranges: KeyRange[] = [];
      for (let base = Math.floor(keys.start / period) * period; base < keys.end; base += period) {
        ranges.push(...cut(keys, base + start, base + start + count));
      }
      return merge(ranges);
    }
    case 'rows': {
      const { start, count, period } = pattern;
      const isLater = count > 0 && (period !== undefined || start + count > fromQuery);
      return isLater ? cut(keys, 0, Infinity) : [];
    }
    case 'diagonals': {
      const farthest = pattern.offsets.reduce((most, offset) => Math.max(most, offset), -Infinity);
      return cut(keys, fromQuery - farthest, Infinity);
    }
    case 'blockLocal': {
      const { block, back = 0 } = pattern;
      return cut(keys, (Math.floor(fromQuery / block) - back) * block, Infinity);
    }
    case 'blocks': {
      const { block, table } = pattern;
      const seen = new Set(table.slice(Math.max(0, Math.floor(fromQuery / block))).flat());
      return merge([...seen].flatMap((j) => cut(keys, j * block, (j + 1) * block)));
    }
    case 'documents': {
      const starts = documentStarts(pattern);
      const ranges = pattern.lengths.map((length, i) => ({ start: starts[i] ?? 0, end: (starts[i] ?? 0) + length }));
      return merge(ranges.filter(({ end }) => end > fromQuery).flatMap(({ start, end }) => cut(keys, start, end)));
    }
    case 'groups': {
      const later = new Set(pattern.ids.slice(Math.max(0, fromQuery)).filter((id) => id >= 0));
      const end = Math.min(keys.end, pattern.ids.length);
      const ranges: KeyRange[] = [];
      for (let k = Math.max(0, keys.start); k < end; k++) {
        if (later.has(pattern.ids[k] ?? -1)) ranges.push({ start: k, end: k + 1 });
      }
      return merge(ranges);
    }
    case 'neighbourhood': {
      const { grid, radius, dilation, tile } = pattern;
      if (tile !== undefined) return inGrid(grid, grid, keys, fromQuery);
      // A clamped window reaches twice as far at the border.
      const steps = radius.map((own, axis) => 2 * own * (dilation?.[axis] ?? 1));
      return inGrid(grid, steps, keys, fromQuery);
    }
    case 'ball': {
      const radius = ballRadius(pattern.limit, pattern.power);
      return inGrid(
        pattern.grid,
        pattern.grid.map(() => radius),
        keys,
        fromQuery,
      );
    }
    case 'shiftedWindows':
      return inGrid(
        pattern.grid,
        pattern.window.map((size) => size - 1),
        keys,
        fromQuery,
      );
    default:
      return cut(keys, 0, Infinity);
  }
}

/** Keys of a grid that lie at most `steps` cells before a later query along each axis. */
function inGrid(grid: readonly number[], steps: readonly number[], keys: KeyRange, fromQuery: number): KeyRange[] {
  if (fromQuery >= cells(grid)) return [];
  const reach = gridStrides(grid).reduce((sum, stride, axis) => sum + stride * (steps[axis] ?? 0), 0);
  return cut(keys, Math.max(0, fromQuery - reach), cells(grid));
}
