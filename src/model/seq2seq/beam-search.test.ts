import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { ArgumentError } from '../../errors.ts';
import { beamSearch } from './beam-search.ts';

const VOCABULARY = 3;
const END = 0;

/** Log probabilities of the next token that depend on the whole output so far and a seed. */
function toy(seed: number) {
  const logits = (ids: readonly number[]) =>
    Array.from(
      { length: VOCABULARY },
      (_, id) => 2 * Math.sin(seed + 7.3 * id + ids.reduce((sum, own, i) => sum + (i + 1.7) * (own + 1), 0)),
    );
  return (ids: readonly number[]) => {
    const own = logits(ids);
    const total = Math.log(own.reduce((sum, logit) => sum + Math.exp(logit), 0));
    return Float32Array.from(own, (logit) => logit - total);
  };
}

/** Every output of at most `maxTokens` tokens, with what it is worth. */
function all(next: (ids: readonly number[]) => Float32Array, maxTokens: number, penalty: number) {
  const found: { ids: number[]; worth: number }[] = [];
  const visit = (ids: number[], score: number): void => {
    for (const [id, own] of next(ids).entries()) {
      const longer = [...ids, id];
      const sum = score + own;
      if (id === END || longer.length === maxTokens) found.push({ ids: longer, worth: sum / longer.length ** penalty });
      else visit(longer, sum);
    }
  };
  visit([], 0);
  return found.sort((a, b) => b.worth - a.worth);
}

describe('beamSearch', () => {
  it('finds the best of all outputs where it keeps them all', async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.float({ min: 0, max: 6, noNaN: true }),
        fc.constantFrom(0, 0.6, 1, 2),
        async (seed, lengthPenalty) => {
          const next = toy(seed);
          const options = {
            maxTokens: 4,
            lengthPenalty,
            endToken: END,
            next: async (all: readonly (readonly number[])[]) => all.map(next),
          };
          const [best] = all(next, 4, lengthPenalty);
          expect(await beamSearch({ ...options, beams: 100 })).toEqual(best?.ids);
        },
      ),
      { numRuns: 40 },
    );
  });

  it('is the greedy choice with one beam, up to the end token', async () => {
    for (const seed of [0.1, 1.2, 2.9, 4.4]) {
      const next = toy(seed);
      const greedy: number[] = [];
      while (greedy.length < 8 && greedy.at(-1) !== END) {
        const own = [...next(greedy)];
        greedy.push(own.indexOf(Math.max(...own)));
      }
      const got = await beamSearch({
        beams: 1,
        maxTokens: 8,
        lengthPenalty: 0,
        endToken: END,
        next: async (all) => all.map(next),
      });
      expect(got).toEqual(greedy);
    }
  });

  it('asks for no more outputs than it has beams, and refuses none', async () => {
    const asked: number[] = [];
    const next = toy(1);
    const options = { maxTokens: 6, lengthPenalty: 1, endToken: undefined };
    const ids = await beamSearch({
      ...options,
      beams: 4,
      next: async (all) => {
        asked.push(all.length);
        return all.map(next);
      },
    });
    expect(ids.length).toBe(6);
    expect(asked).toEqual([1, 3, 4, 4, 4, 4]);
    await expect(beamSearch({ ...options, beams: 0, next: async () => [] })).rejects.toThrow(ArgumentError);
  });
});
