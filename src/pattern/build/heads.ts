/** Different patterns for different heads and layers. */
import { PatternError } from '../../errors.ts';
import { checkPattern } from '../check.ts';
import { causal, dense, globalTokens, intersect, sinks, union, window } from '../constructors.ts';
import type { Pattern, PerHead } from '../pattern.ts';
import { checkInteger, checkList, show } from '../values.ts';
import { randomTokens } from './blocks.ts';
import { made } from './made.ts';
import { strided } from './sparse.ts';

/** How many heads have which pattern, and the settings that those share. */
export interface HybridHeads {
  /** Heads with a window of `size` tokens to either side. */
  readonly window?: number;
  /** Heads with a window of `size` steps of `dilation` tokens. */
  readonly dilated?: number;
  /** Heads with the window and global tokens at `positions`. */
  readonly global?: number;
  /** Heads with the window and the first `sinkCount` tokens. */
  readonly sinks?: number;
  /** Heads strided by `stride` (causal by definition). */
  readonly strided?: number;
  /** Heads with `randomCount` random keys for every query, drawn from the past by `seed`, each head for itself. */
  readonly random?: number;
  /** Heads that see everything. */
  readonly dense?: number;
  /** Heads with a pattern of your own, after all others. */
  readonly others?: readonly { readonly heads: number; readonly pattern: Pattern }[];
  /** Default 256. */
  readonly size?: number;
  /** Default 4. */
  readonly dilation?: number;
  /** Default [0]. */
  readonly positions?: readonly number[];
  /** Default 4. */
  readonly sinkCount?: number;
  /** Default 128. */
  readonly stride?: number;
  /** Default 16. */
  readonly randomCount?: number;
  /** Default 0. */
  readonly seed?: number;
  /** Cuts all heads to the past. Default false. */
  readonly causal?: boolean;
}

/**
 * Heads of several kinds from one object: `hybridHeads({ window: 4, dilated: 2, global: 2, size: 128 })` is a perHead of eight,
 * in the order of HybridHeads. Throws PatternError where a number of heads is none, or all are 0.
 */
export function hybridHeads(options: HybridHeads): PerHead {
  const {
    size = 256,
    dilation = 4,
    positions = [0],
    sinkCount = 4,
    stride = 128,
    randomCount = 16,
    seed = 0,
  } = options;
  const kinds: readonly [string, number | undefined, () => Pattern][] = [
    ['window', options.window, () => window(size)],
    ['dilated', options.dilated, () => window({ left: size, right: size, dilation })],
    ['global', options.global, () => union(window(size), globalTokens({ positions }))],
    ['sinks', options.sinks, () => union(window(size), sinks(sinkCount))],
    ['strided', options.strided, () => strided(stride)],
    ['random', options.random, () => randomTokens({ count: randomCount, seed, perHead: true })],
    ['dense', options.dense, () => dense()],
    ...(options.others ?? []).map(
      ({ heads, pattern }, i) => [`others[${i}].heads`, heads, () => pattern] as [string, number, () => Pattern],
    ),
  ];
  const heads: Pattern[] = [];
  for (const [name, count = 0, pattern] of kinds) {
    checkInteger(`hybridHeads ${name}`, count);
    if (count === 0) continue;
    const own = options.causal ? intersect(causal(), pattern()) : pattern();
    for (let i = 0; i < count; i++) heads.push(own);
  }
  if (heads.length === 0) throw new PatternError('hybridHeads: no head; give one of the kinds a number of heads');
  return made<PerHead>({ kind: 'perHead', heads });
}

/** A pattern for each layer of a model: layer l uses `layers[l % layers.length]`. */
export interface PerLayer {
  readonly kind: 'perLayer';
  readonly layers: readonly Pattern[];
}

/** Different patterns for the layers of a model, in turn. Resolve it with layerPattern before compiling. Throws PatternError. */
export function perLayer(layers: readonly Pattern[]): PerLayer {
  checkList('perLayer layers', layers, 1);
  for (const pattern of layers) checkPattern(pattern);
  return { kind: 'perLayer', layers: [...layers] };
}

/** The pattern of one layer: of a perLayer its entry, of a pattern that pattern. Throws PatternError for a bad number. */
export function layerPattern(pattern: Pattern | PerLayer, layer: number): Pattern {
  checkInteger('layerPattern layer', layer);
  if (pattern.kind !== 'perLayer') return pattern;
  const own = pattern.layers[layer % pattern.layers.length];
  if (own === undefined)
    throw new PatternError(`perLayer layers is ${show(pattern.layers)}; it must be a list of at least 1`);
  return own;
}
