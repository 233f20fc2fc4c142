import { ArgumentError } from '../../errors.ts';
import type { Graph, Initializer } from '../ir.ts';

/**
 * The graph with some of its float weights as inputs, so that they are parameters of its training program: those that `isTrained`
 * chooses, which gives them in the order of the graph.
 */
export function weightsAsInputs(
  graph: Graph,
  isTrained: (name: string) => boolean,
): { readonly graph: Graph; readonly weights: readonly Initializer[] } {
  const weights = graph.initializers.filter(({ name, type }) => type === 'float32' && isTrained(name));
  if (weights.length === 0) throw new ArgumentError(`graph ${graph.name}: none of its weights is chosen for training`);
  const chosen = new Set(weights);
  const inputs = weights.map(({ name }) => {
    const value = graph.values.get(name);
    if (value === undefined) throw new ArgumentError(`graph ${graph.name} has no value ${name}`);
    return value;
  });
  return {
    graph: {
      ...graph,
      inputs: [...graph.inputs, ...inputs],
      initializers: graph.initializers.filter((initializer) => !chosen.has(initializer)),
    },
    weights,
  };
}
