import { FarfieldError } from '../../../src/errors.ts';
import { type BlockMask, compileMask, type Estimate, graphMeasures } from '../../../src/mask/index.ts';
import { type Pattern, randomTokens, union } from '../../../src/pattern/index.ts';
import { isCausal } from '../engine/causality.ts';

/** Random edges that the curve adds to each token. */
export const RANDOM_COUNTS: readonly number[] = [0, 1, 2, 3, 4, 6, 8, 12, 16];

/** The curve measures at most so many tokens, as it measures them nine times. */
export const CURVE_TOKENS = 1024;
/** Most tokens for which the curve takes all eigenvalues. */
const EXACT_SPECTRUM = 256;

export interface RandomPoint {
  /** k: random keys that each token reads more. */
  readonly count: number;
  readonly tokens: number;
  /** Mean shortest path over the pairs that have one; null where none has. */
  readonly path: Estimate | null;
  /** Whether every pair has a path. */
  readonly isConnected: boolean;
  readonly gap: Estimate;
}

/**
 * The pattern with `count` random keys for each query, drawn with `seed` (Big Bird, section 2: a window and random edges). A
 * pattern in which no query sees a later key stays one: its keys are drawn from those up to the query.
 */
export function withRandomEdges(
  pattern: Pattern,
  count: number,
  shape: { readonly tokens: number; readonly heads: number; readonly seed?: number },
): Pattern {
  if (count === 0) return pattern;
  const { tokens, heads, seed = 1 } = shape;
  const staysCausal = isCausal(pattern, tokens, heads);
  const random = randomTokens(staysCausal ? { count, seed } : { count: Math.min(count, tokens), seed, length: tokens });
  return union(pattern, random);
}

/** Path length and spectral gap for each of `counts`, one after the other. Throws what compileMask throws. */
export function* randomCurve(
  pattern: Pattern,
  { tokens, heads }: { readonly tokens: number; readonly heads: number },
  counts: readonly number[] = RANDOM_COUNTS,
): Generator<RandomPoint> {
  const length = curveLength(pattern, tokens, heads);
  for (const count of counts) {
    const own = withRandomEdges(pattern, count, { tokens: length, heads });
    const measures = graphMeasures(maskOf(own, length, heads), { exactSpectrumLength: EXACT_SPECTRUM });
    yield {
      count,
      tokens: length,
      path: measures.averageShortestPathReachable,
      isConnected: measures.components === 1,
      gap: measures.spectralGap,
    };
  }
}

/** CURVE_TOKENS, or all of them where the pattern is meant for that many and no others. */
function curveLength(pattern: Pattern, tokens: number, heads: number): number {
  if (tokens <= CURVE_TOKENS) return tokens;
  try {
    compileMask(pattern, { queries: CURVE_TOKENS, keys: CURVE_TOKENS, heads });
    return CURVE_TOKENS;
  } catch (error) {
    if (error instanceof FarfieldError) return tokens;
    throw error;
  }
}

function maskOf(pattern: Pattern, tokens: number, heads: number): BlockMask {
  return compileMask(pattern, { queries: tokens, keys: tokens, heads, length: Infinity });
}
