import fc from 'fast-check';
import { describe, expect, it, test } from 'vitest';
import { CheckpointError } from '../../errors.ts';
import { GraphBuilder } from '../builder.ts';
import type { ElementType } from '../ir.ts';
import { writeOnnx } from '../onnx-writer.ts';
import { add } from '../operators.ts';
import { Message } from '../protobuf-message.ts';
import { createData } from '../tensor-data.ts';
import { type ByteRange, readOnnx, rewriteAttention } from './index.ts';
import { attentionGraph } from './test-files.ts';

/** A ModelProto of a graph with these fields. */
function model(graph: Message, opset = 17): Uint8Array {
  const version = new Message().text(1, '').integer(2, opset);
  return new Message().integer(1, 8).text(2, 'test').message(7, graph).message(8, version).join();
}

const raw = (data: ArrayLike<number>) => new Uint8Array(Float32Array.from(data).buffer);

test('a written graph comes back: nodes, attributes, shapes, weights', async () => {
  const graph = attentionGraph();
  const { graph: read, opset, producer } = await readOnnx(await writeOnnx(graph));
  expect(opset).toBe(24);
  expect(producer).toBe('farfield');
  expect(read.nodes).toEqual(graph.nodes);
  expect(read.inputs).toEqual(graph.inputs);
  expect(read.outputs.map(({ name, type, shape }) => [name, type, shape])).toEqual([
    ['attended', 'float32', ['batch', 2, 'sequence', 4]],
  ]);
  for (const { name, load } of graph.initializers) {
    const own = read.initializers.find((each) => each.name === name);
    expect(await own?.load()).toEqual(await load());
  }
  expect(await writeOnnx(read)).toEqual(await writeOnnx({ ...graph, outputs: read.outputs, opsets: read.opsets }));
});

test('elements of every type are read from raw and from typed data', async () => {
  // Field of typed data by TensorProto.DataType, onnx.proto.
  const cases: [ElementType, number, number, number[]][] = [
    ['float32', 1, 4, [1.5, -2]],
    ['uint8', 2, 5, [0, 255]],
    ['int8', 3, 5, [-128, 127]],
    ['uint16', 4, 5, [0, 65535]],
    ['int16', 5, 5, [-32768, 1]],
    ['int32', 6, 5, [-(2 ** 31), 7]],
    ['int64', 7, 7, [-1, 2 ** 40]],
    ['bool', 9, 5, [1, 0]],
    ['float16', 10, 5, [0x3c00, 0xbc00]],
    ['float64', 11, 10, [Math.PI, -0]],
    ['uint32', 12, 11, [0, 2 ** 32 - 1]],
    ['uint64', 13, 11, [0, 2 ** 40]],
    ['bfloat16', 16, 5, [0x3f80, 0]],
  ];
  const graph = new Message().text(2, 'g');
  const wanted = new Map<string, unknown>();
  for (const [type, number, field, values] of cases) {
    const data = createData(type, values.length);
    const big = data instanceof BigInt64Array || data instanceof BigUint64Array;
    for (const [i, value] of values.entries()) data[i] = big ? BigInt(value) : value;
    const bytes = new Uint8Array(data.buffer);
    const header = (name: string) => new Message().integer(1, 2).integer(2, number).text(8, `${type} ${name}`);
    graph.message(5, header('raw').bytes(9, bytes));
    const packed = new Message();
    for (const value of values) {
      if (field === 4) packed.float(field, value);
      else if (field !== 10) packed.integer(field, value);
    }
    // The bytes of doubles, packed; the others one field for each value.
    graph.message(5, field === 10 ? header('typed').bytes(10, bytes) : joined(header('typed'), packed));
    wanted.set(`${type} raw`, data).set(`${type} typed`, data);
  }
  const { graph: read } = await readOnnx(model(graph));
  expect(read.initializers).toHaveLength(2 * cases.length);
  for (const { name, load } of read.initializers) expect(await load()).toEqual(wanted.get(name));
});

function joined(a: Message, b: Message): Message {
  a.pieces.push(...b.pieces);
  a.size += b.size;
  return a;
}

test('a large weight of a file in memory is a view, and is read from a file only when it is loaded', async () => {
  const data = Float32Array.from({ length: 2 ** 19 }, (_, i) => i);
  const graph = new GraphBuilder('large');
  const x = graph.input('x', 'float32', [data.length]);
  graph.output(
    add(
      graph,
      x,
      graph.initializer('weight', 'float32', [data.length], () => data),
    ),
    'y',
  );
  const written = await writeOnnx(graph.build());
  // Wherever the weight lies in the file, in one of four files its floats are aligned.
  const views = await Promise.all(
    [0, 1, 2, 3].map(async (shift) => {
      const buffer = new Uint8Array(written.length + 4);
      buffer.set(written, shift);
      const { graph: read } = await readOnnx(buffer.subarray(shift, shift + written.length));
      const loaded = await read.initializers[0]?.load();
      expect(loaded).toEqual(data);
      return loaded?.buffer === buffer.buffer;
    }),
  );
  expect(views.filter(Boolean)).toHaveLength(1);

  let bytes = 0;
  const source: ByteRange = {
    name: 'large.onnx',
    size: written.length,
    read: async (offset, length) => {
      bytes += length;
      return written.slice(offset, offset + length);
    },
  };
  const { graph: read } = await readOnnx(source);
  // What lies before and after it, in windows of 64 KiB.
  expect(bytes).toBeLessThanOrEqual(3 * 2 ** 16);
  expect(await read.initializers[0]?.load()).toEqual(data);
});

describe('external data', () => {
  const place = (entries: Record<string, string>) => {
    const tensor = new Message().integer(1, 2).integer(2, 1).text(8, 'w').integer(14, 1);
    for (const [key, value] of Object.entries(entries)) tensor.message(13, new Message().text(1, key).text(2, value));
    return model(new Message().message(5, tensor));
  };
  const file: ByteRange = {
    name: 'weights.bin',
    size: 12,
    read: async (offset, length) => raw([1, 2, 3]).subarray(offset, offset + length),
  };
  const openExternal = async (location: string) => {
    expect(location).toBe('weights.bin');
    return file;
  };

  it('is read where it lies', async () => {
    const read = async (entries: Record<string, string>) =>
      (await readOnnx(place(entries), { openExternal })).graph.initializers[0]?.load();
    expect(await read({ location: 'weights.bin' })).toEqual(Float32Array.of(1, 2));
    expect(await read({ location: 'weights.bin', offset: '4', length: '8' })).toEqual(Float32Array.of(2, 3));
  });

  it.each([
    [{ location: '../weights.bin' }, '"../weights.bin", which does not lie beside the model'],
    [{ location: '/weights.bin' }, 'which does not lie beside the model'],
    [{ location: 'C:weights.bin' }, 'which does not lie beside the model'],
    [{}, 'initializer "w": its external data has no location'],
    [{ location: 'weights.bin', length: '4' }, 'its external data has 4 bytes, its shape needs 8'],
    [{ location: 'weights.bin', offset: 'x' }, 'has the offset "x"'],
    [{ location: 'weights.bin', offset: '8' }, 'weights.bin: initializer "w" needs bytes 8 to 16, but the file has 12'],
  ])('%j is refused', async (entries, why) => {
    await expect(readOnnx(place(entries as Record<string, string>), { openExternal })).rejects.toThrow(why);
  });

  it('is refused where no file is given', async () => {
    await expect(readOnnx(place({ location: 'weights.bin' }))).rejects.toThrow('is in the file "weights.bin"');
  });
});

describe('what is refused, by its name', () => {
  const value = (name: string) =>
    new Message().text(1, name).message(2, new Message().message(1, new Message().integer(1, 1)));
  it.each([
    ['no graph', new Message().integer(1, 8).join(), 'there is no graph in it'],
    ['functions', new Message().message(25, new Message().text(1, 'f')).join(), 'functions of its own'],
    [
      'a weight of text',
      model(new Message().message(5, new Message().integer(2, 8).text(8, 'words'))),
      'initializer "words": its elements have type 8',
    ],
    [
      'a weight that is too short',
      model(
        new Message().message(
          5,
          new Message()
            .integer(1, 3)
            .integer(2, 1)
            .text(8, 'w')
            .bytes(9, raw([1])),
        ),
      ),
      'initializer "w": raw_data has 4 bytes, float32 [3] needs 12',
    ],
    [
      'a value that nothing makes',
      model(new Message().message(1, new Message().text(1, 'x').text(2, 'y').text(3, 'n').text(4, 'Relu'))),
      'Relu n reads "x" before a node has made it',
    ],
    ['an output that nothing makes', model(new Message().message(12, value('y'))), 'nothing makes the output "y"'],
    [
      'an input that is no tensor',
      model(new Message().message(11, new Message().text(1, 'list'))),
      'input "list" is no tensor',
    ],
  ])('%s', async (_, bytes, why) => {
    await expect(readOnnx(bytes)).rejects.toThrow(CheckpointError);
    await expect(readOnnx(bytes)).rejects.toThrow(why);
  });
});

describe('fuzzed files', async () => {
  const valid = await writeOnnx(attentionGraph());

  /** Reads everything. Reads beyond the file would be allocations that nothing bounds. */
  async function survive(file: Uint8Array): Promise<void> {
    const source: ByteRange = {
      name: 'fuzzed',
      size: file.length,
      read: async (offset, length) => {
        expect(offset).toBeGreaterThanOrEqual(0);
        expect(offset + length).toBeLessThanOrEqual(file.length);
        return file.subarray(offset, offset + length);
      },
    };
    try {
      const model = await readOnnx(source);
      rewriteAttention(model, { pattern: { kind: 'window', left: 1, right: 1 } });
      const { graph } = model;
      for (const { load, shape } of graph.initializers) {
        expect((await load()).length).toBe(shape.reduce((product, side) => product * side, 1));
      }
    } catch (error) {
      if (!(error instanceof CheckpointError)) throw error;
      expect(error.message).toMatch(/fuzzed/);
    }
  }

  it('with bytes replaced and the end cut off', async () => {
    const edit = fc.tuple(fc.nat(valid.length - 1), fc.oneof(fc.nat(255), fc.constantFrom(0, 1, 127, 128, 255)));
    await fc.assert(
      fc.asyncProperty(
        fc.array(edit, { maxLength: 6 }),
        fc.nat(valid.length),
        fc.boolean(),
        async (edits, end, cut) => {
          const copy = valid.slice();
          for (const [at, byte] of edits) copy[at] = byte;
          await survive(cut ? copy.subarray(0, end) : copy);
        },
      ),
      { numRuns: 2000 },
    );
  });

  it('random bytes, with and without the right start', async () => {
    await fc.assert(
      fc.asyncProperty(fc.uint8Array({ maxLength: 200 }), fc.nat(valid.length), (tail, keep) =>
        survive(Uint8Array.from([...valid.subarray(0, keep), ...tail])),
      ),
      { numRuns: 1000 },
    );
    await fc.assert(
      fc.asyncProperty(fc.uint8Array({ maxLength: 400 }), (file) => survive(file)),
      { numRuns: 1000 },
    );
  });

  it('sums that double in every node end soon', async () => {
    const graph = new GraphBuilder('doubling');
    let x = graph.input('x', 'int64', []);
    for (let i = 0; i < 200; i++) x = graph.op1({ operator: i % 2 ? 'Mul' : 'Add', inputs: [x, x] }, 'int64', []);
    graph.output(x, 'y');
    const { graph: read } = await readOnnx(await writeOnnx(graph.build()));
    expect(read.nodes).toHaveLength(201);
  });
});
