import { ArgumentError } from '../../errors.ts';
import { GraphBuilder } from '../builder.ts';
import type { Graph, Node, Value } from '../ir.ts';
import { add } from '../operators.ts';
import { isSparseAttention } from '../sparse-attention.ts';
import { ruleOf } from './rules.ts';

export interface DifferentiateOptions {
  /** Outputs of the graph whose gradients come in, as inputs `gradientOf(name)` of their shapes. */
  readonly outputs: readonly string[];
  /** Float inputs whose gradients are wanted. */
  readonly inputs: readonly string[];
  /**
   * Inputs, among `inputs`, of which a part of the gradient is known: it comes in as input `partOf(name)` and is added, so that
   * what several graphs say of one value is summed in a fixed order.
   */
  readonly started?: readonly string[];
  /** Values of the forward pass that are outputs too. */
  readonly keep?: readonly string[];
}

/** The name of a value's gradient, in a graph that differentiate() makes. */
export function gradientOf(name: string): string {
  return `grad:${name}`;
}

/** The name of the part of a gradient that is known before. */
export function partOf(name: string): string {
  return `part:${name}`;
}

/**
 * Reverse-mode differentiation of a graph of dense operators: the forward nodes, then those of the gradients, which are the outputs
 * `gradientOf(name)` of those `inputs` on which `outputs` depend. Nodes that no gradient needs are left out;
 * undefined where none depends on them. Throws ArgumentError for an operator without a rule on the way, and for names that the graph does not have.
 */
export async function differentiate(graph: Graph, options: DifferentiateOptions): Promise<Graph | undefined> {
  const { outputs, inputs, started = [], keep = [] } = options;
  const constants = await integerConstants(graph);
  const builder = GraphBuilder.from(graph);
  const named = (name: string): Value => {
    const value = graph.values.get(name);
    if (value === undefined) throw new ArgumentError(`differentiate: graph ${graph.name} has no value ${name}`);
    return value;
  };
  const dependent = dependents(graph, inputs.map(named));
  const gradients = new Map<string, Value>();
  const accumulate = (name: string, part: Value): void => {
    const known = gradients.get(name);
    gradients.set(name, known === undefined ? part : add(builder, known, part));
  };
  for (const name of started) accumulate(name, builder.input(partOf(name), 'float32', named(name).shape));
  for (const name of outputs) {
    const { shape } = named(name);
    if (dependent.has(name)) accumulate(name, builder.input(gradientOf(name), 'float32', shape));
  }
  builder.scope('grad', () => {
    for (const node of graph.nodes.toReversed())
      differentiateNode(builder, graph, node, dependent, gradients, constants, accumulate);
  });
  const found = inputs.filter((name) => gradients.has(name));
  if (found.length === 0) return undefined;
  for (const name of found) builder.output(gradients.get(name) as Value, gradientOf(name));
  for (const name of keep) builder.output(named(name));
  return prune(builder.build());
}

function differentiateNode(
  builder: GraphBuilder,
  graph: Graph,
  node: Node,
  dependent: ReadonlySet<string>,
  gradients: ReadonlyMap<string, Value>,
  constants: ReadonlyMap<string, readonly number[]>,
  accumulate: (name: string, part: Value) => void,
): void {
  const wanted = node.inputs.map((name) => dependent.has(name));
  const incoming = node.outputs.map((name) => gradients.get(name));
  if (!wanted.includes(true) || incoming.every((gradient) => gradient === undefined)) return;
  if (isSparseAttention(node)) {
    throw new ArgumentError(
      `differentiate: ${node.name} is a SparseAttention node; cut the graph with partition() first`,
    );
  }
  const results = ruleOf(node)({
    graph: builder,
    node,
    inputs: node.inputs.map((name) => graph.values.get(name)),
    outputs: node.outputs.map((name) => graph.values.get(name)),
    gradients: incoming,
    wanted,
    integers: (index) => {
      const name = node.inputs[index] ?? '';
      const known = constants.get(name);
      if (known === undefined) {
        throw new ArgumentError(
          `differentiate: input ${index} (${name}) of ${node.operator} ${node.name} must be a constant`,
        );
      }
      return known;
    },
  });
  for (const [i, gradient] of results.entries()) {
    const name = node.inputs[i];
    if (gradient === undefined || name === undefined || !wanted[i]) continue;
    const shape = graph.values.get(name)?.shape;
    if (gradient.shape.join() !== shape?.join()) {
      throw new ArgumentError(
        `differentiate: ${node.operator} ${node.name} gives a gradient [${gradient.shape.join(', ')}] for ${name} [${shape?.join(', ')}]`,
      );
    }
    accumulate(name, gradient);
  }
}

/** The float values that depend on one of these, themselves included. */
export function dependents(graph: Graph, on: readonly Value[]): Set<string> {
  const found = new Set(on.map((value) => value.name));
  for (const node of graph.nodes) {
    if (!node.inputs.some((input) => found.has(input))) continue;
    for (const output of node.outputs) if (graph.values.get(output)?.type === 'float32') found.add(output);
  }
  return found;
}

/** The content of the int64 initializers that fit a list of axes or sizes. */
async function integerConstants(graph: Graph): Promise<Map<string, readonly number[]>> {
  const found = new Map<string, readonly number[]>();
  for (const { name, type, shape, load } of graph.initializers) {
    if (type !== 'int64' || shape.reduce((product, d) => product * d, 1) > 64) continue;
    found.set(name, Array.from(await load(), Number));
  }
  return found;
}

/** The graph without the nodes, initializers and inputs that no output needs. */
export function prune(graph: Graph): Graph {
  const needed = new Set(graph.outputs.map((output) => output.name));
  const nodes: Node[] = [];
  for (const node of graph.nodes.toReversed()) {
    if (!node.outputs.some((output) => needed.has(output))) continue;
    nodes.unshift(node);
    for (const input of node.inputs) needed.add(input);
  }
  for (const node of nodes) for (const output of node.outputs) needed.add(output);
  return {
    ...graph,
    nodes,
    inputs: graph.inputs.filter((input) => needed.has(input.name)),
    initializers: graph.initializers.filter((initializer) => needed.has(initializer.name)),
    values: new Map([...graph.values].filter(([name]) => needed.has(name))),
  };
}

/** The graph with these values as inputs, whatever made them; nodes that are then not needed are left out. */
export function withInputs(graph: Graph, names: ReadonlySet<string>): Graph {
  const known = new Set(graph.inputs.map((input) => input.name));
  const added = [...graph.values.values()].filter((value) => names.has(value.name) && !known.has(value.name));
  const nodes = graph.nodes.filter((node) => {
    const given = node.outputs.filter((output) => names.has(output)).length;
    return given === 0 || given < node.outputs.filter((output) => output !== '').length;
  });
  const renamed = nodes.map((node) =>
    node.outputs.some((output) => names.has(output))
      ? { ...node, outputs: node.outputs.map((output) => (names.has(output) ? `unused:${output}` : output)) }
      : node,
  );
  return prune({ ...graph, nodes: renamed, inputs: [...graph.inputs, ...added] });
}

/** The graph with these outputs in place of its own. */
export function withOutputs(graph: Graph, names: readonly string[]): Graph {
  const outputs = names.map((name) => {
    const value = graph.values.get(name);
    if (value === undefined) throw new ArgumentError(`graph ${graph.name} has no value ${name}`);
    return value;
  });
  return prune({ ...graph, outputs });
}
