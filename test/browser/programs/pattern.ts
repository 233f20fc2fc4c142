import { allows, type Pattern } from 'farfield/pattern';

export interface PatternInput {
  readonly pattern: Pattern;
  readonly queries: number;
  readonly keys: number;
}

/** allows() for every pair, one line for each query. */
export function run({ pattern, queries, keys }: PatternInput): string[] {
  return Array.from({ length: queries }, (_, q) =>
    Array.from({ length: keys }, (_, k) => (allows(pattern, { head: 0, q, k }) ? '#' : '.')).join(''),
  );
}
