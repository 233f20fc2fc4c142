/** Patterns over blocks of tokens of a side of their own. */
import { PatternError } from '../../errors.ts';
import { count, counts, type KindDefinition, positive } from './definition.ts';

/** Local blocks (Image Transformer, "Local Self-Attention"): -ahead <= floor(q / block) - floor(k / block) <= back. Defaults 0. */
export interface BlockLocal {
  readonly kind: 'blockLocal';
  readonly block: number;
  readonly back?: number;
  readonly ahead?: number;
}

/** A table of blocks: query block i sees the key blocks `table[i]`; q >= 0. With block 1 a table of keys. */
export interface Blocks {
  readonly kind: 'blocks';
  readonly block: number;
  readonly table: readonly (readonly number[])[];
}

/** BlockBERT (Qiu et al. 2020): floor(k / block) = permutation[floor(q / block)]. */
export interface BlockPermutation {
  readonly kind: 'blockPermutation';
  readonly block: number;
  readonly permutation: readonly number[];
}

export const blockLocalDefinition: KindDefinition<BlockLocal> = {
  fields: { block: positive, back: { ...count, optional: true }, ahead: { ...count, optional: true } },
  allows({ block, back = 0, ahead = 0 }, { q, k }) {
    const distance = Math.floor(q / block) - Math.floor(k / block);
    return -ahead <= distance && distance <= back;
  },
};

export const blocksDefinition: KindDefinition<Blocks> = {
  fields: { block: positive, table: { type: 'list', item: counts } },
  allows: ({ block, table }, { q, k }) => table[Math.floor(q / block)]?.includes(Math.floor(k / block)) ?? false,
};

export const blockPermutationDefinition: KindDefinition<BlockPermutation> = {
  fields: { block: positive, permutation: counts },
  check({ permutation }, name) {
    const seen = new Set<number>();
    for (const [i, value] of permutation.entries()) {
      if (value >= permutation.length || seen.has(value)) {
        const what = value >= permutation.length ? 'beyond the last block' : 'there twice';
        throw new PatternError(
          `${name('permutation')}[${i}] is ${value}, ${what}; the list must have each of 0 to ${permutation.length - 1} once`,
        );
      }
      seen.add(value);
    }
  },
  allows: ({ block, permutation }, { q, k }) => Math.floor(k / block) === permutation[Math.floor(q / block)],
  expand: ({ block, permutation }) => ({ kind: 'blocks', block, table: permutation.map((value) => [value]) }),
};
