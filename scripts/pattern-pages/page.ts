import type { Pattern } from '../../src/pattern/index.ts';

/** What docs/patterns.md says of a pattern; draw-patterns.ts adds the text form, the picture and the number of pairs. */
export interface PatternPage {
  /** Also the name of its picture. */
  readonly name: string;
  readonly title: string;
  readonly source: string;
  /** When query q sees key k, in one line. */
  readonly definition: string;
  /** The expression that made `pattern`. */
  readonly constructor: string;
  readonly pattern: Pattern;
  readonly queries: number;
  /** Default as many as queries. */
  readonly keys?: number;
  readonly heads?: number;
  /** Number of pairs of one head, n queries and n keys, in words; and the same for the example. */
  readonly count: string;
  readonly pairs: number;
}

export interface Section {
  readonly title: string;
  readonly pages: readonly PatternPage[];
}

/** The sum of value(0) .. value(n - 1). */
export const sum = (n: number, value: (i: number) => number): number =>
  Array.from({ length: n }, (_, i) => value(i)).reduce((total, x) => total + x, 0);

/** 1 + 2 + ... + n. */
export const triangle = (n: number): number => (n * (n + 1)) / 2;

/** Pairs of a window of l and r steps of d tokens. */
export const windowPairs = (n: number, l: number, r: number, d = 1): number =>
  n * (l + r + 1) - d * (triangle(l) + triangle(r));
