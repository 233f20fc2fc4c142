/** Child et al., "Generating Long Sequences with Sparse Transformers" (2019). */
import { PatternError } from '../../errors.ts';
import { count, type KindDefinition, positive } from './definition.ts';

/** Sparse Transformer, section 4.3, strided: k <= q and (q - k < stride or q - k is a multiple of stride). */
export interface Strided {
  readonly kind: 'strided';
  readonly stride: number;
}

/**
 * Sparse Transformer, section 4.3, fixed: k <= q, and k is in the block of q (of `stride` tokens), or one of the `summary`
 * columns (c in the paper) of its own block: stride - offset - summary <= k mod stride < stride - offset. The paper gives
 * each head summary columns of its own: `offset` counts from the end of the block. Default 0.
 */
export interface Fixed {
  readonly kind: 'fixed';
  readonly stride: number;
  readonly summary: number;
  readonly offset?: number;
}

/** Steps that reach past any position. */
const EVER = 2 ** 50;

export const stridedDefinition: KindDefinition<Strided> = {
  fields: { stride: positive },
  allows: ({ stride }, { q, k }) => k <= q && (q - k < stride || (q - k) % stride === 0),
  expand: ({ stride }) => ({
    kind: 'union',
    of: [
      { kind: 'window', left: stride - 1, right: 0 },
      { kind: 'window', left: Math.floor(EVER / stride), right: 0, dilation: stride },
    ],
  }),
};

export const fixedDefinition: KindDefinition<Fixed> = {
  fields: { stride: positive, summary: count, offset: { ...count, optional: true } },
  check({ stride, summary, offset = 0 }, name) {
    if (offset + summary > stride) {
      throw new PatternError(
        `${name('summary')} is ${summary}; with offset ${offset} it must not exceed the stride ${stride}`,
      );
    }
  },
  allows({ stride, summary, offset = 0 }, { q, k }) {
    const column = k % stride;
    const isSummary = stride - offset - summary <= column && column < stride - offset;
    return k <= q && (Math.floor(q / stride) === Math.floor(k / stride) || isSummary);
  },
  expand: ({ stride, summary, offset = 0 }) => ({
    kind: 'intersect',
    of: [
      { kind: 'causal' },
      {
        kind: 'union',
        of: [
          { kind: 'blockLocal', block: stride },
          { kind: 'columns', start: stride - offset - summary, count: summary, period: stride },
        ],
      },
    ],
  }),
};
