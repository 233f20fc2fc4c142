import { describe, expect, it } from 'vitest';
import type { TrainEvent } from './event.ts';
import { drawLossCurve } from './loss-curve.ts';

const step = (number: number, loss: number): TrainEvent => ({
  kind: 'step',
  step: number,
  loss,
  learningRate: 1,
  gradientNorm: 1,
  tokens: 1,
  totalTokens: number,
  tokensPerSecond: 1,
  secondsLeft: 1,
});

/** The corners of the nth line, as numbers. */
function corners(svg: string, line: number): number[][] {
  const paths = [...svg.matchAll(/stroke-width="1.5"[^>]* d="M([^"]*)"/g)].map(([, path]) => path);
  return paths[line].split('L').map((pair) => pair.split(' ').map(Number));
}

describe('drawLossCurve', () => {
  it('draws steps from left to right and losses from top to bottom, between round numbers', () => {
    const svg = drawLossCurve([step(5, 4), step(10, 2)], { title: 'a < b' });
    expect(svg).toMatch(/^<svg [\s\S]*<\/svg>\n$/);
    expect(svg).toContain('<title>a &lt; b</title>');
    // 58 to 700 across, 356 to 56 up.
    expect(corners(svg, 0)).toEqual([
      [379, 56],
      [700, 356],
    ]);
    for (const label of ['>2<', '>4<', '>10<', 'loss in nats']) expect(svg).toContain(label);
  });

  it('in bits, with evaluations, and the last word on a step that comes twice', () => {
    const svg = drawLossCurve(
      [
        step(1, Math.LN2),
        step(2, 7),
        step(2, 3 * Math.LN2),
        { kind: 'evaluation', step: 2, loss: Math.LN2, tokens: 1 },
      ],
      { unit: 'bits' },
    );
    expect(corners(svg, 0)).toEqual([
      [379, 356],
      [700, 56],
    ]);
    expect(corners(svg, 1)).toEqual([[700, 356]]);
    expect(svg.match(/<circle/g)).toHaveLength(1);
    expect(svg).toContain('>validation<');
    expect(svg).not.toContain('averaged');
  });

  it('thins a long log, and keeps its level', () => {
    const noisy = (i: number) => (i < 100_000 ? 4 : 3) + (i % 2) - 0.5;
    const svg = drawLossCurve(Array.from({ length: 200_000 }, (_, i) => step(i + 1, noisy(i))));
    expect(svg.length).toBeLessThan(60_000);
    for (const line of [0, 1]) {
      const points = corners(svg, line);
      expect(points.length).toBeGreaterThan(300);
      expect(points.length).toBeLessThanOrEqual(600);
      // From 4 at the top to 3 at the bottom; the axis may reach a little beyond.
      expect(points[9][1]).toBeLessThan(120);
      expect(points.at(-9)?.[1]).toBeGreaterThan(290);
    }
  });

  it('draws a frame of nothing', () => {
    for (const events of [[], [step(1, Number.NaN)]]) {
      const svg = drawLossCurve(events);
      expect(svg).toMatch(/<svg [\s\S]*<\/svg>/);
      expect(svg).not.toContain('NaN');
      expect(svg).not.toContain('Infinity');
    }
  });
});
