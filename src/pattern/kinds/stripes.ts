/** Pairs by the place of one side alone, or by the distance between the sides. */
import { PatternError } from '../../errors.ts';
import { anyInteger, count, type KindDefinition, modulo, positive } from './definition.ts';

/** Keys at given places: start <= k mod period < start + count; without a period, start <= k < start + count. */
export interface Columns {
  readonly kind: 'columns';
  readonly start: number;
  readonly count: number;
  readonly period?: number;
}

/** Queries at given places, which see every key: start <= q mod period < start + count; q >= 0. */
export interface Rows {
  readonly kind: 'rows';
  readonly start: number;
  readonly count: number;
  readonly period?: number;
}

/** q - k is one of `offsets`. */
export interface Diagonals {
  readonly kind: 'diagonals';
  readonly offsets: readonly number[];
}

/** Same digit of the position: floor((q mod period) / width) = floor((k mod period) / width). */
export interface SameCoordinate {
  readonly kind: 'sameCoordinate';
  readonly period: number;
  readonly width: number;
}

const stripes = { start: count, count, period: { ...positive, optional: true } } as const;

function checkStripes(pattern: Columns | Rows, name: (field: string) => string): void {
  const { start, count, period } = pattern;
  if (period !== undefined && start + count > period) {
    throw new PatternError(
      `${name('count')} is ${count}; start ${start} and count must not reach past the period ${period}`,
    );
  }
}

function isInStripes({ start, count, period }: Columns | Rows, position: number): boolean {
  const place = period === undefined ? position : modulo(position, period);
  return position >= 0 && start <= place && place < start + count;
}

export const columnsDefinition: KindDefinition<Columns> = {
  fields: stripes,
  check: checkStripes,
  allows: (pattern, { k }) => isInStripes(pattern, k),
};

export const rowsDefinition: KindDefinition<Rows> = {
  fields: stripes,
  check: checkStripes,
  allows: (pattern, { q }) => isInStripes(pattern, q),
};

export const diagonalsDefinition: KindDefinition<Diagonals> = {
  fields: { offsets: { type: 'list', item: anyInteger } },
  allows: ({ offsets }, { q, k }) => offsets.includes(q - k),
};

export const sameCoordinateDefinition: KindDefinition<SameCoordinate> = {
  fields: { period: positive, width: positive },
  check({ period, width }, name) {
    if (period % width !== 0) {
      throw new PatternError(`${name('width')} is ${width}; it must divide the period ${period}`);
    }
  },
  allows: ({ period, width }, { q, k }) =>
    Math.floor(modulo(q, period) / width) === Math.floor(modulo(k, period) / width),
};
