import { expect, test } from 'vitest';
import { add, GraphBuilder, mul, partition, ROWS, relu, sparseAttention } from './index.ts';
import { partitionLate } from './partition.ts';

test('attention nodes that could run at once come one after the other, each right behind what only it reads', () => {
  const graph = new GraphBuilder('heads');
  const x = relu(graph, graph.input('x', 'float32', [ROWS, 4]), 'x0');
  const attend = (name: string) => {
    const q = mul(
      graph,
      x,
      graph.initializer(`w${name}`, 'float32', [4], () => new Float32Array(4)),
      `q${name}`,
    );
    return sparseAttention(graph, { q, k: q, v: q, heads: 1, pattern: { kind: 'dense' }, name });
  };
  const [a, b] = [attend('a'), attend('b')];
  graph.output(add(graph, add(graph, a, b), x), 'y');
  const described = (stages: ReturnType<typeof partition>) =>
    stages.map((stage) =>
      stage.kind === 'attention' ? stage.node.name : stage.graph.outputs.map(({ name }) => name).sort(),
    );
  expect(described(partition(graph.build()))).toEqual([['qa', 'qb', 'x0'], 'a', 'b', ['y']]);
  expect(described(partitionLate(graph.build()))).toEqual([['qa', 'x0'], 'a', ['qb'], 'b', ['y']]);
});
