import { describe, expect, it } from 'vitest';
import { ArgumentError } from '../errors.ts';
import { sampler } from './sampling.ts';

/** Logits of the given probabilities, plus a constant that must not matter. */
const logitsOf = (...probabilities: number[]) => Float32Array.from(probabilities, (p) => Math.log(p) + 7);

/** The share of each token among `count` draws. */
function shares(next: (logits: Float32Array) => number, logits: Float32Array, count = 20_000): number[] {
  const drawn = logits.map(() => 0);
  for (let i = 0; i < count; i++) {
    const id = next(logits);
    drawn[id] = (drawn[id] ?? 0) + 1;
  }
  return Array.from(drawn, (n) => n / count);
}

function expectShares(got: number[], want: number[]): void {
  // Five standard deviations of a share of 20,000 draws.
  for (const [i, share] of want.entries()) expect(Math.abs((got[i] ?? 0) - share)).toBeLessThan(0.018);
  for (const [i, share] of want.entries()) if (share === 0) expect(got[i]).toBe(0);
}

describe('sampler', () => {
  const logits = logitsOf(0.1, 0.5, 0.15, 0.25);

  it('takes the most probable token at temperature 0, the first of equal ones', () => {
    expect(sampler({})(logits)).toBe(1);
    expect(sampler({})(logitsOf(0.2, 0.4, 0.4))).toBe(1);
  });

  it('draws by probability', () => {
    expectShares(shares(sampler({ temperature: 1 }), logits), [0.1, 0.5, 0.15, 0.25]);
    const squared = [0.01, 0.25, 0.0225, 0.0625].map((p) => p / 0.345);
    expectShares(shares(sampler({ temperature: 0.5 }), logits), squared);
  });

  it('leaves out what topK and topP leave out', () => {
    expectShares(shares(sampler({ temperature: 1, topK: 2 }), logits), [0, 2 / 3, 0, 1 / 3]);
    expectShares(shares(sampler({ temperature: 1, topP: 0.7 }), logits), [0, 2 / 3, 0, 1 / 3]);
    expectShares(shares(sampler({ temperature: 1, topP: 0.76 }), logits), [0, 5 / 9, 1.5 / 9, 2.5 / 9]);
    expectShares(shares(sampler({ temperature: 1, topP: 0.1 }), logits), [0, 1, 0, 0]);
  });

  it('repeats itself with the same seed only', () => {
    const draw = (seed: number) => {
      const next = sampler({ temperature: 1, seed });
      return Array.from({ length: 50 }, () => next(logits)).join('');
    };
    expect(draw(3)).toBe(draw(3));
    expect(draw(3)).not.toBe(draw(4));
  });

  it.each([
    [{ temperature: -1 }, 'temperature is -1'],
    [{ temperature: Number.NaN }, 'temperature is NaN'],
    [{ topK: 0 }, 'topK is 0'],
    [{ topP: 0 }, 'topP is 0'],
    [{ topP: 1.5 }, 'topP is 1.5'],
  ])('refuses %j', (options, message) => {
    expect(() => sampler(options)).toThrow(ArgumentError);
    expect(() => sampler(options)).toThrow(message);
  });
});
