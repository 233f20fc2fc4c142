import { afterAll, beforeAll, expect, test } from 'vitest';
import {
  createDevice,
  referenceAttention,
  referenceGradients,
  type Tensor,
  type WasmDevice,
} from '../../attention/index.ts';
import { causal, sinks, union, window } from '../../pattern/index.ts';
import type { AttentionNode } from '../ir.ts';
import { allClose, random } from '../testing.ts';
import { PackedAttention } from './packed-attention.ts';

const NODE: AttentionNode = {
  name: 'attention',
  index: 0,
  heads: 4,
  keyValueHeads: 2,
  width: 8,
  valueWidth: 6,
  pattern: { kind: 'intersect', of: [causal(), union(sinks(2), window(5))] },
  scale: 0.4,
  softcap: 3,
  inputs: { q: 'q', k: 'k', v: 'v', sinkLogits: 'sink' },
  output: 'output',
};
const LENGTHS = [70, 9, 9, 9, 1];
const ROWS = LENGTHS.reduce((sum, length) => sum + length, 0);

let device: WasmDevice;
beforeAll(async () => {
  device = await createDevice({ threads: 2 });
});
afterAll(() => device.dispose());

test.each(['in ordinary arrays', "in the kernels' memory"])(
  'each sequence is a problem of its own: %s',
  async (where) => {
    const allocate = (data: Float32Array): Float32Array => {
      if (where === 'in ordinary arrays') return data;
      const own = device.allocate(data.length);
      own.set(data);
      return own;
    };
    const widths = { q: 32, k: 16, v: 12, output: 24, gradOutput: 24, gradQ: 32, gradK: 16, gradV: 12 };
    const data = Object.fromEntries(
      Object.entries(widths).map(([name, width], i) => [name, allocate(random(ROWS * width, i + 1))]),
    ) as Record<keyof typeof widths, Float32Array>;
    const sinkLogits = Float32Array.of(0.5, -1, 2, 0);
    const gradSinkLogits = new Float32Array(4);
    const attention = new PackedAttention(device);
    const starts = LENGTHS.map((_, i) => LENGTHS.slice(0, i).reduce((sum, length) => sum + length, 0));
    attention.pack(starts, ROWS);
    const rows = { rows: ROWS, ...data, sinkLogits, gradSinkLogits };
    await attention.backward(NODE, rows, await attention.forward(NODE, rows));

    const wanted = new Float64Array(4);
    for (const [i, start] of starts.entries()) {
      const length = LENGTHS[i] ?? 0;
      const part = (name: keyof typeof widths): Float32Array =>
        data[name].slice(start * widths[name], (start + length) * widths[name]);
      const tensor = (name: keyof typeof widths, heads: number): Tensor => ({
        data: part(name),
        shape: [1, length, heads, widths[name] / heads],
        layout: 'BNHD',
      });
      const { pattern, scale, softcap } = NODE;
      const problem = { q: tensor('q', 4), k: tensor('k', 2), v: tensor('v', 2), pattern, scale, softcap, sinkLogits };
      allClose(part('output'), referenceAttention(problem).output, 1e-6);
      const gradients = referenceGradients({ ...problem, gradOutput: tensor('gradOutput', 4) });
      allClose(part('gradQ'), gradients.gradQ, 2e-6);
      allClose(part('gradK'), gradients.gradK, 2e-6);
      allClose(part('gradV'), gradients.gradV, 2e-6);
      for (const [h, value] of gradients.gradSinkLogits.entries()) wanted[h] = (wanted[h] as number) + value;
    }
    allClose(gradSinkLogits, wanted, 2e-6);
  },
);

test('sequences that do not fit the rows are refused', () => {
  const attention = new PackedAttention(device);
  expect(() => attention.pack([], 5)).toThrow('starts must begin with 0');
  expect(() => attention.pack([1], 5)).toThrow('starts must begin with 0');
  expect(() => attention.pack([0, 3, 3], 5)).toThrow('starts[1] is 3; each must lie before the next');
  expect(() => attention.pack([0, 5], 5)).toThrow('starts[1] is 5');
});
