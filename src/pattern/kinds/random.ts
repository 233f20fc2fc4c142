/** Seeded random pairs, and BigBird, which has some. */
import { PatternError } from '../../errors.ts';
import type { Pattern } from '../pattern.ts';
import { count, counts, type Field, flag, type KindDefinition, positive, seed } from './definition.ts';
import { drawDistinct, headSeed } from './random-draw.ts';

/**
 * Every query q >= 0 sees `count` random keys: drawn from the first `length` positions, or without a length from those up to
 * its own. With `perHead` every head draws for itself.
 */
export interface RandomTokens {
  readonly kind: 'randomTokens';
  readonly count: number;
  readonly seed: number;
  readonly length?: number;
  readonly perHead?: true;
}

/**
 * The same for blocks: query block i sees `count` random key blocks: of the first `blocks`, or without that of the blocks 0 to i.
 * The first `global` blocks, and those within floor(window / 2) of i where `window` is above 0, are not drawn.
 */
export interface RandomBlocks {
  readonly kind: 'randomBlocks';
  readonly block: number;
  readonly count: number;
  readonly seed: number;
  readonly blocks?: number;
  readonly window?: number;
  readonly global?: number;
  readonly perHead?: true;
}

/**
 * BigBird, internal transformer construction (Zaheer et al. 2020, section 2), over blocks x of queries and y
 * of keys: |x - y| <= floor(window / 2), or x or y is one of the first `global` blocks, or y is one of x's `random` blocks.
 * Those are drawn from the first `blocks` blocks, or from those up to x, without the window and the global blocks; or they
 * are `table[x]`. With `perHead` every head draws for itself.
 */
export interface BigBird {
  readonly kind: 'bigBird';
  readonly block: number;
  readonly window: number;
  readonly global: number;
  readonly random?: number;
  readonly seed?: number;
  readonly blocks?: number;
  readonly perHead?: true;
  readonly table?: readonly (readonly number[])[];
}

const optionalCount: Field = { ...count, optional: true };

/** The keys that query q draws. */
export function randomKeys(pattern: RandomTokens, q: number): number[] {
  return q < 0 ? [] : drawDistinct(pattern.seed, q, pattern.count, pattern.length ?? q + 1);
}

/** The key blocks that query block i draws. */
export function randomKeyBlocks(pattern: RandomBlocks, i: number): number[] {
  if (i < 0) return [];
  const { seed, count, blocks: end = i + 1, window = 0, global = 0 } = pattern;
  const side = Math.floor(window / 2);
  const skipStart = Math.min(end, Math.max(global, i - side));
  const skipEnd = window === 0 ? skipStart : Math.min(end, Math.max(global, i + side + 1));
  const skipped = skipEnd - skipStart;
  const drawn = drawDistinct(seed, i, count, Math.max(0, end - global - skipped));
  return drawn.map((index) => (global + index < skipStart ? global + index : global + index + skipped));
}

/** The part of BigBird that is drawn at random. */
function drawnPart({ block, window, global, random = 0, seed = 0, blocks }: BigBird): RandomBlocks {
  const pattern: RandomBlocks = { kind: 'randomBlocks', block, count: random, seed, window, global };
  return blocks === undefined ? pattern : { ...pattern, blocks };
}

/** The pattern that one head has: with `perHead`, one with that head's own seed. */
export function seededFor<P extends RandomTokens | RandomBlocks | BigBird>(pattern: P, head: number): P {
  const { perHead, ...rest } = pattern;
  return perHead ? ({ ...rest, seed: headSeed(pattern.seed ?? 0, head) } as P) : pattern;
}

export const randomTokensDefinition: KindDefinition<RandomTokens> = {
  fields: { count, seed, length: optionalCount, perHead: flag },
  allows: (pattern, { head, q, k }) => randomKeys(seededFor(pattern, head), q).includes(k),
  length: ({ length }) => length,
};

export const randomBlocksDefinition: KindDefinition<RandomBlocks> = {
  fields: {
    block: positive,
    count,
    seed,
    blocks: optionalCount,
    window: optionalCount,
    global: optionalCount,
    perHead: flag,
  },
  allows: (pattern, { head, q, k }) =>
    randomKeyBlocks(seededFor(pattern, head), Math.floor(q / pattern.block)).includes(Math.floor(k / pattern.block)),
};

export const bigBirdDefinition: KindDefinition<BigBird> = {
  fields: {
    block: positive,
    window: count,
    global: count,
    random: optionalCount,
    seed: { ...seed, optional: true },
    blocks: optionalCount,
    perHead: flag,
    table: { type: 'list', item: counts, optional: true },
  },
  check({ random, seed: own, blocks, perHead, table }, name) {
    if (table === undefined && (random ?? 0) > 0 && own === undefined) {
      throw new PatternError(`${name('seed')} is missing; random blocks need a seed or a table`);
    }
    for (const [field, value] of Object.entries({ random, seed: own, blocks, perHead })) {
      if (table !== undefined && value !== undefined) {
        throw new PatternError(
          `${name(field)} is ${String(value)} beside a table; a table says which blocks there are`,
        );
      }
    }
  },
  allows(pattern, { head, q, k }) {
    const { block, window, global, table } = pattern;
    const [x, y] = [Math.floor(q / block), Math.floor(k / block)];
    if (window > 0 && Math.abs(x - y) <= Math.floor(window / 2)) return true;
    if ((x >= 0 && x < global) || y < global) return true;
    if (table !== undefined) return table[x]?.includes(y) ?? false;
    return randomKeyBlocks(drawnPart(seededFor(pattern, head)), x).includes(y);
  },
  expand(pattern) {
    const { block, window, global, random = 0, table } = pattern;
    const side = Math.floor(window / 2);
    const of: Pattern[] = [];
    if (window > 0) of.push({ kind: 'blockLocal', block, back: side, ahead: side });
    if (global > 0) {
      of.push({ kind: 'columns', start: 0, count: global * block }, { kind: 'rows', start: 0, count: global * block });
    }
    if (table !== undefined) of.push({ kind: 'blocks', block, table });
    else if (random > 0) of.push(drawnPart(pattern));
    return { kind: 'union', of };
  },
};
