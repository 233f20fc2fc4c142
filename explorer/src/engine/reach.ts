import { receptiveField } from '../../../src/mask/index.ts';
import type { Pattern } from '../../../src/pattern/index.ts';

/** Bins of the token line that a picture of a receptive field has at most. */
export const REACH_BINS = 512;

/** The tokens that one position depends on after some layers. */
export interface Reach {
  readonly count: number;
  /** Share of the tokens of each bin, 0 to 1; bins are equally long but the last. */
  readonly bins: Float32Array;
  readonly binLength: number;
}

/** As receptiveField(), in bins that fit a screen. */
export function reachOf(
  patterns: readonly Pattern[],
  options: { readonly length: number; readonly heads: number; readonly query: number; readonly layers: number },
): Reach {
  const { length } = options;
  const [first] = patterns;
  const { count, ranges } = receptiveField(patterns.length === 1 && first !== undefined ? first : patterns, options);
  const binLength = Math.ceil(length / REACH_BINS);
  const bins = new Float32Array(Math.ceil(length / binLength));
  for (const { start, end } of ranges) {
    for (let at = start; at < end; ) {
      const bin = Math.floor(at / binLength);
      const next = Math.min(end, (bin + 1) * binLength);
      bins[bin] += (next - at) / Math.min(binLength, length - bin * binLength);
      at = next;
    }
  }
  return { count, bins, binLength };
}
