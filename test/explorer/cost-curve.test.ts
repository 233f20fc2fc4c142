import { describe, expect, it } from 'vitest';
import { type CostPart, type CostQuestion, costCurve } from '../../explorer/src/cost/cost-curve.ts';
import { attentionCost, compileMask, statistics } from '../../src/mask/index.ts';
import { parsePattern } from '../../src/pattern/index.ts';

const question = (pattern: string, tokens: number): CostQuestion => ({
  pattern,
  tokens,
  heads: 3,
  width: 32,
  bytesPerNumber: 2,
});

const pointsOf = (parts: readonly CostPart[]) => parts.flatMap((part) => (part.kind === 'point' ? [part.point] : []));

describe('the cost of a pattern', () => {
  it('is that of statistics() and attentionCost() for the same mask, at the length asked for and along the curve', () => {
    const text = 'causal&(sinks:4+window:64)';
    const parts = [...costCurve(question(text, 1000))];
    const [first] = parts;
    if (first.kind !== 'figures') throw new Error('the figures come first');
    const options = { queryWidth: 32, bytesPerNumber: 2 };
    const maskOf = (tokens: number) => compileMask(parsePattern(text), { queries: tokens, keys: tokens, heads: 3 });
    expect(first.figures.statistics).toEqual(statistics(maskOf(1000)));
    expect(first.figures.cost).toEqual(attentionCost(maskOf(1000), options).pattern);
    expect(first.figures.isCausal).toBe(true);
    const points = pointsOf(parts);
    expect(points.map(({ tokens }) => tokens)).toEqual([1000, ...Array.from({ length: 15 }, (_, i) => 2 ** (i + 6))]);
    for (const { tokens, pattern, dense } of points.filter(({ tokens }) => tokens <= 4096)) {
      const mask = maskOf(tokens);
      const { forward } = attentionCost(mask, options).pattern;
      const tensors = 4 * tokens * 3 * 32 * 2;
      const { pairs, bytes } = statistics(mask);
      expect(pattern).toEqual({
        pairs,
        flops: forward.flops,
        movedBytes: forward.bytes,
        streamedBytes: tensors + 4 * 3 * tokens + bytes,
        storedBytes: tensors + 2 * pairs,
      });
      expect(dense.pairs).toBe(3 * tokens * tokens);
      expect(dense.flops).toBe(3 * tokens * tokens * 4 * 32);
    }
  });

  it('knows which patterns see later keys, also in one head only', () => {
    const isCausal = (text: string): boolean => {
      const [part] = costCurve(question(text, 100));
      return part.kind === 'figures' && part.figures.isCausal;
    };
    expect(isCausal('window:4')).toBe(false);
    expect(isCausal('window:4|causal')).toBe(false);
    expect(isCausal('causal&window:4|causal')).toBe(true);
  });

  it('leaves out lengths that the pattern is not meant for or whose blocks are too many to look at, and says why', () => {
    const grid = pointsOf([...costCurve(question('axial(grid=[10,10],axes=[[0],[1]])', 100))]);
    expect(grid.filter(({ pattern }) => pattern !== undefined).map(({ tokens }) => tokens)).toEqual([100]);
    for (const { reason, dense, tokens } of grid.slice(1)) {
      expect(reason).toMatch(/axial/);
      expect(dense.pairs).toBe(3 * tokens * tokens);
    }
    // Blocks of random keys are looked at one by one; those of a regular pattern are counted by what looks alike.
    const random = pointsOf([...costCurve(question('randomTokens(count=64,seed=1)', 64))]);
    expect(random.at(-1)).toMatchObject({ tokens: 2 ** 20, reason: expect.stringContaining('blocks') });
    const whole = pointsOf([...costCurve(question('dense', 64))]);
    expect(whole.at(-1)?.pattern).toEqual(expect.objectContaining({ pairs: 3 * 2 ** 40 }));
  });
});
