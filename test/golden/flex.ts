/** What the FlexAttention cases say of masks and scores, in Farfield's words. */
import {
  alibi,
  composeScores,
  headScale,
  relativePositions,
  type ScoreModifier,
  softcap,
  t5Buckets,
} from '../../src/attention/index.ts';
import {
  axial,
  bigBird,
  blockLocal,
  causal,
  columns,
  dense,
  documents,
  fixed,
  globalTokens,
  intersect,
  neighbourhood,
  type Pattern,
  perHead,
  prefixLm,
  sinks,
  strided,
  union,
  window,
} from '../../src/pattern/index.ts';
import type { GoldenTensor } from './folders.ts';

/** As make_flex.py writes them. */
export interface FlexMask {
  readonly type: string;
  readonly of?: readonly FlexMask[];
  readonly offset?: number;
  readonly left?: number;
  readonly right?: number;
  readonly dilation?: number;
  readonly dilations?: readonly number[];
  readonly windows?: readonly number[];
  readonly sinks?: number;
  readonly one_sided?: number;
  readonly global_tokens?: readonly number[];
  readonly axis?: 'row' | 'column' | 'cross';
  readonly width?: number;
  readonly radius?: number;
  readonly block?: number;
  readonly back?: number;
  readonly window_blocks?: number;
  readonly global_blocks?: number;
  readonly lengths?: readonly number[];
  readonly stride?: number;
  readonly summary?: number;
  /** For each batch entry. */
  readonly prefix?: readonly number[];
  readonly keep?: readonly (readonly [number, number])[];
}

export interface FlexScore {
  readonly type: string;
  readonly cap?: number;
  readonly symmetric?: boolean;
  readonly bidirectional?: boolean;
  readonly max_distance?: number;
}

type Read = (name: string) => GoldenTensor;

/** The pattern of one batch entry, for a text of `length` tokens. Throws for a mask that is not known here. */
export function flexPattern(mask: FlexMask, length: number, batch: number, read: Read): Pattern {
  const { left = 0, right = 0, dilation = 1, width = 1, block = 1 } = mask;
  const grid = [length / width, width];
  const parts = () => (mask.of ?? []).map((part) => flexPattern(part, length, batch, read));
  switch (mask.type) {
    case 'full':
      return dense();
    case 'causal':
      return causal();
    case 'window':
      return window({ left, right });
    case 'dilated':
      return window({ left, right, dilation });
    case 'dilated_per_head':
      return perHead((mask.dilations ?? []).map((own) => window({ left, right, dilation: own })));
    case 'window_per_head':
      return perHead((mask.windows ?? []).map((own) => window(own)));
    case 'sink':
      return sinks(mask.sinks ?? 0);
    case 'longformer':
      return union(window(mask.one_sided ?? 0), globalTokens({ positions: mask.global_tokens ?? [] }));
    case 'strided':
      return strided(mask.stride ?? 0);
    case 'fixed':
      return fixed({ stride: mask.stride ?? 0, summary: mask.summary ?? 0 });
    case 'block_local':
      return blockLocal({ block, ...(mask.back === undefined ? {} : { back: mask.back }) });
    case 'bigbird':
      return bigBird({
        block,
        window: mask.window_blocks ?? 0,
        global: mask.global_blocks ?? 0,
        tables: nested(read('random_blocks')),
      });
    case 'axial':
      return axial({ grid, axes: mask.axis === 'cross' ? [0, 1] : mask.axis === 'row' ? [1] : [0] });
    case 'neighbourhood':
      return neighbourhood({ grid, radius: mask.radius ?? 0 });
    case 'document':
      return documents({ lengths: mask.lengths ?? [] });
    case 'prefix':
      return prefixLm(mask.prefix?.[batch] ?? 0);
    case 'key_padding': {
      const [start, end] = mask.keep?.[batch] ?? [0, 0];
      return columns({ start, count: end - start });
    }
    case 'and':
      return intersect(...parts());
    case 'or':
      return union(...parts());
    default:
      throw new RangeError(`no pattern for the mask ${JSON.stringify(mask)}`);
  }
}

/** The modifier of a case; undefined for none. `queries`: N. Throws for a score that is not known here. */
export function flexScore(score: FlexScore, queries: number, read: Read): ScoreModifier | undefined {
  const table = (name: string) => {
    const { data, shape } = read(name);
    return { data: data as Float32Array, shape };
  };
  switch (score.type) {
    case 'none':
      return undefined;
    case 'softcap':
      return softcap(score.cap ?? 0);
    case 'alibi':
      return alibi({ slopes: table('slopes').data, symmetric: score.symmetric === true });
    case 'alibi_softcap':
      return composeScores(softcap(score.cap ?? 0), alibi({ slopes: table('slopes').data }));
    case 'rel_table':
      return relativePositions(table('table'), { zero: queries - 1 });
    case 't5':
      return t5Buckets({
        table: table('table'),
        bidirectional: score.bidirectional === true,
        maxDistance: score.max_distance ?? 128,
      });
    case 'head_scale':
      return headScale(table('head_scale').data);
    default:
      throw new RangeError(`no modifier for the score ${score.type}`);
  }
}

/** A tensor [a, b, c] as nested lists. */
function nested({ shape, data }: GoldenTensor): number[][][] {
  const [a, b, c] = shape;
  return Array.from({ length: a }, (_, i) =>
    Array.from({ length: b }, (_, j) => [...data.slice((i * b + j) * c, (i * b + j + 1) * c)]),
  );
}
