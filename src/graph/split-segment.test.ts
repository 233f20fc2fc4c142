import { expect, test } from 'vitest';
import type { HostTensor } from './backend.ts';
import { add, createNodeBackend, type Graph, GraphBuilder, gelu, gemm, ROWS, reduceSum, type Value } from './index.ts';
import { splitSegment } from './split-segment.ts';
import { random } from './testing.ts';

/** x + down(gelu(up(x))), and three projections of that. */
function feedForward() {
  const graph = new GraphBuilder('layer');
  const linear = (x: Value, name: string, out: number, into: number) => {
    const weight = graph.initializer(`${name}.weight`, 'float32', [out, into], () => random(out * into, out + into));
    const bias = graph.initializer(`${name}.bias`, 'float32', [out], () => random(out, out));
    return gemm(graph, x, weight, bias, { transB: true, name });
  };
  const x = graph.input('x', 'float32', [ROWS, 4]);
  const sum = add(graph, x, linear(gelu(graph, linear(x, 'up', 12, 4), { name: 'act' }), 'down', 4, 12), 'sum');
  graph.output(sum, 'hidden');
  for (const name of ['q', 'k', 'v']) graph.output(linear(sum, name, 4, 4), name);
  return graph.build();
}

test('no part has more weights than the largest node, and what follows a product stays with it', () => {
  const parts = splitSegment(feedForward());
  const named = parts.map(({ nodes, inputs, outputs }) => ({
    operators: nodes.map(({ operator }) => operator).join(' '),
    inputs: inputs.map(({ name }) => name),
    outputs: outputs.map(({ name }) => name),
  }));
  // 48 numbers; 48; three times 16, which are no more.
  expect(named).toEqual([
    { operators: 'Gemm Gelu', inputs: ['x'], outputs: ['act'] },
    { operators: 'Gemm Add Identity', inputs: ['x', 'act'], outputs: ['sum', 'hidden'] },
    { operators: 'Gemm Gemm Gemm', inputs: ['sum'], outputs: ['q', 'k', 'v'] },
  ]);
});

test('the parts, one after the other, give the bits of the whole', async () => {
  const graph = feedForward();
  const backend = await createNodeBackend({ threads: 1 });
  const compute = async (graphs: readonly Graph[]) => {
    const values: Record<string, HostTensor> = { x: { type: 'float32', data: random(7 * 4, 1), shape: [7, 4] } };
    for (const own of graphs) {
      const session = await backend.compile(own);
      Object.assign(values, await session.compute(values));
      await session.release();
    }
    return graph.outputs.map(({ name }) => values[name]?.data);
  };
  expect(await compute(splitSegment(graph))).toEqual(await compute([graph]));
});

test('a segment is not cut where a value that mixes rows would pass', () => {
  const graph = new GraphBuilder('mixed');
  const x = graph.input('x', 'float32', [ROWS, 4]);
  const weight = (name: string) => graph.initializer(name, 'float32', [4, 4], () => random(16, 1));
  const total = reduceSum(graph, gemm(graph, x, weight('first')), { axis: 0 });
  graph.output(add(graph, gemm(graph, x, weight('second')), total), 'y');
  expect(splitSegment(graph.build())).toHaveLength(1);
});
