import type { GraphEdit } from '../graph-edit.ts';
import type { Attribute, ElementType, Graph, Node, Value } from '../ir.ts';

/** Adds standard operators to a list of nodes: those of a graph, or of a Loop's body. Values are names. */
export class Emitter {
  readonly edit: GraphEdit;
  readonly nodes: Node[];

  constructor(edit: GraphEdit, nodes: Node[]) {
    this.edit = edit;
    this.nodes = nodes;
  }

  /** A node of one output. */
  op(
    operator: string,
    inputs: readonly string[],
    type: ElementType = 'float32',
    attributes: Readonly<Record<string, Attribute>> = {},
    name?: string,
  ): string {
    return this.edit.add(this.nodes, operator, inputs, { type, shape: undefined }, attributes, name);
  }

  int64(...values: readonly number[]): string {
    return this.edit.integers(values);
  }

  int32(values: readonly number[], shape: readonly number[] = [values.length]): string {
    return this.edit.constant('int32', Int32Array.from(values), shape);
  }

  float(value: number): string {
    return this.edit.constant('float32', Float32Array.of(value), []);
  }

  /** One dimension of a value, as a vector of one int64. */
  side(value: string, axis: number): string {
    return this.op('Gather', [this.op('Shape', [value], 'int64'), this.int64(axis)], 'int64');
  }

  /** Numbers start..end - 1, where both are vectors of one int64. */
  range(start: string, end: string): string {
    return this.op(
      'Range',
      [this.scalar(start), this.scalar(end), this.edit.constant('int64', BigInt64Array.of(1n), [])],
      'int64',
    );
  }

  scalar(vector: string): string {
    return this.op('Squeeze', [vector, this.int64(0)], 'int64');
  }

  gather(value: string, indices: string, axis: number, type: ElementType = 'float32'): string {
    return this.op('Gather', [value, indices], type, { axis: { type: 'int', value: axis } });
  }

  concat(values: readonly string[], axis: number, type: ElementType = 'float32'): string {
    const [only] = values;
    if (values.length === 1 && only !== undefined) return only;
    return this.op('Concat', values, type, { axis: { type: 'int', value: axis } });
  }

  transpose(value: string, perm: readonly number[], type: ElementType = 'float32'): string {
    return this.op('Transpose', [value], type, { perm: { type: 'ints', value: perm } });
  }

  cast(value: string, type: ElementType): string {
    return this.edit.cast(this.nodes, value, type);
  }

  /**
   * A Loop over 0..count - 1, count a vector of one int64: stacks what `body` gives for each number, along a new first axis.
   * The body may read all values around it.
   */
  loop(count: string, body: (emitter: Emitter, i: string) => string): string {
    return this.#loop(count, [], body);
  }

  /** A Loop whose body gives the next state, float32, from one number and the last; gives the state after the last number. */
  fold(count: string, initial: string, body: (emitter: Emitter, i: string, state: string) => string): string {
    return this.#loop(count, [initial], body);
  }

  #loop(
    count: string,
    initial: readonly string[],
    body: (emitter: Emitter, i: string, state: string) => string,
  ): string {
    const { edit } = this;
    const [i, goes, state] = ['i', 'goes', 'state'].map((name) => edit.free(name)) as [string, string, string];
    const nodes: Node[] = [];
    const inner = new Emitter(edit, nodes);
    const inputs: Value[] = [
      { name: i, type: 'int64', shape: [] },
      { name: goes, type: 'bool', shape: [] },
      ...initial.map((): Value => ({ name: state, type: 'float32', shape: [], ranked: false })),
    ];
    for (const input of inputs) edit.values.set(input.name, input);
    const result = body(inner, i, state);
    const goesOn = inner.op('Identity', [goes], 'bool');
    const made = new Set([...inputs.map((input) => input.name), ...nodes.flatMap((node) => node.outputs)]);
    const captures = new Set(nodes.flatMap((node) => node.inputs).filter((name) => name !== '' && !made.has(name)));
    const value = (name: string): Value => edit.values.get(name) ?? { name, type: 'float32', shape: [], ranked: false };
    const graph: Graph = {
      name: edit.free('body'),
      inputs,
      outputs: [{ name: goesOn, type: 'bool', shape: [] }, value(result)],
      nodes,
      initializers: [],
      values: new Map([...made].map((name) => [name, value(name)])),
    };
    const given = [this.scalar(count), '', ...initial];
    const name = this.op('Loop', given, 'float32', { body: { type: 'graph', value: graph } });
    const node = this.nodes.pop();
    if (node !== undefined) this.nodes.push({ ...node, captures: [...captures] });
    return name;
  }
}
