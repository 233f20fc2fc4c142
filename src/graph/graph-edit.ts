import { ONNX_TYPE } from './element-type.ts';
import type { Attribute, Dimension, ElementType, Graph, Initializer, Node, TensorData, Value } from './ir.ts';

/** Nodes and values that are added to an imported graph. */
export class GraphEdit {
  readonly graph: Graph;
  readonly values: Map<string, Value>;
  readonly initializers: Initializer[];
  /** Nodes that stand before, or in the place of, another one. */
  readonly replacements = new Map<Node, Node[]>();
  readonly #made = new Map<string, string>();

  constructor(graph: Graph) {
    this.graph = graph;
    this.values = new Map(graph.values);
    this.initializers = [...graph.initializers];
  }

  /** A node with one new output; gives its name. */
  add(
    into: Node[],
    operator: string,
    inputs: readonly string[],
    output: { readonly type: ElementType; readonly shape: readonly Dimension[] | undefined },
    attributes: Readonly<Record<string, Attribute>> = {},
    name: string = this.free(operator.toLowerCase()),
  ): string {
    const { type, shape } = output;
    this.values.set(name, shape === undefined ? { name, type, shape: [], ranked: false } : { name, type, shape });
    into.push({ name, domain: '', operator, inputs, outputs: [name], attributes });
    return name;
  }

  /** A constant vector of int64. */
  integers(values: readonly number[]): string {
    return this.constant('int64', BigInt64Array.from(values, BigInt), [values.length]);
  }

  /** A constant; equal ones are kept once. */
  constant(type: ElementType, data: TensorData, shape: readonly number[]): string {
    return this.once(`constant ${type} [${shape}] ${data.length > 64 ? this.initializers.length : data}`, () => {
      const name = this.free('constant');
      this.values.set(name, { name, type, shape });
      this.initializers.push({ name, type, shape, load: () => data });
      return name;
    });
  }

  /** A value in another type, in the same shape. */
  cast(into: Node[], name: string, type: ElementType): string {
    const value = this.values.get(name);
    const shape = value === undefined || value.ranked === false ? undefined : value.shape;
    return this.add(into, 'Cast', [name], { type, shape }, { to: { type: 'int', value: ONNX_TYPE[type] } });
  }

  /** What `make` gives for this key the first time. Its nodes stand in the first place that asks, which comes before the others. */
  once(key: string, make: () => string): string {
    const name = this.#made.get(key) ?? make();
    this.#made.set(key, name);
    return name;
  }

  /** A name that no value has. */
  free(stem: string): string {
    for (let i = 0; ; i++) if (!this.values.has(`farfield/${stem}_${i}`)) return `farfield/${stem}_${i}`;
  }

  /** The graph with the replacements, without the nodes, initializers and values that nothing reads any more. */
  build(): Graph {
    const nodes = this.graph.nodes.flatMap((node) => this.replacements.get(node) ?? [node]);
    const needed = new Set(this.graph.outputs.map((output) => output.name));
    const kept: Node[] = [];
    for (const node of nodes.toReversed()) {
      if (!node.outputs.some((output) => needed.has(output))) continue;
      kept.unshift(node);
      for (const name of [...node.inputs, ...(node.captures ?? [])]) needed.add(name);
    }
    for (const { name } of this.graph.inputs) needed.add(name);
    for (const node of kept) for (const name of [...node.outputs, ...namesInside(node)]) needed.add(name);
    return {
      ...this.graph,
      nodes: kept,
      initializers: this.initializers.filter(({ name }) => needed.has(name)),
      values: new Map([...this.values].filter(([name]) => needed.has(name))),
    };
  }
}

/** The values of a node's own graphs: a name is free nowhere in the graph that they stand in. */
function namesInside(node: Node): string[] {
  return Object.values(node.attributes).flatMap((attribute) =>
    attribute.type === 'graph' ? [...attribute.value.values.keys(), ...attribute.value.nodes.flatMap(namesInside)] : [],
  );
}
