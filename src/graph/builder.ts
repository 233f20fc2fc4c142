import { counted } from '../counted.ts';
import { ArgumentError } from '../errors.ts';
import type { Attribute, Dimension, ElementType, Graph, Initializer, Node, TensorData, Value } from './ir.ts';
import { dataLength } from './tensor-data.ts';

export interface OperatorSpecification {
  readonly operator: string;
  /** Default: the standard domain ''. */
  readonly domain?: Node['domain'];
  /** undefined for an optional input that is absent. */
  readonly inputs: readonly (Value | undefined)[];
  readonly attributes?: Readonly<Record<string, Attribute>>;
  /** undefined for an optional output that is left out; such a place gets no value. */
  readonly outputs: readonly ({ readonly type: ElementType; readonly shape: readonly Dimension[] } | undefined)[];
  /** Default: the operator's name and a number. The first output has the node's name too. */
  readonly name?: string;
}

/**
 * Collects the nodes of a graph in the order of execution. The operators are functions beside it (`add(graph, a, b)`), which
 * check shapes when the node is made, so that a wrong model fails at the line that is wrong.
 */
export class GraphBuilder {
  readonly name: string;
  readonly #inputs: Value[] = [];
  readonly #outputs: Value[] = [];
  readonly #nodes: Node[] = [];
  readonly #initializers: Initializer[] = [];
  readonly #values = new Map<string, Value>();
  readonly #cache = new Map<string, Value>();
  readonly #boundaries: string[] = [];
  #scope = '';

  constructor(name: string) {
    this.name = name;
  }

  /** Continues a graph: its inputs, nodes, initializers and boundaries under their names, without its outputs. */
  static from(graph: Graph): GraphBuilder {
    const builder = new GraphBuilder(graph.name);
    builder.#inputs.push(...graph.inputs);
    builder.#nodes.push(...graph.nodes);
    builder.#initializers.push(...graph.initializers);
    builder.#boundaries.push(...(graph.boundaries ?? []));
    for (const [name, value] of graph.values) builder.#values.set(name, value);
    return builder;
  }

  /** Prefixes the names of everything that `make` adds: `graph.scope('layers.0', () => ...)`. */
  scope<T>(name: string, make: () => T): T {
    const outer = this.#scope;
    this.#scope = `${outer}${name}/`;
    try {
      return make();
    } finally {
      this.#scope = outer;
    }
  }

  input(name: string, type: ElementType, shape: readonly Dimension[]): Value {
    const value = this.#value(name, type, shape);
    this.#inputs.push(value);
    return value;
  }

  /** A weight that is loaded when its segment is compiled. Throws at load if the data does not fill the shape. */
  initializer(name: string, type: ElementType, shape: readonly number[], load: Initializer['load']): Value {
    const value = this.#value(this.#free(this.#scope + name), type, shape);
    const checked = async (): Promise<TensorData> => {
      const data = await load();
      const wanted = shape.reduce((product, dimension) => product * dimension, 1);
      if (dataLength(type, data) !== wanted) {
        throw new ArgumentError(
          `initializer ${value.name}: load() gave ${data.constructor.name} of length ${data.length}; ` +
            `${type} [${shape.join(', ')}] needs ${counted(wanted, 'element')}`,
        );
      }
      return data;
    };
    this.#initializers.push({ name: value.name, type, shape, load: checked });
    return value;
  }

  /** A small constant, at the top level of names: equal constants of float32 and int64 are kept once. */
  constant(type: ElementType, data: TensorData, shape: readonly number[] = [data.length]): Value {
    return this.once(`constant ${type} [${shape}] ${data.length > 64 ? this.#initializers.length : data}`, () =>
      this.initializer('constant', type, shape, () => data),
    );
  }

  /** Makes a value once per graph and key, e.g. the block sums of x that several linears share. */
  once(key: string, make: () => Value): Value {
    const known = this.#cache.get(key);
    if (known) return known;
    const value = make();
    this.#cache.set(key, value);
    return value;
  }

  /** Marks a value as a result of the graph, under `name` where given (through an Identity). */
  output(value: Value, name: string = value.name): Value {
    const named =
      name === value.name
        ? value
        : this.#push({ operator: 'Identity', inputs: [value], outputs: [value] }, name, [name])[0];
    if (named === undefined) throw new ArgumentError(`output(${name}): no value`);
    this.#outputs.push(named);
    return named;
  }

  /** Marks the value through which everything passes into the next layer: see Graph.boundaries. */
  boundary(value: Value): Value {
    if (this.#values.get(value.name) !== value) {
      throw new ArgumentError(`boundary(${value.name}): not a value of graph ${this.name}`);
    }
    this.#boundaries.push(value.name);
    return value;
  }

  /**
   * Adds a node whose output shapes the caller knows; gives its values without the absent ones. Throws ArgumentError for an input
   * of another graph.
   */
  op(specification: OperatorSpecification): Value[] {
    const name = this.#free(this.#scope + (specification.name ?? specification.operator));
    const outputs = specification.outputs.map((output, i) => {
      if (output === undefined) return '';
      return i === 0 ? name : this.#free(`${name}:${i}`);
    });
    return this.#push(specification, name, outputs);
  }

  /** The same for an operator with one output. */
  op1(specification: Omit<OperatorSpecification, 'outputs'>, type: ElementType, shape: readonly Dimension[]): Value {
    const [value] = this.op({ ...specification, outputs: [{ type, shape }] });
    if (value === undefined) throw new ArgumentError(`${specification.operator}: no output`);
    return value;
  }

  build(): Graph {
    if (this.#outputs.length === 0) {
      throw new ArgumentError(`graph ${this.name} has no output: mark at least one with output()`);
    }
    return {
      name: this.name,
      inputs: [...this.#inputs],
      outputs: [...this.#outputs],
      nodes: [...this.#nodes],
      initializers: [...this.#initializers],
      values: new Map(this.#values),
      ...(this.#boundaries.length === 0 ? {} : { boundaries: [...this.#boundaries] }),
    };
  }

  #push(specification: OperatorSpecification, name: string, outputNames: readonly string[]): Value[] {
    const inputs = specification.inputs.map((value, i) => {
      if (value === undefined) return '';
      if (this.#values.get(value.name) !== value) {
        throw new ArgumentError(
          `${specification.operator} ${name}: input ${i} (${value.name}) is not a value of graph ${this.name}`,
        );
      }
      return value.name;
    });
    while (inputs.at(-1) === '') inputs.pop();
    const outputs = specification.outputs.flatMap((output, i) =>
      output === undefined ? [] : [this.#value(outputNames[i] ?? `${name}:${i}`, output.type, output.shape)],
    );
    this.#nodes.push({
      name,
      domain: specification.domain ?? '',
      operator: specification.operator,
      inputs,
      outputs: outputNames,
      attributes: specification.attributes ?? {},
    });
    return outputs;
  }

  #value(name: string, type: ElementType, shape: readonly Dimension[]): Value {
    if (this.#values.has(name)) throw new ArgumentError(`graph ${this.name} has two values named ${name}`);
    const value: Value = { name, type, shape: [...shape] };
    this.#values.set(name, value);
    return value;
  }

  #free(name: string): string {
    if (!this.#values.has(name)) return name;
    let i = 2;
    while (this.#values.has(`${name}_${i}`)) i++;
    return `${name}_${i}`;
  }
}
