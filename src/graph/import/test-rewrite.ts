import { expect } from 'vitest';
import type { Pattern } from '../../pattern/index.ts';
import type { HostTensor } from '../backend.ts';
import { GraphBuilder } from '../builder.ts';
import type { Attribute, Dimension, ElementType, Graph, Value } from '../ir.ts';
import { writeOnnx } from '../onnx-writer.ts';
import { createNodeBackend } from '../onnxruntime-node-backend.ts';
import { hostTensor } from '../tensor-data.ts';
import { allClose, random } from '../testing.ts';
import { compileBatchProgram, kernelAttention, readOnnx, rewriteAttention } from './index.ts';

export const backend = await createNodeBackend({ threads: 1 });

export const [HEADS, WIDTH] = [4, 16];
export const FEATURES = HEADS * WIDTH;
export const int = (value: number): Attribute => ({ type: 'int', value });

/** A graph with some inputs and one node of several outputs. */
export function graphOf(
  inputs: Readonly<Record<string, readonly [ElementType, readonly Dimension[]]>>,
  make: (graph: GraphBuilder, values: Record<string, Value>) => Value[],
): Graph {
  const graph = new GraphBuilder('model');
  const values = Object.fromEntries(
    Object.entries(inputs).map(([name, [type, shape]]) => [name, graph.input(name, type, shape)]),
  );
  for (const [i, output] of make(graph, values).entries()) graph.output(output, `output${i}`);
  return graph.build();
}

/** Numbers for a graph's inputs; `sizes` says what the names of dimensions are, `given` has inputs that are not random. */
export function feedsOf(graph: Graph, sizes: Readonly<Record<string, number>>, given: Record<string, HostTensor> = {}) {
  return Object.fromEntries(
    graph.inputs.map(({ name, type, shape }, seed) => {
      const sides = shape.map((side) => (typeof side === 'number' ? side : (sizes[side] ?? Number.NaN)));
      const count = sides.reduce((product, side) => product * side, 1);
      return [name, given[name] ?? hostTensor(type, random(count, seed + 1), sides)];
    }),
  );
}

/** The rewritten graph gives what ONNX Runtime gives for the original. */
export async function compare(
  graph: Graph,
  feeds: Record<string, HostTensor>,
  pattern: Pattern = { kind: 'dense' },
  counts: (output: string, at: number) => boolean = () => true,
) {
  const session = await backend.compile(graph);
  const want = await session.compute(feeds);
  await session.release();
  const model = await readOnnx(await writeOnnx(graph));
  const rewritten = rewriteAttention(model, { pattern });
  expect(rewritten.unmatched).toEqual([]);
  expect(rewritten.found).toHaveLength(1);
  const program = await compileBatchProgram(rewritten.graph, backend, { attention: kernelAttention() });
  const got = await program.run(feeds);
  await program.release();
  for (const [name, { data, shape }] of Object.entries(want)) {
    expect(got[name]?.shape).toEqual(shape);
    const counted = (values: ArrayLike<number | bigint>) =>
      Array.from(values, Number).filter((_, i) => counts(name, i));
    allClose(counted(got[name]?.data ?? []), counted(data), 2e-6);
  }
  return rewritten;
}

export const QKV = {
  q: ['float32', ['batch', 'n', FEATURES]],
  k: ['float32', ['batch', 'n', FEATURES]],
  v: ['float32', ['batch', 'n', FEATURES]],
} as const;
export const SIZES = { batch: 2, n: 20 };
