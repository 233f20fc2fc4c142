import { InferenceSession } from 'onnxruntime-node';
import { expect, test } from 'vitest';
import { MemoryError } from '../errors.ts';
import { add, GraphBuilder, gather, writeOnnx } from './index.ts';

test('inputs, outputs, types and symbolic dimensions come back from ONNX Runtime', async () => {
  const graph = new GraphBuilder('written');
  const ids = graph.input('ids', 'int64', ['rows', 2]);
  const table = graph.initializer('table', 'float32', [3, 4], () => new Float32Array(12));
  graph.output(add(graph, gather(graph, table, ids), graph.input('bias', 'float32', ['rows', 2, 4])), 'sum');
  const session = await InferenceSession.create(await writeOnnx(graph.build()));
  expect(session.inputMetadata).toEqual([
    { name: 'ids', isTensor: true, type: 'int64', shape: ['rows', 2] },
    { name: 'bias', isTensor: true, type: 'float32', shape: ['rows', 2, 4] },
  ]);
  expect(session.outputMetadata).toEqual([{ name: 'sum', isTensor: true, type: 'float32', shape: ['rows', 2, 4] }]);
  await session.release();
});

test('the bytes are those of the Protocol Buffers encoding', async () => {
  const graph = new GraphBuilder('g');
  const x = graph.input('x', 'float32', [300]);
  const attributes = { i: { type: 'int', value: -1 }, f: { type: 'float', value: 1 } } as const;
  graph.output(graph.op1({ operator: 'O', inputs: [x], attributes, name: 'y' }, 'float32', [300]));
  const hex = Buffer.from(await writeOnnx(graph.build(), { opset: 17 })).toString('hex');
  const join = (...parts: string[]) => parts.join('');
  /** Key of a length-delimited field, length, content. */
  const nested = (key: string, content: string) =>
    join(key, (content.length / 2).toString(16).padStart(2, '0'), content);
  const text = (key: string, value: string) => nested(key, Buffer.from(value).toString('hex'));
  const node = join(
    text('0a', 'x'),
    text('12', 'y'),
    text('1a', 'y'),
    text('22', 'O'),
    nested('2a', join(text('0a', 'i'), '18ffffffffffffffffff01', 'a00102')),
    nested('2a', join(text('0a', 'f'), '150000803f', 'a00101')),
    text('3a', ''),
  );
  const shape = nested('0a', '08ac02');
  const type = nested('0a', join('0801', nested('12', shape)));
  const info = (name: string) => join(text('0a', name), nested('12', type));
  const body = join(nested('0a', node), text('12', 'g'), nested('5a', info('x')), nested('62', info('y')));
  expect(hex).toBe(join('080a', text('12', 'farfield'), nested('3a', body), nested('42', join('0a00', '1011'))));
});

test('weights are loaded one after the other, and one of another size than it says is refused', async () => {
  const graph = new GraphBuilder('weights');
  const loaded: string[] = [];
  const weight = (name: string) => graph.initializer(name, 'float32', [2], () => new Float32Array(2));
  graph.output(add(graph, weight('a'), weight('b')), 'sum');
  const built = graph.build();
  const initializers = built.initializers.map((initializer, i) => ({
    ...initializer,
    load: async () => {
      loaded.push(`${initializer.name} begins`);
      await null;
      loaded.push(`${initializer.name} ends`);
      return new Float32Array(2 + i);
    },
  }));
  await expect(writeOnnx({ ...built, initializers })).rejects.toThrow(
    'initializer b: float32 [2] has 8 bytes, and load() gave 12',
  );
  expect(loaded).toEqual(['a begins', 'a ends', 'b begins', 'b ends']);
});

test('a file of 2 GiB is refused before it is put together', async () => {
  const graph = new GraphBuilder('large');
  const rows = 2 ** 20;
  const refuse = () => Promise.reject(new Error('a weight was loaded'));
  const x = graph.input('x', 'float32', [rows, 256]);
  const first = add(graph, x, graph.initializer('a', 'float32', [rows, 256], refuse));
  graph.output(add(graph, first, graph.initializer('b', 'float32', [rows, 256], refuse)));
  await expect(writeOnnx(graph.build())).rejects.toThrow(MemoryError);
});
