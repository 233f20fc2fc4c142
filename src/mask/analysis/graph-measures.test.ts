import { describe, expect, it } from 'vitest';
import { causal, dense, globalTokens, intersect, perHead, union, window } from '../../pattern/constructors.ts';
import type { Pattern } from '../../pattern/pattern.ts';
import { compileMask } from '../compile.ts';
import { type GraphMeasureOptions, type GraphMeasures, graphMeasures } from './graph-measures.ts';

function measure(pattern: Pattern, length: number, options?: GraphMeasureOptions, heads = 1): GraphMeasures {
  return graphMeasures(compileMask(pattern, { queries: length, keys: length, heads, length: Infinity }), options);
}

/** A ring: each token sees `reach` tokens to either side, around the ends. */
function ring(length: number, reach: number): Pattern {
  const far = length - reach;
  return union(
    window(reach),
    ...Array.from({ length: reach }, (_, i) => window({ left: 1, right: 1, dilation: far + i })),
  );
}

describe('graph measures in closed form', () => {
  it('of a complete graph', () => {
    const n = 200;
    for (const pattern of [dense(), causal(), perHead([causal(), dense()])]) {
      const own = measure(pattern, n, {}, 2);
      expect(own).toMatchObject({
        edges: (n * (n - 1)) / 2,
        components: 1,
        diameter: 1,
        radius: 1,
        averageShortestPath: { value: 1, error: 0 },
        averageClustering: { value: 1, error: 0 },
        transitivity: 1,
      });
      expect(own.spectralGap.value).toBeCloseTo(n / (n - 1), 12);
    }
    const { directed } = measure(causal(), n);
    expect(directed.reachablePairs.value).toBe((n * (n - 1)) / 2);
  });

  it('of a path', () => {
    const n = 150;
    const own = measure(window(1), n);
    expect(own).toMatchObject({ diameter: n - 1, radius: n / 2, averageClustering: { value: 0 }, transitivity: 0 });
    expect(own.averageShortestPath?.value).toBeCloseTo((n + 1) / 3, 12);
    // Chung, Spectral Graph Theory, example 1.4: 1 - cos(pi k / (n - 1)).
    expect(own.spectralGap.value).toBeCloseTo(1 - Math.cos(Math.PI / (n - 1)), 12);
  });

  it('of a cycle, and of a ring lattice (Watts and Strogatz 1998)', () => {
    const n = 300;
    const cycle = measure(ring(n, 1), n);
    expect(cycle.spectralGap.value).toBeCloseTo(1 - Math.cos((2 * Math.PI) / n), 12);
    expect(cycle.averageShortestPath?.value).toBeCloseTo(n ** 2 / 4 / (n - 1), 12);
    const lattice = measure(ring(n, 5), n);
    // C = 3 (K - 2) / (4 (K - 1)) for degree K = 10.
    expect(lattice).toMatchObject({ minDegree: 10, maxDegree: 10, diameter: Math.ceil(n / 2 / 5) });
    expect(lattice.averageClustering.value).toBeCloseTo((3 * 8) / (4 * 9), 12);
    const cosines = Array.from({ length: 5 }, (_, j) => Math.cos((2 * Math.PI * (j + 1)) / n));
    expect(lattice.spectralGap.value).toBeCloseTo(1 - cosines.reduce((a, b) => a + b) / 5, 12);
  });

  it('of a graph in parts', () => {
    const own = measure(window({ left: 3, right: 3, dilation: 4 }), 400);
    expect(own).toMatchObject({ components: 4, averageShortestPath: null, diameter: null, spectralGap: { value: 0 } });
    expect(own.averageShortestPathReachable?.value).toBeGreaterThan(1);
    expect(measure(window(0), 70)).toMatchObject({ components: 70, edges: 0, averageShortestPathReachable: null });
  });
});

describe('estimates', () => {
  const pattern = union(window(6), globalTokens({ positions: [3, 1500] }), window({ left: 2, right: 2, dilation: 97 }));

  it('lie within a few standard errors of the exact numbers, and are the same for the same seed', () => {
    const exact = measure(pattern, 3000);
    let inside = 0;
    for (let seed = 0; seed < 10; seed++) {
      const own = measure(pattern, 3000, { exactLength: 0, seed });
      expect(own).toMatchObject({ edges: exact.edges, components: 1, diameter: null, transitivity: null });
      for (const name of ['averageShortestPath', 'averageClustering'] as const) {
        const { value, error } = own[name] ?? { value: Number.NaN, error: 0 };
        expect(error).toBeGreaterThan(0);
        expect(Math.abs(value - (exact[name]?.value ?? 0))).toBeLessThan(6 * error);
        if (Math.abs(value - (exact[name]?.value ?? 0)) < 2 * error) inside++;
      }
    }
    expect(inside).toBeGreaterThan(14);
    expect(measure(pattern, 3000, { exactLength: 0, seed: 4 })).toEqual(
      measure(pattern, 3000, { exactLength: 0, seed: 4 }),
    );
  });

  it.each([
    ['a window', window(20), 400],
    ['a ring', ring(500, 3), 500],
    ['global tokens', pattern, 480],
    ['causal, dilated', intersect(causal(), union(window(2), window({ left: 3, dilation: 13 }))), 450],
  ] as const)('of the spectral gap agree with all eigenvalues: %s', (_, own, length) => {
    const exact = measure(own, length).spectralGap;
    const { value, error } = measure(own, length, { exactSpectrumLength: 0 }).spectralGap;
    expect(exact.error).toBe(0);
    expect(error).toBeLessThan(1e-4);
    expect(Math.abs(value - exact.value)).toBeLessThanOrEqual(error + 1e-12);
  });

  it('measure 100,000 tokens in seconds', () => {
    const { averageShortestPath, averageClustering, spectralGap } = measure(
      union(window(64), globalTokens({ positions: [0] })),
      100_000,
    );
    // All pairs but those within the window, and with the global token, are two apart.
    const near = 99_999 + 128 * 50_000 - 64 * 65;
    expect(averageShortestPath?.value).toBeCloseTo(2 - near / (50_000 * 99_999), 1);
    expect(averageClustering.value).toBeGreaterThan(0.7);
    expect(spectralGap.value).toBeGreaterThan(0);
  });
});
