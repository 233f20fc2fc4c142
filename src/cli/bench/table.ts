/**
 * Figures of tables in 80 columns: a column's unit stands once, in its heading.
 */
/** A unit that all figures of a column are written in. */
export interface Unit {
  readonly name: string;
  /** Three figures; nothing where there is no value. */
  format(value: number | undefined): string;
}

/** Milliseconds, or seconds where one of the times has ten of them. */
export function timeUnit(milliseconds: readonly number[]): Unit {
  return unitOf(milliseconds, ['ms', 1], ['s', 1000]);
}

/** MiB, or GiB where one of the sizes has ten thousand MiB. */
export function byteUnit(bytes: readonly number[]): Unit {
  return unitOf(bytes, ['MiB', 2 ** 20], ['GiB', 2 ** 30]);
}

function unitOf(values: readonly number[], small: [string, number], large: [string, number]): Unit {
  const [name, size] = Math.max(...values) >= 9995 * small[1] ? large : small;
  return { name, format: (value) => (value === undefined ? '' : threeFigures(value / size)) };
}

function threeFigures(value: number): string {
  return value.toLocaleString('en-US', { minimumSignificantDigits: 3, maximumSignificantDigits: 3 });
}

/** The least and the most of some figures. */
export function formatRange(values: readonly number[], unit: Unit): string {
  return values.length === 0 ? '' : `${unit.format(Math.min(...values))} to ${unit.format(Math.max(...values))}`;
}

/** How many times another's figure one is: "2.41x"; nothing where one of them is missing. */
export function formatRatio(own: number | undefined, base: number | undefined): string {
  return own === undefined || base === undefined ? '' : `${threeFigures(own / base)}x`;
}
