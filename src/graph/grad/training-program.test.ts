/** The executor of training steps on a graph that takes every way a value can: gradients against float64, and what is refused. */
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { createDevice, type WasmDevice } from '../../attention/index.ts';
import { ArgumentError, DeviceError } from '../../errors.ts';
import { causal } from '../../pattern/index.ts';
import type { DenseBackend, HostTensor } from '../backend.ts';
import { GraphBuilder } from '../builder.ts';
import { type Graph, ROWS } from '../ir.ts';
import { createNodeBackend } from '../onnxruntime-node-backend.ts';
import * as op from '../operators.ts';
import { evaluateReference } from '../reference/evaluate.ts';
import { type Tensor64, tensor } from '../reference/tensor.ts';
import { sparseAttention, sparseAttentionWithLse } from '../sparse-attention.ts';
import { allClose, random } from '../testing.ts';
import { PackedAttention } from './packed-attention.ts';
import type { StoredRows } from './row-storage.ts';
import { compileTraining } from './training-program.ts';

let device: WasmDevice;
let backend: DenseBackend;
beforeAll(async () => {
  device = await createDevice({ threads: 2 });
  backend = await createNodeBackend({ threads: 1 });
});
afterAll(() => device.dispose());

const ROWS_HERE = 13;
const WIDTH = 8;
const PARAMETERS = {
  w0: [WIDTH, WIDTH],
  sink: [2],
  w1: [WIDTH, WIDTH],
  w2: [WIDTH + 2, 3],
  bias: [3],
  unused: [4],
} as const;

/**
 * Two layers. In the first, queries, keys and values are one value, which the residual reads too; `middle` is an output and is read on;
 * sink logits are a parameter of attention itself. The second one's log-sum-exps are read. Two segments read w0. `x` is an input of which the gradient is wanted, `other` is not.
 */
function graphOf(): Graph {
  const graph = new GraphBuilder('ways');
  const x = graph.input('x', 'float32', [ROWS, WIDTH]);
  const other = graph.input('other', 'float32', [ROWS, WIDTH]);
  const parameter = (name: keyof typeof PARAMETERS) => graph.input(name, 'float32', PARAMETERS[name]);
  const w0 = parameter('w0');
  const first = op.tanh(graph, op.matmul(graph, op.mul(graph, x, other), w0));
  const heads = { heads: 2, pattern: causal() };
  const attended = sparseAttention(graph, {
    q: first,
    k: first,
    v: first,
    sinkLogits: parameter('sink'),
    softcap: 2,
    ...heads,
  });
  const middle = graph.boundary(graph.output(op.add(graph, op.add(graph, attended, first), x), 'middle'));
  const second = op.matmul(graph, op.matmul(graph, middle, parameter('w1')), w0);
  const { output: again, lse } = sparseAttentionWithLse(graph, { q: second, k: middle, v: first, ...heads });
  const both = op.concat(graph, [op.gelu(graph, op.add(graph, again, middle)), lse], 1);
  parameter('unused');
  graph.output(op.gemm(graph, both, parameter('w2'), parameter('bias')), 'y');
  return graph.build();
}

const feeds64: Record<string, Tensor64> = Object.fromEntries([
  ...['x', 'other'].map((name, i) => [name, tensor([ROWS_HERE, WIDTH], random(ROWS_HERE * WIDTH, i))]),
  ...Object.entries(PARAMETERS).map(([name, shape], i) => [
    name,
    tensor(
      shape,
      random(
        shape.reduce<number>((product, size) => product * size, 1),
        10 + i,
      ),
    ),
  ]),
]);
const seeds: Record<string, Tensor64> = {
  middle: tensor([ROWS_HERE, WIDTH], random(ROWS_HERE * WIDTH, 30)),
  y: tensor([ROWS_HERE, 3], random(ROWS_HERE * 3, 31)),
};

const floats = ({ shape, data }: Tensor64): HostTensor => ({ type: 'float32', data: Float32Array.from(data), shape });
const floatsOf = (name: string): Float32Array => Float32Array.from(feeds64[name]?.data ?? []);
const rowFeeds = () => ({ x: floats(feeds64.x as Tensor64), other: floats(feeds64.other as Tensor64) });

async function loss(changed: Record<string, Tensor64> = {}): Promise<number> {
  const values = await evaluateReference(graphOf(), { ...feeds64, ...changed });
  let sum = 0;
  for (const [name, { data }] of Object.entries(seeds)) {
    for (const [i, weight] of data.entries()) sum += weight * (values.get(name)?.data[i] as number);
  }
  return sum;
}

async function numeric(name: string): Promise<number[]> {
  const { shape, data } = feeds64[name] as Tensor64;
  const result: number[] = [];
  for (let i = 0; i < data.length; i++) {
    const at = (change: number) => {
      const own = Float64Array.from(data);
      own[i] = (own[i] as number) + change;
      return loss({ [name]: { shape, data: own } });
    };
    result.push(((await at(1e-5)) - (await at(-1e-5))) / 2e-5);
  }
  return result;
}

function packed(): PackedAttention {
  const attention = new PackedAttention(device);
  attention.pack([0], ROWS_HERE);
  return attention;
}

describe('compileTraining', () => {
  it.each(['none', 'attention', 'layer', 2] as const)(
    'gives the gradients of every way to a value: checkpoint %s',
    async (checkpoint) => {
      const program = await compileTraining(graphOf(), backend, { checkpoint, inputs: ['x'] });
      const names = program.parameters.map((parameter) => parameter.name);
      expect(names).toEqual(['w0', 'sink', 'w1', 'w2', 'bias']);
      const gradients = names.map((name) => new Float32Array(floatsOf(name).length).fill(1));
      const result = await program.step({
        feeds: rowFeeds(),
        parameters: names.map(floatsOf),
        attention: packed(),
        outputGradients: { middle: floats(seeds.middle as Tensor64), y: floats(seeds.y as Tensor64) },
        gradients,
      });
      for (const [i, name] of names.entries()) {
        allClose(
          gradients[i] ?? [],
          (await numeric(name)).map((value) => value + 1),
          5e-6,
        );
      }
      allClose(Array.from(result.inputGradients.x?.data ?? [], Number), await numeric('x'), 5e-6);
      expect(Object.keys(result.inputGradients)).toEqual(['x']);
      const values = await evaluateReference(graphOf(), feeds64);
      const forward = await program.forward({
        feeds: rowFeeds(),
        parameters: names.map(floatsOf),
        attention: packed(),
      });
      for (const name of ['middle', 'y']) {
        allClose(Array.from(forward[name]?.data ?? [], Number), values.get(name)?.data ?? [], 1e-6);
      }
      await program.release();
    },
  );

  it('has the same gradients but for rounding with rows of 16 bits, in ordinary arrays', async () => {
    const run = async (precision: 'f32' | 'f16' | 'bf16') => {
      const program = await compileTraining(graphOf(), backend, { inputs: ['x'], precision });
      const parameters = program.parameters.map(({ name }) => floatsOf(name));
      const gradients = parameters.map(({ length }) => new Float32Array(length));
      const { inputGradients } = await program.step({
        feeds: rowFeeds(),
        parameters,
        attention: packed(),
        outputGradients: { middle: floats(seeds.middle as Tensor64), y: floats(seeds.y as Tensor64) },
        gradients,
      });
      const all = [...gradients, inputGradients.x?.data as Float32Array].map((data) => Array.from(data));
      await program.release();
      return all.flat();
    };
    const exact = await run('f32');
    const size = Math.hypot(...exact);
    for (const [precision, unit] of [
      ['f16', 2 ** -12],
      ['bf16', 2 ** -9],
    ] as const) {
      const rounded = await run(precision);
      const error = Math.hypot(...rounded.map((value, i) => value - (exact[i] as number))) / size;
      expect(error).toBeGreaterThan(0);
      expect(error).toBeLessThan(4 * unit);
    }
  });

  it('tells the gradients of outputs from the outputs', async () => {
    const early = await compileTraining(graphOf(), backend, { inputs: ['x'] });
    const late = await compileTraining(graphOf(), backend, { inputs: ['x'], lateGradients: true });
    const parameters = early.parameters.map(({ name }) => floatsOf(name));
    const run = (program: typeof early, outputGradients: Parameters<typeof early.step>[0]['outputGradients']) => {
      const gradients = parameters.map(({ length }) => new Float32Array(length));
      const step = program.step({ feeds: rowFeeds(), parameters, attention: packed(), outputGradients, gradients });
      return step.then(({ outputs }) => ({ gradients, y: Float32Array.from(outputs.y?.data as Float32Array) }));
    };
    // The gradient of half the sum of squares is the output itself.
    const squares = await run(late, (outputs) => ({ y: copied(outputs.y), middle: copied(outputs.middle) }));
    const { middle, y } = await early.forward({ feeds: rowFeeds(), parameters, attention: packed() });
    const given = { y: copied(y), middle: copied(middle) };
    const same = await run(early, given);
    allClose(squares.y, same.y, 1e-6);
    for (const [i, gradient] of same.gradients.entries()) allClose(squares.gradients[i] ?? [], gradient, 1e-6);
    await expect(run(early, () => given)).rejects.toThrow('compile the program with lateGradients');
    await early.release();
    await late.release();
  });

  it('shares sessions between layers of one structure', async () => {
    const deep = (layers: number): Graph => {
      const graph = new GraphBuilder('deep');
      let x = graph.input('x', 'float32', [ROWS, WIDTH]);
      for (let i = 0; i < layers; i++) {
        const q = op.matmul(graph, x, graph.input(`w${i}`, 'float32', [WIDTH, WIDTH]));
        const attended = sparseAttention(graph, { q, k: q, v: x, heads: 2, pattern: causal() });
        x = graph.boundary(op.add(graph, attended, x));
      }
      graph.output(op.relu(graph, x), 'y');
      return graph.build();
    };
    const [three, nine] = [await compileTraining(deep(3), backend), await compileTraining(deep(9), backend)];
    expect(nine.sessions).toBe(three.sessions);
    await three.release();
    await nine.release();
  });

  it('refuses what it cannot train, and wrong arrays, by name', async () => {
    const graph = new GraphBuilder('bad');
    const x = graph.input('x', 'float32', [ROWS, WIDTH]);
    const scale = op.sigmoid(graph, graph.input('w', 'float32', [1, WIDTH]), 'scale');
    const attended = sparseAttention(graph, { q: op.mul(graph, x, scale), k: x, v: x, heads: 2, pattern: causal() });
    graph.output(op.mul(graph, attended, scale), 'y');
    await expect(compileTraining(graph.build(), backend)).rejects.toThrow(
      'scale [1, 8] leaves a dense segment without rows',
    );
    await expect(compileTraining(graphOf(), backend, { checkpoint: 0 })).rejects.toThrow(ArgumentError);

    const program = await compileTraining(graphOf(), backend);
    const parameters = program.parameters.map(({ name }) => floatsOf(name));
    const gradients = parameters.map(({ length }) => new Float32Array(length));
    const good = {
      feeds: rowFeeds(),
      parameters,
      attention: packed(),
      outputGradients: { middle: floats(seeds.middle as Tensor64), y: floats(seeds.y as Tensor64) },
      gradients,
    };
    await expect(program.step({ ...good, parameters: parameters.slice(1) })).rejects.toThrow(
      'parameters[0] (w0) must have 64 numbers',
    );
    await expect(program.step({ ...good, gradients: [] })).rejects.toThrow('gradients[0] (w0) must have 64 numbers');
    await expect(program.step({ ...good, feeds: {} })).rejects.toThrow('feeds.x is missing');
    await expect(program.step({ ...good, outputGradients: {} })).rejects.toThrow('outputGradients.');
    const running = program.step(good);
    await expect(program.step(good)).rejects.toThrow('a run is under way');
    await running;
    await program.release();
    await expect(program.step(good)).rejects.toThrow(DeviceError);
  });

  it("gives buffers back, and goes on without the kernels' memory where that is full", async () => {
    const live = new Set<StoredRows>();
    const { MemoryError } = await import('../../errors.ts');
    let left = 3;
    const program = await compileTraining(graphOf(), backend, {
      allocate: (count, type) => {
        if (left-- <= 0) throw new MemoryError('full', 4 * count, 0);
        const buffer = device.allocate(count, type);
        live.add(buffer);
        return buffer;
      },
      free: (buffer) => {
        live.delete(buffer);
        device.release(buffer);
      },
    });
    const parameters = program.parameters.map(({ name }) => floatsOf(name));
    const before = device.heap.used;
    const { y } = await program.forward({ feeds: rowFeeds(), parameters, attention: packed() });
    const values = await evaluateReference(graphOf(), feeds64);
    allClose(Array.from(y?.data ?? [], Number), values.get('y')?.data ?? [], 1e-6);
    expect(live.size).toBe(3);
    await program.release();
    expect(live.size).toBe(0);
    expect(device.heap.used).toBeLessThan(before + 4096 * 16);
  });
});

function copied(tensor: HostTensor | undefined): HostTensor {
  if (tensor?.type !== 'float32') throw new Error('no output');
  return { ...tensor, data: Float32Array.from(tensor.data) };
}
