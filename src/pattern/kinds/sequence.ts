/** Several sequences in one, and one sequence at places or in an order of its own. */
import { counted } from '../../counted.ts';
import { PatternError } from '../../errors.ts';
import type { Pair } from '../allows.ts';
import type { Pattern } from '../pattern.ts';
import { anyInteger, counts, type KindDefinition } from './definition.ts';

/**
 * Packed documents (Krell et al. 2021): q and k are in the same one. Document i has `lengths[i]` tokens from
 * `starts[i]` on; without starts, one stands after the other from 0 on. A token in no document sees nothing and is not seen.
 */
export interface Documents {
  readonly kind: 'documents';
  readonly lengths: readonly number[];
  readonly starts?: readonly number[];
}

/** Same group: ids[q] = ids[k] >= 0. Tokens with a negative id, and those beyond the list, are in no group. */
export interface Groups {
  readonly kind: 'groups';
  readonly ids: readonly number[];
}

/** Causal by positions that are given: positions[k] <= positions[q]. Tokens beyond the list are in no pair. */
export interface Ordered {
  readonly kind: 'ordered';
  readonly positions: readonly number[];
}

/** `of` moved: query q and key k attend where q - queries and k - keys do; keys before position `keys` are in no pair. */
export interface Shift {
  readonly kind: 'shift';
  readonly queries: number;
  readonly keys: number;
  readonly of: Pattern;
}

/** Where each document starts. */
export function documentStarts({ lengths, starts }: Documents): readonly number[] {
  if (starts !== undefined) return starts;
  let next = 0;
  return lengths.map((length) => {
    const start = next;
    next += length;
    return start;
  });
}

export const documentsDefinition: KindDefinition<Documents> = {
  fields: { lengths: counts, starts: { ...counts, optional: true } },
  check({ lengths, starts }, name) {
    if (starts === undefined) return;
    if (starts.length !== lengths.length) {
      throw new PatternError(
        `${name('starts')} has ${counted(starts.length, 'number')}; it must have one for each of ${counted(lengths.length, 'length')}`,
      );
    }
    for (let i = 1; i < starts.length; i++) {
      const end = (starts[i - 1] ?? 0) + (lengths[i - 1] ?? 0);
      if ((starts[i] ?? 0) >= end) continue;
      throw new PatternError(
        `${name('starts')}[${i}] is ${starts[i]}; document ${i - 1} ends at ${end}, and documents must not overlap`,
      );
    }
  },
  allows(pattern, { q, k }) {
    const starts = documentStarts(pattern);
    return pattern.lengths.some((length, i) => {
      const start = starts[i] ?? 0;
      return start <= q && q < start + length && start <= k && k < start + length;
    });
  },
  length: ({ lengths, starts }) => (starts ? undefined : lengths.reduce((sum, length) => sum + length, 0)),
};

export const groupsDefinition: KindDefinition<Groups> = {
  fields: { ids: { type: 'list', item: anyInteger } },
  allows: ({ ids }, { q, k }) => (ids[q] ?? -1) >= 0 && ids[q] === ids[k],
  length: ({ ids }) => ids.length,
};

export const orderedDefinition: KindDefinition<Ordered> = {
  fields: { positions: { type: 'list', item: anyInteger } },
  allows: ({ positions }, { q, k }) => (positions[k] ?? Infinity) <= (positions[q] ?? -Infinity),
  length: ({ positions }) => positions.length,
};

/** `shift` without its definition, which needs that of every other kind: see allows.ts. */
export function shiftDefinition(allows: (pattern: Pattern, pair: Pair) => boolean): KindDefinition<Shift> {
  return {
    fields: { queries: anyInteger, keys: anyInteger, of: { type: 'pattern' } },
    allows: ({ queries, keys, of }, { head, q, k }) => k >= keys && allows(of, { head, q: q - queries, k: k - keys }),
  };
}
