import { ArgumentError } from '../../errors.ts';
import type { Graph } from '../ir.ts';
import { referenceOperators } from './operators.ts';
import { type Tensor64, tensor } from './tensor.ts';

/**
 * Runs a graph in float64, one element at a time, by the definitions of the ONNX operator specification: the plain truth that compiled graphs
 * and gradients are tested against. `feeds` holds every input by name. Gives every value of the graph.
 * Throws ArgumentError for an operator that it does not know.
 */
export async function evaluateReference(
  graph: Graph,
  feeds: Readonly<Record<string, Tensor64>>,
): Promise<Map<string, Tensor64>> {
  const values = new Map<string, Tensor64>();
  for (const { name } of graph.inputs) {
    const feed = feeds[name];
    if (feed === undefined) throw new ArgumentError(`feeds.${name} is missing`);
    values.set(name, feed);
  }
  for (const { name, shape, load } of graph.initializers)
    values.set(name, tensor(shape, Array.from(await load(), Number)));
  for (const node of graph.nodes) {
    const key = node.domain === '' ? node.operator : `${node.domain}.${node.operator}`;
    const compute = referenceOperators[key];
    if (compute === undefined) throw new ArgumentError(`the reference has no operator ${key}`);
    const results = compute(
      node.inputs.map((name) => (name === '' ? undefined : values.get(name))),
      node,
    );
    for (const [i, name] of node.outputs.entries()) {
      const result = results[i];
      if (name !== '' && result !== undefined) values.set(name, result);
    }
  }
  return values;
}
