/** The patterns that patterns.ts times, and the plain windows they are compared with. */
import { type BlockMask, compileMask, statistics } from '../src/mask/index.ts';
import {
  axial,
  bigBird,
  causal,
  intersect,
  type Pattern,
  sinks,
  strided,
  union,
  window,
} from '../src/pattern/index.ts';

export interface PatternCase {
  readonly name: string;
  readonly mask: BlockMask;
  readonly pairs: number;
  /** A plain window with as many pairs, or nearly: causal where the pattern is. */
  readonly window: Pattern;
  readonly windowMask: BlockMask;
  readonly windowPairs: number;
}

/** All cases at a length, which must be a multiple of 4,096: the grids have as many cells. */
export function patternCases(length: number, heads: number): PatternCase[] {
  const seen = 128;
  const rows = 2 ** Math.floor(Math.log2(length) / 2);
  const planes = 2 ** Math.floor(Math.log2(length) / 3);
  const dilated = (dilation: number): Pattern => window({ left: seen, right: seen, dilation });
  const patterns: [name: string, pattern: Pattern, isCausal: boolean][] = [
    [
      'BigBird: block 64, window 3, global 2, random 3',
      bigBird({ block: 64, window: 3, global: 2, random: 3, seed: 1, length }),
      false,
    ],
    ...[2, 4, 16].map((dilation): [string, Pattern, boolean] => [
      `window of ${seen} to either side, dilation ${dilation}`,
      dilated(dilation),
      false,
    ]),
    [`window of ${seen} before, dilation 4, and 4 sinks`, intersect(causal(), union(sinks(4), dilated(4))), true],
    ['strided, stride 128', strided(128), true],
    [`axial, ${rows} x ${length / rows}`, axial({ grid: [rows, length / rows], axes: [0, 1] }), false],
    [
      `axial, ${planes} x ${planes} x ${length / planes ** 2}, three axes`,
      axial({ grid: [planes, planes, length / planes ** 2], axes: [0, 1, 2] }),
      false,
    ],
    [
      `axial, ${planes} x ${planes} x ${length / planes ** 2}, one axis and the plane of the others`,
      axial({ grid: [planes, planes, length / planes ** 2], axes: [[0], [1, 2]] }),
      false,
    ],
  ];
  return patterns.map(([name, pattern, isCausal]) => {
    const compile = (own: Pattern): BlockMask => compileMask(own, { queries: length, keys: length, heads });
    const mask = compile(pattern);
    const { pairs } = statistics(mask);
    const plain = windowOf(pairs / heads, length, isCausal);
    const windowMask = compile(plain);
    return { name, mask, pairs, window: plain, windowMask, windowPairs: statistics(windowMask).pairs };
  });
}

/** The window over `length` tokens whose number of pairs comes closest. A window of L before and R after has (1 + L + R) N less its corners. */
function windowOf(pairs: number, length: number, isCausal: boolean): Pattern {
  const count = (before: number, after: number): number =>
    (1 + before + after) * length - (before * (before + 1)) / 2 - (after * (after + 1)) / 2;
  const reach = (more: number): [number, number] =>
    isCausal ? [more, 0] : [Math.ceil(more / 2), Math.floor(more / 2)];
  const difference = (more: number): number => Math.abs(count(...reach(more)) - pairs);
  let best = 0;
  for (let more = 1; more < length; more++) if (difference(more) < difference(best)) best = more;
  const [left, right] = reach(best);
  return window({ left, right });
}
