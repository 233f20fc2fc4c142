/** Patterns of decoders, all cut to the past, and LongT5's encoder. */
import { count, counts, type KindDefinition } from './definition.ts';

/** Prefix LM (T5: Raffel et al. 2020, section 3.2.1): k <= q or k < prefix. */
export interface PrefixLm {
  readonly kind: 'prefixLm';
  readonly prefix: number;
}

/** A-shape (MInference: Jiang et al. 2024): k <= q, and k < sinks or q - k <= window. */
export interface AShape {
  readonly kind: 'aShape';
  readonly sinks: number;
  readonly window: number;
}

/** Vertical-slash (MInference: Jiang et al. 2024): k <= q, and k in `vertical` or q - k in `slash`. */
export interface VerticalSlash {
  readonly kind: 'verticalSlash';
  readonly vertical: readonly number[];
  readonly slash: readonly number[];
}

/**
 * The fixed part of LongT5's transient global attention (Guo et al. 2022): keys are the summaries of all blocks
 * (the first `summaries` keys), then the tokens: k < summaries or |q - k| <= radius. With M = summaries + N keys the tokens
 * of queries and keys are aligned, because a mask aligns them at the end.
 */
export interface TransientGlobal {
  readonly kind: 'transientGlobal';
  readonly summaries: number;
  readonly radius: number;
}

export const prefixLmDefinition: KindDefinition<PrefixLm> = {
  fields: { prefix: count },
  allows: ({ prefix }, { q, k }) => k <= q || k < prefix,
  expand: ({ prefix }) => ({ kind: 'union', of: [{ kind: 'causal' }, { kind: 'sinks', count: prefix }] }),
};

export const aShapeDefinition: KindDefinition<AShape> = {
  fields: { sinks: count, window: count },
  allows: ({ sinks, window }, { q, k }) => k <= q && (k < sinks || q - k <= window),
  expand: ({ sinks, window }) => ({
    kind: 'union',
    of: [
      { kind: 'intersect', of: [{ kind: 'sinks', count: sinks }, { kind: 'causal' }] },
      { kind: 'window', left: window, right: 0 },
    ],
  }),
};

export const verticalSlashDefinition: KindDefinition<VerticalSlash> = {
  fields: { vertical: counts, slash: counts },
  allows: ({ vertical, slash }, { q, k }) => k <= q && (vertical.includes(k) || slash.includes(q - k)),
  expand: ({ vertical, slash }) => ({
    kind: 'union',
    of: [
      { kind: 'intersect', of: [{ kind: 'global', positions: vertical, direction: 'keys' }, { kind: 'causal' }] },
      { kind: 'diagonals', offsets: slash },
    ],
  }),
};

export const transientGlobalDefinition: KindDefinition<TransientGlobal> = {
  fields: { summaries: count, radius: count },
  allows: ({ summaries, radius }, { q, k }) => k < summaries || Math.abs(q - k) <= radius,
  expand: ({ summaries, radius }) => ({
    kind: 'union',
    of: [
      { kind: 'sinks', count: summaries },
      { kind: 'window', left: radius, right: radius },
    ],
  }),
};
