import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { ArgumentError } from '../../errors.ts';
import { beamSearch } from './beam-search.ts';
import { checkConstraints, constrain, type OutputConstraints } from './constraints.ts';

const [VOCABULARY, END] = [4, 0];

function allowed(prefix: number[], ids: number[], constraints: OutputConstraints, maxTokens = 100): number[] {
  const scores = new Float32Array(VOCABULARY);
  constrain(scores, { prefix, ids, maxTokens, endToken: END }, constraints);
  return Array.from(scores.keys()).filter((id) => scores[id] === 0);
}

/** The runs of `size` tokens. */
const runs = (ids: readonly number[], size: number) => ids.slice(size - 1).map((_, i) => ids.slice(i, i + size).join());

describe('constrain', () => {
  it('allows just the tokens after which no run appears twice', () => {
    const tokens = fc.array(fc.integer({ min: 0, max: VOCABULARY - 1 }), { maxLength: 12 });
    fc.assert(
      fc.property(tokens, fc.integer({ min: 1, max: 4 }), (ids, noRepeat) => {
        const before = runs([2, ...ids], noRepeat);
        const wanted = Array.from({ length: VOCABULARY }, (_, id) => id).filter((id) => {
          const added = runs([2, ...ids, id], noRepeat).slice(before.length);
          return added.every((run) => !before.includes(run));
        });
        expect(allowed([2], ids, { noRepeat })).toEqual(wanted);
      }),
    );
  });

  it('keeps the end away until the shortest length, and sets the first and the last token', () => {
    expect(allowed([2], [1], { minTokens: 3 })).toEqual([1, 2, 3]);
    expect(allowed([2], [1, 1], { minTokens: 3 })).toEqual([0, 1, 2, 3]);
    expect(allowed([2], [], { firstToken: 3 })).toEqual([3]);
    expect(allowed([2], [3, 1], { firstToken: 3, lastToken: END }, 3)).toEqual([END]);
    expect(allowed([2], [3], { firstToken: 3, lastToken: END }, 3)).toEqual([0, 1, 2, 3]);
    // Of one token, which is both, the last one counts where it is given.
    expect(allowed([2], [], { firstToken: 3 }, 1)).toEqual([3]);
    expect(allowed([2], [], { firstToken: 3, lastToken: END }, 1)).toEqual([END]);
  });

  it('makes a token that is set certain, so that outputs are not ranked by it', async () => {
    const scores = Float32Array.of(-1, -2, -3, -4);
    constrain(scores, { prefix: [2], ids: [], maxTokens: 9, endToken: END }, { firstToken: 3 });
    expect([...scores]).toEqual([-Infinity, -Infinity, -Infinity, 0]);
    // After token 3, the end at once has -1.5 by itself; with token 1, and then the end that is set, -1 in all, which is more for each token.
    const next = async (outputs: readonly (readonly number[])[]) =>
      outputs.map((ids) => {
        const own = ids.length === 2 ? Float32Array.of(-9, -1, -9, -9) : Float32Array.of(-1.5, -1, -9, -9);
        constrain(own, { prefix: [2], ids, maxTokens: 3, endToken: END }, { firstToken: 3, lastToken: END });
        return own;
      });
    expect(await beamSearch({ beams: 2, maxTokens: 3, lengthPenalty: 1, endToken: END, next })).toEqual([3, 1, END]);
  });

  it('holds in a beam search, which gives nothing where nothing may follow', async () => {
    const next = async (outputs: readonly (readonly number[])[]) =>
      outputs.map((ids) => {
        const scores = Float32Array.of(-0.1, -3, -4, -5);
        constrain(scores, { prefix: [], ids, maxTokens: 9, endToken: END }, { minTokens: 5, noRepeat: 2 });
        return scores;
      });
    const found = await beamSearch({ beams: 3, maxTokens: 9, lengthPenalty: 1, endToken: END, next });
    expect(found.length).toBeGreaterThanOrEqual(5);
    expect(new Set(runs(found, 2)).size).toBe(found.length - 1);
    const none = async (outputs: readonly (readonly number[])[]) =>
      outputs.map(() => new Float32Array(4).fill(-Infinity));
    expect(await beamSearch({ beams: 2, maxTokens: 3, lengthPenalty: 1, endToken: END, next: none })).toEqual([]);
  });

  it('refuses numbers that are impossible', () => {
    expect(() => checkConstraints({ minTokens: 1.5 }, 9)).toThrow(ArgumentError);
    expect(() => checkConstraints({ noRepeat: -1 }, 9)).toThrow('noRepeat is -1');
    expect(() => checkConstraints({ minTokens: 10 }, 9)).toThrow('minTokens is 10 and maxTokens 9');
  });
});
