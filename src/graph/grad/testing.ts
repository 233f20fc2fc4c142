/** Gradients of small graphs: by differentiate() in float64, by central differences, and by the compiled gradient graph. */
import type { DenseBackend, HostTensor } from '../backend.ts';
import { GraphBuilder } from '../builder.ts';
import type { Dimension, Graph, Value } from '../ir.ts';
import { evaluateReference } from '../reference/evaluate.ts';
import { sizeOf, type Tensor64, tensor } from '../reference/tensor.ts';
import { hostTensor } from '../tensor-data.ts';
import { random } from '../testing.ts';
import { differentiate, gradientOf } from './differentiate.ts';

/** An input of a graph under test. 'rows' in its shape stands for the number of rows. */
export interface TestInput {
  readonly shape: readonly Dimension[];
  /** Where random numbers between -1 and 1 will not do. */
  readonly data?: (length: number) => ArrayLike<number>;
  readonly type?: 'int64' | 'bool';
  /** Not differentiated. */
  readonly isConstant?: boolean;
}

export interface TestCase<Name extends string = string> {
  readonly rows?: number;
  readonly inputs: Readonly<Record<Name, TestInput>>;
  readonly make: (graph: GraphBuilder, values: Record<Name, Value>) => Value | readonly (Value | undefined)[];
}

export interface Gradients {
  readonly analytic: Record<string, Tensor64>;
  readonly numeric: Record<string, Tensor64>;
  /** Runs the gradient graph on a backend, in float32. */
  readonly compiled: (backend: DenseBackend) => Promise<Record<string, Float32Array>>;
}

/** The gradients of sum(outputs * random weights) with respect to every float input. */
export async function gradientsOf<Name extends string>(test: TestCase<Name>, seed = 1): Promise<Gradients> {
  const { rows = 3 } = test;
  const builder = new GraphBuilder('case');
  const values = {} as Record<Name, Value>;
  const feeds: Record<string, Tensor64> = {};
  for (const [i, name] of (Object.keys(test.inputs) as Name[]).entries()) {
    const { shape, type = 'float32', data = (length) => random(length, 100 * seed + i) } = test.inputs[name];
    values[name] = builder.input(name, type, shape);
    const sizes = known(shape, rows);
    feeds[name] = tensor(sizes, data(sizeOf(sizes)));
  }
  const made = test.make(builder, values);
  const outputs = ('name' in made ? [made] : made).filter((value) => value !== undefined);
  for (const [i, value] of outputs.entries()) builder.output(value, `y${i}`);
  const graph = builder.build();
  const floats = (Object.keys(test.inputs) as Name[]).filter((name) => {
    const { type, isConstant } = test.inputs[name];
    return type === undefined && isConstant !== true;
  });
  const names = graph.outputs.map((value) => value.name);
  const backward = await differentiate(graph, { outputs: names, inputs: floats });
  if (backward === undefined) throw new Error('no gradient');
  for (const [i, value] of graph.outputs.entries()) {
    const sizes = known(value.shape, rows);
    feeds[gradientOf(value.name)] = tensor(sizes, random(sizeOf(sizes), 100 * seed + 50 + i));
  }
  const found = await evaluateReference(backward, feeds);
  const analytic: Record<string, Tensor64> = {};
  const numeric: Record<string, Tensor64> = {};
  for (const name of floats) {
    const own = feeds[name] as Tensor64;
    analytic[name] = found.get(gradientOf(name)) ?? tensor(own.shape);
    numeric[name] = await centralDifferences(graph, feeds, name);
  }
  return { analytic, numeric, compiled: (backend) => runCompiled(backward, backend, feeds, rows) };
}

/** (f(x + h) - f(x - h)) / 2h for each element of one input: its error is about h^2, that of rounding 1e-16 / h. */
async function centralDifferences(graph: Graph, feeds: Record<string, Tensor64>, name: string): Promise<Tensor64> {
  const own = feeds[name] as Tensor64;
  const step = 1e-5;
  const lossAt = async (element: number, change: number): Promise<number> => {
    const data = Float64Array.from(own.data);
    data[element] = (data[element] as number) + change;
    const values = await evaluateReference(graph, { ...feeds, [name]: { shape: own.shape, data } });
    let loss = 0;
    for (const output of graph.outputs) {
      const weights = feeds[gradientOf(output.name)]?.data as Float64Array;
      const y = values.get(output.name)?.data as Float64Array;
      for (let i = 0; i < y.length; i++) loss += (weights[i] as number) * (y[i] as number);
    }
    return loss;
  };
  const result = tensor(own.shape);
  for (let i = 0; i < own.data.length; i++) {
    result.data[i] = ((await lossAt(i, step)) - (await lossAt(i, -step))) / (2 * step);
  }
  return result;
}

async function runCompiled(
  graph: Graph,
  backend: DenseBackend,
  feeds: Readonly<Record<string, Tensor64>>,
  rows: number,
): Promise<Record<string, Float32Array>> {
  const session = await backend.compile(graph);
  const inputs: Record<string, HostTensor> = {};
  for (const { name, type } of graph.inputs) {
    const { shape, data } = feeds[name] as Tensor64;
    const typed =
      type === 'int64'
        ? BigInt64Array.from(data, BigInt)
        : type === 'bool'
          ? Uint8Array.from(data)
          : Float32Array.from(data);
    inputs[name] = hostTensor(type, typed, shape);
  }
  const results: Record<string, Float32Array> = {};
  const outputs: Record<string, HostTensor> = {};
  for (const { name, shape } of graph.outputs) {
    const sizes = known(shape, rows);
    const data = new Float32Array(sizeOf(sizes));
    results[name] = data;
    outputs[name] = { type: 'float32', data, shape: sizes };
  }
  try {
    await session.run(inputs, outputs);
  } finally {
    await session.release();
  }
  return results;
}

function known(shape: readonly Dimension[], rows: number): number[] {
  return shape.map((d) => (typeof d === 'string' ? rows : d));
}
