/** The pairs that the layers of a decoder compute for a given pattern, and at which positions. */

import { ModelError } from '../errors.ts';
import { intersect, type Pattern, type Sinks, type Window } from '../pattern/index.ts';

/**
 * 'given': every key at its own distance. 'cached': StreamingLLM's positions (Xiao et al., "Efficient Streaming Language Models with
 * Attention Sinks", section 3.2): a key that is visible only as a sink is scored with the query rotated to position
 * min(q, L + S), where it stands in a cache of S sinks, L tokens and the query. 'auto': cached for texts beyond the model's context where the
 * pattern has the form for it, else given.
 */
export type Positions = 'given' | 'cached' | 'auto';

export interface DecoderPattern {
  readonly pattern: Pattern;
  /** Pairs scored at cached positions, disjoint from those of `pattern`. */
  readonly sinkPattern?: Pattern;
}

/** What decides how a decoder reads. */
export interface DecoderPatternOptions {
  readonly pattern: Pattern;
  readonly positions: Positions;
  /** Tokens that will be read. */
  readonly length: number;
  /** Positions that the model was trained on. */
  readonly context: number;
}

export interface ResolvedPositions {
  readonly positions: 'given' | 'cached';
  /** For cached positions: the largest position from which a query looks at a sink, L + S. */
  readonly farthest: number;
}

/** Settles 'auto'. @throws ModelError where 'cached' is asked for and the pattern is not a union of sinks and a window. */
export function resolvePositions(options: DecoderPatternOptions): ResolvedPositions {
  const { positions, pattern, length, context } = options;
  const parts = streamingParts(pattern);
  if (positions === 'given' || (positions === 'auto' && (parts === undefined || length <= context))) {
    return { positions: 'given', farthest: Infinity };
  }
  if (parts === undefined) {
    throw new ModelError(
      'positions "cached" needs a pattern of sinks and a window, such as sinks:4+window:1024; for others use "given"',
    );
  }
  return { positions: 'cached', farthest: parts.window.left + parts.sinks.count };
}

/** The patterns of a layer that by itself sees `own` (causal, or a causal window). */
export function decoderPattern(
  own: Pattern,
  pattern: Pattern,
  positions: ResolvedPositions['positions'],
): DecoderPattern {
  const parts = positions === 'cached' ? streamingParts(pattern) : undefined;
  if (parts === undefined) return { pattern: intersect(own, pattern) };
  return {
    pattern: intersect(own, parts.window),
    sinkPattern: intersect(own, parts.sinks, { kind: 'complement', of: parts.window }),
  };
}

/** Sinks and window of a pattern that is their union, perhaps cut to the past. */
function streamingParts(pattern: Pattern): { readonly sinks: Sinks; readonly window: Window } | undefined {
  if (pattern.kind === 'intersect') {
    const rest = pattern.of.filter((part) => part.kind !== 'causal');
    const [only] = rest;
    return rest.length === 1 && only !== undefined ? streamingParts(only) : undefined;
  }
  if (pattern.kind !== 'union' || pattern.of.length !== 2) return undefined;
  const sinks = pattern.of.find((part) => part.kind === 'sinks');
  const window = pattern.of.find((part) => part.kind === 'window');
  return sinks === undefined || window === undefined || (window.dilation ?? 1) !== 1 ? undefined : { sinks, window };
}
