import { expect, test } from 'vitest';
import { ArgumentError } from '../errors.ts';
import type { HostTensor } from './backend.ts';
import {
  compileProgram,
  createNodeBackend,
  GraphBuilder,
  relu,
  scaleBy,
  sparseAttention,
  sparseAttentionWithLse,
} from './index.ts';
import { random } from './testing.ts';

const dense = { kind: 'dense' } as const;

function float32(data: Float32Array, width: number): HostTensor {
  return { type: 'float32', data, shape: [data.length / width, width] };
}

test('keys and values may be rows of another sequence, which are inputs of the graph', async () => {
  const graph = new GraphBuilder('cross');
  const q = relu(graph, graph.input('x', 'float32', ['rows', 4]));
  const [k, v] = ['k', 'v'].map((name) => graph.input(name, 'float32', ['text rows', 4])) as [typeof q, typeof q];
  graph.output(scaleBy(graph, sparseAttention(graph, { q, k, v, heads: 2, pattern: dense, name: 'a' }), 2), 'y');
  const program = await compileProgram(graph.build(), await createNodeBackend({ threads: 1 }));
  const [text, other] = [random(5 * 4, 1), random(5 * 4, 2)];
  const feeds = { x: float32(random(3 * 4, 3), 4), k: float32(text, 4), v: float32(other, 4) };
  const seen: number[][] = [];
  // In chunks of two rows: the text stays whole.
  const { y } = await program.run(feeds, {
    rowChunk: 2,
    attention: (_, { rows, q, k, v, output }) => {
      seen.push([rows, q.length]);
      expect([...k]).toEqual([...text]);
      expect([...v]).toEqual([...other]);
      output.set(q);
    },
  });
  expect(seen).toEqual([[3, 12]]);
  expect([...(y?.data ?? [])]).toEqual(Array.from(feeds.x.data as Float32Array, (x) => 2 * Math.max(0, x)));
  await program.release();
});

test('a node can hand on the log-sum-exps that its callback writes', async () => {
  const graph = new GraphBuilder('lse');
  const x = relu(graph, graph.input('x', 'float32', ['rows', 4]));
  const { output, lse } = sparseAttentionWithLse(graph, { q: x, k: x, v: x, heads: 2, pattern: dense, name: 'a' });
  expect(lse.shape).toEqual(['rows', 2]);
  graph.output(scaleBy(graph, lse, 3), 'y');
  graph.output(output, 'z');
  const program = await compileProgram(graph.build(), await createNodeBackend({ threads: 1 }));
  expect(program.attentionNodes[0]?.lse).toBe(lse.name);
  const { y } = await program.run(
    { x: float32(random(3 * 4, 3), 4) },
    {
      attention: (_, { lse, output }) => {
        output.fill(0);
        lse?.set([1, 2, 3, 4, 5, 6]);
      },
    },
  );
  expect([...(y?.data ?? [])]).toEqual([3, 6, 9, 12, 15, 18]);
  await program.release();
});

test('keys and values of different lengths are refused', () => {
  const graph = new GraphBuilder('wrong');
  const q = graph.input('q', 'float32', ['rows', 4]);
  const k = graph.input('k', 'float32', ['text rows', 4]);
  const make = () => sparseAttention(graph, { q, k, v: q, heads: 2, pattern: dense });
  expect(make).toThrow(ArgumentError);
  expect(make).toThrow('k and v must have the same rows');
});
