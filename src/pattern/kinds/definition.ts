import type { Pair } from '../allows.ts';
import type { Pattern } from '../pattern.ts';

/** What a parameter of a pattern may be: the source of its check, its JSON schema and its place in the text form. */
export type Field = { readonly optional?: true } & (
  | { readonly type: 'integer'; readonly least: number }
  | { readonly type: 'word'; readonly words: readonly string[] }
  /** Absent or true. */
  | { readonly type: 'flag' }
  | { readonly type: 'list'; readonly item: Field; readonly least?: number }
  | { readonly type: 'pattern' }
);

/** Everything that Farfield has to know of a kind of pattern, but how its blocks are found where it has no expansion. */
export interface KindDefinition<P> {
  /** Parameters in the order of the text form, kind(name=value,...). */
  readonly fields: Readonly<Record<string, Field>>;
  /** Throws PatternError where parameters that are well formed do not fit each other. `name` is the path of a parameter. */
  readonly check?: (pattern: P, name: (field: string) => string) => void;
  /** The definition, for parameters that passed the checks. */
  readonly allows: (pattern: P, pair: Pair) => boolean;
  /** The same pairs as a composition of simpler kinds, which is what gets compiled. */
  readonly expand?: (pattern: P) => Pattern;
  /** Positions that the parameters speak of, where they fix a length: cells of a grid, tokens of all documents. */
  readonly length?: (pattern: P) => number | undefined;
}

export const SMALLEST = -Number.MAX_SAFE_INTEGER;

export const count: Field = { type: 'integer', least: 0 };
export const positive: Field = { type: 'integer', least: 1 };
export const anyInteger: Field = { type: 'integer', least: SMALLEST };
export const counts: Field = { type: 'list', item: count };
export const seed: Field = { type: 'integer', least: 0 };
export const flag: Field = { type: 'flag', optional: true };
/** Sizes of the axes of a grid. */
export const grid: Field = { type: 'list', item: positive, least: 1 };

/** The remainder in 0 .. d - 1, also for negative values. */
export function modulo(value: number, d: number): number {
  const remainder = value % d;
  return remainder < 0 ? remainder + d : remainder;
}
