import { describe, expect, test } from 'vitest';
import { ArgumentError, DeviceError } from '../errors.ts';
import * as op from './index.ts';
import { createNodeBackend, createWebBackend, GraphBuilder } from './index.ts';
import { allClose, random } from './testing.ts';

/** y = x W^T, an embedding of ids in another output, and a weight that counts its loads. */
function smallGraph(seed = 1) {
  let loads = 0;
  const graph = new GraphBuilder('small');
  const x = graph.input('x', 'float32', ['rows', 4]);
  const ids = graph.input('ids', 'int64', ['rows']);
  const load = () => {
    loads++;
    return random(8, seed);
  };
  graph.output(op.linear(graph, x, { rows: 2, columns: 4, bits: 32, load }), 'y');
  const table = graph.initializer('table', 'float32', [5, 2], () => random(10, seed + 1));
  graph.output(op.gather(graph, table, ids), 'embedded');
  return { graph: graph.build(), loads: () => loads };
}

function expected(x: Float32Array, ids: readonly number[], seed = 1) {
  const weight = random(8, seed);
  const table = random(10, seed + 1);
  const y = ids.flatMap((_, row) =>
    [0, 1].map((o) => [0, 1, 2, 3].reduce((sum, i) => sum + (x[row * 4 + i] ?? 0) * (weight[o * 4 + i] ?? 0), 0)),
  );
  return { y, embedded: ids.flatMap((id) => [table[id * 2] ?? 0, table[id * 2 + 1] ?? 0]) };
}

const floatsOver = (buffer: ArrayBuffer | SharedArrayBuffer, offset: number, length: number) =>
  new Float32Array(buffer, offset, length);

describe.each([
  ['onnxruntime-node', () => createNodeBackend({ threads: 1 })],
  ['onnxruntime-web', () => createWebBackend({ threads: 1 })],
])('%s', (name, create) => {
  test.each(['plain', 'shared'])('writes preallocated outputs in %s memory, at any offset', async (kind) => {
    const backend = await create();
    expect(backend.name).toContain(name);
    const { graph, loads } = smallGraph();
    const session = await backend.compile(graph);
    expect(loads()).toBe(1);
    const buffer = kind === 'plain' ? new ArrayBuffer(256) : new SharedArrayBuffer(256);
    const ids = [4, 0, 2];
    const x = { type: 'float32', data: floatsOver(buffer, 16, 12), shape: [3, 4] } as const;
    const y = { type: 'float32', data: floatsOver(buffer, 80, 6), shape: [3, 2] } as const;
    const feeds = { x, ids: { type: 'int64', data: BigInt64Array.from(ids, BigInt), shape: [3] } } as const;
    const embedded = { type: 'float32', data: new Float32Array(6), shape: [3, 2] } as const;
    for (const seed of [3, 4]) {
      x.data.set(random(12, seed));
      await session.run(feeds, { y, embedded });
      const want = expected(x.data, ids);
      allClose(y.data, want.y, 1e-6);
      allClose(embedded.data, want.embedded, 0);
    }
    const around = [...new Uint8Array(buffer, 64, 16), ...new Uint8Array(buffer, 104, 16)];
    expect(around.every((byte) => byte === 0)).toBe(true);
    y.data.fill(0);
    embedded.data.fill(7);
    await session.run(feeds, { y });
    allClose(y.data, expected(x.data, ids).y, 1e-6);
    expect([...embedded.data]).toEqual([7, 7, 7, 7, 7, 7]);
    await session.release();
    await session.release();
    await expect(session.run(feeds, { y })).rejects.toThrow(DeviceError);
  });

  test('sessions live side by side', async () => {
    const backend = await create();
    const sessions = [await backend.compile(smallGraph(5).graph), await backend.compile(smallGraph(9).graph)];
    const x = { type: 'float32', data: random(4, 1), shape: [1, 4] } as const;
    const ids = { type: 'int64', data: BigInt64Array.of(3n), shape: [1] } as const;
    for (const [i, session] of [...sessions, ...sessions].entries()) {
      const y = { type: 'float32', data: new Float32Array(2), shape: [1, 2] } as const;
      await session.run({ x, ids }, { y });
      allClose(y.data, expected(x.data, [3], i % 2 === 0 ? 5 : 9).y, 1e-6);
    }
    for (const session of sessions) await session.release();
  });

  test('errors name the graph and what was wrong', async () => {
    const backend = await create();
    const { graph } = smallGraph();
    const session = await backend.compile(graph);
    const y = { type: 'float32', data: new Float32Array(2), shape: [1, 2] } as const;
    await expect(session.run({}, { y })).rejects.toThrow('input x is missing');
    const x = { type: 'float32', data: new Float32Array(3), shape: [1, 3] } as const;
    const ids = { type: 'int64', data: new BigInt64Array(1), shape: [1] } as const;
    await expect(session.run({ x, ids }, { y })).rejects.toThrow(/small with x \[1, 3\]/);
    await session.release();

    const unknown = new GraphBuilder('unknown');
    const input = unknown.input('x', 'float32', ['rows', 2]);
    unknown.output(unknown.op1({ operator: 'NoSuchOperator', inputs: [input] }, 'float32', ['rows', 2]));
    await expect(backend.compile(unknown.build())).rejects.toThrow(DeviceError);
    await expect(backend.compile(graph, { signal: AbortSignal.abort(new Error('stop')) })).rejects.toThrow('stop');

    const short = new GraphBuilder('short');
    const weight = short.initializer('w', 'float32', [3], () => new Float32Array(2));
    short.output(op.add(short, short.input('x', 'float32', ['rows', 3]), weight));
    await expect(backend.compile(short.build())).rejects.toThrow(ArgumentError);
  });
});
