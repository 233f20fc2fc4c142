import type { ExpressionGraph } from './graph.ts';

/** Nodes of the derivatives of one node. */
export interface Derivatives {
  /** d out / d score; undefined where it is 0. */
  readonly slope: number | undefined;
  /** For each look-up that the output depends on, d out / d entry. */
  readonly lookups: readonly { readonly node: number; readonly adjoint: number }[];
}

/**
 * Symbolic differentiation in reverse (adjoints from the output down), into the same graph, so that derivatives share what the
 * expression computes. Steps (floor, comparisons, indices) have derivative 0; abs has 0 at 0; equal operands of min and max
 * count as the left one. The branch that select leaves out gets adjoint 0, so a branch that is infinite there gives NaN, as in
 * other systems of automatic differentiation.
 */
export function differentiate(graph: ExpressionGraph, output: number): Derivatives {
  const depends: boolean[] = [];
  for (const [i, { kind, operands }] of graph.nodes.entries())
    depends[i] = kind === 'score' || kind === 'lookup' || operands.some((operand) => depends[operand]);
  const adjoints: (number | undefined)[] = [];
  adjoints[output] = graph.constant(1);
  const give = (to: number, part: () => number) => {
    if (!depends[to]) return;
    const old = adjoints[to];
    const own = part();
    adjoints[to] = old === undefined ? own : graph.binary('add', old, own);
  };
  let slope: number | undefined;
  const lookups: { node: number; adjoint: number }[] = [];
  for (let i = output; i >= 0; i--) {
    const a = adjoints[i];
    if (a === undefined) continue;
    const { kind, operands } = graph.nodes[i];
    const [x, y, z] = operands;
    const zero = () => graph.constant(0);
    const chosen = (condition: number) => {
      give(x, () => graph.select(condition, a, zero()));
      give(y, () => graph.select(condition, zero(), a));
    };
    switch (kind) {
      case 'score':
        slope = a;
        break;
      case 'lookup':
        lookups.push({ node: i, adjoint: a });
        break;
      case 'neg':
        give(x, () => graph.unary('neg', a));
        break;
      case 'abs':
        give(x, () => {
          const below = graph.select(graph.binary('less', x, zero()), graph.unary('neg', a), zero());
          return graph.select(graph.binary('greater', x, zero()), a, below);
        });
        break;
      case 'exp':
        give(x, () => graph.binary('mul', a, i));
        break;
      case 'log':
        give(x, () => graph.binary('div', a, x));
        break;
      case 'tanh':
        give(x, () => graph.binary('mul', a, graph.binary('sub', graph.constant(1), graph.binary('mul', i, i))));
        break;
      case 'add':
        give(x, () => a);
        give(y, () => a);
        break;
      case 'sub':
        give(x, () => a);
        give(y, () => graph.unary('neg', a));
        break;
      case 'mul':
        give(x, () => graph.binary('mul', a, y));
        give(y, () => graph.binary('mul', a, x));
        break;
      case 'div':
        give(x, () => graph.binary('div', a, y));
        give(y, () => graph.unary('neg', graph.binary('mul', graph.binary('div', a, y), i)));
        break;
      case 'min':
        chosen(graph.binary('lessEqual', x, y));
        break;
      case 'max':
        chosen(graph.binary('greaterEqual', x, y));
        break;
      case 'select':
        give(y, () => graph.select(x, a, zero()));
        give(z, () => graph.select(x, zero(), a));
        break;
    }
  }
  return { slope, lookups: lookups.reverse() };
}
