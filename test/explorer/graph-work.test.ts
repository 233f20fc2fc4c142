import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { connectivity, distances, MOST_TOKENS_DRAWN } from '../../explorer/src/graph/connectivity.ts';
import {
  answerGraph,
  EXACT_SPECTRUM_TOKENS,
  EXACT_TOKENS,
  type GraphPart,
} from '../../explorer/src/graph/graph-questions.ts';
import { randomCurve, withRandomEdges } from '../../explorer/src/graph/random-edges.ts';
import { compileMask, graphMeasures } from '../../src/mask/index.ts';
import { arbitraryPattern } from '../../src/pattern/arbitrary.ts';
import { allows, type Pattern, parsePattern, window } from '../../src/pattern/index.ts';

const compile = (pattern: Pattern, tokens: number, heads = 1) =>
  compileMask(pattern, { queries: tokens, keys: tokens, heads, length: Infinity });

/** Distances from a token in the undirected graph, by a plain search on the definition; Infinity where there is no path. */
function plainDistances(pattern: Pattern, tokens: number, from: number): number[] {
  const sees = (q: number, k: number) => allows(pattern, { head: 0, q, k });
  const found = new Array<number>(tokens).fill(Infinity);
  found[from] = 0;
  let front = [from];
  for (let hop = 1; front.length > 0; hop++) {
    const next: number[] = [];
    for (const a of front) {
      for (let b = 0; b < tokens; b++) {
        if (found[b] !== Infinity || !(sees(a, b) || sees(b, a))) continue;
        found[b] = hop;
        next.push(b);
      }
    }
    front = next;
  }
  return found;
}

describe('the drawing of a graph', () => {
  it('has every edge and every distance of a short text', () => {
    fc.assert(
      fc.property(
        arbitraryPattern(60, 40),
        fc.integer({ min: 2, max: MOST_TOKENS_DRAWN }),
        fc.nat(),
        (pattern, n, at) => {
          const from = at % n;
          const drawing = connectivity(compile(pattern, n), from);
          const pairs: number[] = [];
          for (let q = 0; q < n; q++)
            for (let k = 0; k < n; k++) if (q !== k && allows(pattern, { head: 0, q, k })) pairs.push(q, k);
          expect([...drawing.edges]).toEqual(pairs);
          expect(drawing).toMatchObject({ isWhole: true, edgeCount: pairs.length / 2, tokens: n });
          const plain = plainDistances(pattern, n, from);
          expect([...drawing.hops]).toEqual(plain.map((hop) => (hop === Infinity ? 255 : hop)));
          for (const [hop, count] of drawing.byHop.entries())
            expect(count).toBe(plain.filter((own) => own === hop).length);
          expect(drawing.unreached).toBe(plain.filter((own) => own === Infinity).length);
        },
      ),
      { numRuns: 30 },
    );
  });

  it('has true edges of a long text, and says that it leaves some out', () => {
    const pattern = parsePattern('causal&(sinks:4+window:256)');
    const drawing = connectivity(compile(pattern, 5000), 17);
    expect(drawing.isWhole).toBe(false);
    expect(drawing.edges.length).toBeGreaterThan(1000);
    for (let e = 0; e < drawing.edges.length; e += 2) {
      const [q, k] = drawing.edges.subarray(e, e + 2);
      expect(q !== k && allows(pattern, { head: 0, q, k })).toBe(true);
    }
    const pairs = Array.from({ length: 5000 }, (_, q) => Math.min(q, 256) + Math.min(4, Math.max(0, q - 256)));
    expect(drawing.edgeCount).toBe(pairs.reduce((sum, count) => sum + count));
    expect(drawing.byHop.reduce((sum, count) => sum + count) + drawing.unreached).toBe(5000);
  });

  it('tells edges that were added from those that were there', () => {
    const [tokens, pattern] = [80, window(2)];
    const more = withRandomEdges(pattern, 3, { tokens, heads: 1 });
    const { edges, added } = connectivity(compile(pattern, tokens), 0, compile(more, tokens));
    expect([...edges]).toEqual([...connectivity(compile(pattern, tokens), 0).edges]);
    expect(added.length).toBeGreaterThan(tokens);
    for (let e = 0; e < added.length; e += 2) {
      const pair = { head: 0, q: added[e], k: added[e + 1] };
      expect(allows(pattern, pair)).toBe(false);
      expect(allows(more, pair)).toBe(true);
    }
  });
});

describe('random edges', () => {
  it('never let a causal pattern see ahead', () => {
    const more = withRandomEdges(parsePattern('causal&window:3'), 4, { tokens: 60, heads: 1 });
    const free = withRandomEdges(parsePattern('window:3'), 4, { tokens: 60, heads: 1 });
    const ahead = (pattern: Pattern) => {
      let count = 0;
      for (let q = 0; q < 60; q++) for (let k = q + 4; k < 60; k++) if (allows(pattern, { head: 0, q, k })) count++;
      return count;
    };
    expect(ahead(more)).toBe(0);
    expect(ahead(free)).toBeGreaterThan(30);
  });

  it('shorten paths and widen the gap, as graphMeasures() of the same mask has it', () => {
    const points = [...randomCurve(window(2), { tokens: 150, heads: 1 }, [0, 2, 8])];
    for (const { count, path, gap } of points) {
      const mask = compile(withRandomEdges(window(2), count, { tokens: 150, heads: 1 }), 150);
      const measures = graphMeasures(mask);
      expect(path).toEqual(measures.averageShortestPath);
      expect(gap).toEqual(measures.spectralGap);
    }
    expect(points[2].path?.value).toBeLessThan((points[0].path?.value ?? 0) / 5);
    expect(points[2].gap.value).toBeGreaterThan(points[0].gap.value * 50);
  });

  it('keep to the length that a pattern is meant for', () => {
    const grid = parsePattern('neighbourhood(grid=[40,40],radius=[1,1])');
    const [point] = randomCurve(grid, { tokens: 1600, heads: 1 }, [0]);
    expect(point.tokens).toBe(1600);
  });
});

describe('the measures', () => {
  it('are those of graphMeasures(), with what is being done', () => {
    const parts: GraphPart[] = [];
    const text = 'sinks:1+window:3';
    answerGraph({ kind: 'measures', pattern: text, tokens: 200, heads: 1, random: 0 }, (part) => parts.push(part));
    const mask = compile(parsePattern(text), 200);
    const options = { exactLength: EXACT_TOKENS, exactSpectrumLength: EXACT_SPECTRUM_TOKENS };
    expect(parts).toContainEqual({ kind: 'measures', measures: graphMeasures(mask, options) });
    const stages = parts.flatMap((part) => (part.kind === 'stage' ? [part.stage] : []));
    expect(stages).toEqual([
      'edges',
      'components',
      'paths',
      'clustering',
      'directed paths',
      'spectral gap',
      'distances',
    ]);
  });

  it('have the distances of all pairs of a short text, and a sample of a long one', () => {
    const pattern = parsePattern('window:2+global:5');
    const tokens = 90;
    const all = distances(compile(pattern, tokens), 100);
    const counts: number[] = [];
    for (let from = 0; from < tokens; from++) {
      for (const hop of plainDistances(pattern, tokens, from))
        if (hop > 0) counts[hop - 1] = (counts[hop - 1] ?? 0) + 1;
    }
    expect(all.sources).toBe(tokens);
    expect(all.shares.length).toBe(counts.length);
    for (const [i, share] of all.shares.entries()) expect(share).toBeCloseTo(counts[i] / (tokens * (tokens - 1)), 12);
    expect(distances(compile(pattern, 900), 100).sources).toBe(64);
    const apart = distances(compile(parsePattern('blockLocal(block=30)'), tokens), 100);
    expect(apart.unreached).toBeCloseTo((60 * tokens) / (tokens * (tokens - 1)), 12);
  });
});
