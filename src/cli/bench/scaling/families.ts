import { causal, intersect, type Pattern, sinks, union, window } from '../../../pattern/index.ts';

/** A pattern whose cost grows in a known way with the number of tokens. */
export interface Family {
  readonly name: string;
  /** How its pairs grow. */
  readonly order: 'n' | 'n log n' | 'n sqrt n' | 'n^2';
  /** What each query sees, in words. */
  readonly what: string;
  readonly pattern: (length: number) => Pattern;
}

export const families: readonly Family[] = [
  {
    name: 'window',
    order: 'n',
    what: '256 tokens to either side',
    pattern: () => window(256),
  },
  {
    name: 'sinks+window',
    order: 'n',
    what: 'causal: 4 sinks and the last 512 tokens',
    pattern: () => intersect(causal(), union(sinks(4), window({ left: 511 }))),
  },
  {
    name: 'log-window',
    order: 'n log n',
    what: '32 log2(n) tokens to either side',
    pattern: (length) => window(Math.round(32 * Math.log2(length))),
  },
  {
    name: 'doubling',
    order: 'n log n',
    what: '16 steps to either side at each dilation 1, 2, 4, ..., n / 32',
    pattern: (length) => {
      const levels = Math.max(1, Math.floor(Math.log2(length / 32)) + 1);
      return union(...Array.from({ length: levels }, (_, i) => window({ left: 16, right: 16, dilation: 2 ** i })));
    },
  },
  {
    name: 'sqrt-window',
    order: 'n sqrt n',
    what: 'sqrt(n) tokens to either side',
    pattern: (length) => window(Math.round(Math.sqrt(length))),
  },
  {
    name: 'strided',
    order: 'n sqrt n',
    what: 'causal: the last sqrt(n) tokens, and every sqrt(n)-th before (Sparse Transformer)',
    pattern: (length) => ({ kind: 'strided', stride: Math.max(1, Math.round(Math.sqrt(length))) }),
  },
  { name: 'causal', order: 'n^2', what: 'every token before', pattern: () => causal() },
  { name: 'dense', order: 'n^2', what: 'every token', pattern: () => ({ kind: 'dense' }) },
];
