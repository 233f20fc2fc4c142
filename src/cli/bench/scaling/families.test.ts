import { expect, it } from 'vitest';
import { attentionCost } from '../../../mask/index.ts';
import { families } from './families.ts';

/** Pairs of one head by the formulas of docs/complexity.md. */
const formulas: Readonly<Record<string, (n: number) => number>> = {
  window: (n) => banded(n, 256),
  'sinks+window': (n) => (512 * 513) / 2 + (n - 512) * (512 + 4) - (4 * 3) / 2,
  'log-window': (n) => banded(n, 32 * Math.log2(n)),
  'sqrt-window': (n) => banded(n, Math.sqrt(n)),
  causal: (n) => (n * (n + 1)) / 2,
  dense: (n) => n ** 2,
};

function banded(n: number, w: number): number {
  return n * (2 * w + 1) - w * (w + 1);
}

it.each([1024, 4096, 16_384])('families have the pairs of docs/complexity.md at %i tokens', (n) => {
  for (const { name, pattern } of families) {
    const { pairs } = attentionCost(pattern(n), { queries: n }).pattern;
    const formula = formulas[name];
    if (formula !== undefined) expect(pairs, name).toBe(formula(n));
    // Bounds for those that the page gives only about.
    if (name === 'doubling') expect(pairs / (n * (33 + 16 * Math.log2(n / 32)))).toBeGreaterThan(0.85);
    if (name === 'doubling') expect(pairs / (n * (33 + 16 * Math.log2(n / 32)))).toBeLessThan(1);
    if (name === 'strided') expect(Math.abs(pairs / (1.5 * n ** 1.5) - 1)).toBeLessThan(0.03);
  }
  expect(families.filter(({ name }) => !(name in formulas)).map(({ name }) => name)).toEqual(['doubling', 'strided']);
});
