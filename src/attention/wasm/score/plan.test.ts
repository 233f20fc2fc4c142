import { describe, expect, it } from 'vitest';
import { differentiate } from '../../score/differentiate.ts';
import * as e from '../../score/expression.ts';
import { ExpressionGraph } from '../../score/graph.ts';
import { alibi, alibiSlopes, composeScores, relativePositions, t5Buckets } from '../../score/modifiers.ts';
import { DIAGONALS, liveNodes, MAXIMUM_LINES, type Plan, planOf } from './plan.ts';

/** The plans of an expression and of its gradient, and the kinds of the nodes that become lines. */
function plans(expression: e.Expression): { forward: Plan; backward: Plan; kinds: string[] } {
  const graph = new ExpressionGraph();
  const output = graph.add(expression);
  const forward = planOf(graph, liveNodes(graph, [output]), [output]);
  const kinds = forward.lines.map((node) => graph.nodes[node].kind);
  const { slope, lookups } = differentiate(graph, output);
  const outputs = [slope ?? output, ...lookups.map(({ adjoint }) => adjoint)];
  const entries = lookups.map(({ node }) => node);
  return { forward, backward: planOf(graph, liveNodes(graph, [...outputs, ...entries]), outputs, entries), kinds };
}

const table = (rows: number, columns: number) => ({ data: new Float32Array(rows * columns), shape: [rows, columns] });

describe('planOf', () => {
  it.each([
    ['a relative table', relativePositions(table(4, 31))],
    ['T5 buckets', t5Buckets({ table: table(32, 4), bidirectional: true })],
  ])('keeps %s as one line, and sums its gradient along the diagonals', (_, { expression }) => {
    const { forward, backward, kinds } = plans(expression);
    expect(kinds).toEqual(['lookup']);
    // Its value is not needed backward: the gradient of the bias is that of the score.
    expect([backward.lines.length, backward.sums.length]).toEqual([0, 1]);
    expect(forward.levels.filter((level) => level === DIAGONALS).length).toBeGreaterThan(1);
  });

  it('leaves alone what is no work, what varies otherwise, and what needs too many lines', () => {
    const distance = e.sub(e.k, e.q);
    const many = Array.from({ length: MAXIMUM_LINES + 1 }, (_, i) =>
      e.mul(e.add(e.score, i), e.lookup('t', e.add(distance, i))),
    );
    for (const expression of [
      alibi({ slopes: alibiSlopes(4), symmetric: true }).expression,
      e.add(e.score, e.lookup('t', e.mul(e.k, 2), e.exp(e.q))),
      many.reduce<e.Expression>((sum, part) => e.add(sum, part), e.score),
    ]) {
      const { forward, backward } = plans(expression);
      expect([...forward.lines, ...backward.lines, ...backward.sums]).toEqual([]);
      expect(forward.levels).not.toContain(DIAGONALS);
    }
  });

  it('takes cheap parts along with costly ones', () => {
    const both = composeScores(relativePositions(table(4, 31)), alibi({ slopes: alibiSlopes(4) }));
    expect(plans(both.expression).kinds.sort()).toEqual(['lookup', 'mul']);
  });
});
