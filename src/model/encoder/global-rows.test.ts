import { afterAll, beforeAll, it } from 'vitest';
import { createDevice, type WasmDevice } from '../../attention/index.ts';
import { createNodeBackend } from '../../graph/index.ts';
import { allClose, random } from '../../graph/testing.ts';
import { checkpointOf } from '../testing.ts';
import { GlobalRows } from './global-rows.ts';
import type { Layout } from './layout.ts';
import { EncoderTensors } from './tensors.ts';

const [HEADS, WIDTH] = [2, 4];
const HIDDEN = HEADS * WIDTH;

let device: WasmDevice;
beforeAll(async () => {
  device = await createDevice({ threads: 1 });
});
afterAll(() => device.dispose());

const weights = new Map<string, { shape: readonly number[]; data: Float32Array }>();
for (const [i, part] of ['query', 'key', 'value'].entries()) {
  weights.set(`self.${part}_global.weight`, { shape: [HIDDEN, HIDDEN], data: random(HIDDEN * HIDDEN, 10 + i) });
  weights.set(`self.${part}_global.bias`, { shape: [HIDDEN], data: random(HIDDEN, 20 + i) });
}

/** The rows of global tokens by definition, in float64: three projections, and a softmax over the keys that count. */
function defined(x: Float32Array, { sequences }: Layout, local: Float32Array): number[] {
  const result = Array.from(local);
  const projected = (row: number, part: string): number[] => {
    const [matrix, bias] = ['weight', 'bias'].map((kind) => weights.get(`self.${part}_global.${kind}`)?.data ?? []);
    return Array.from({ length: HIDDEN }, (_, out) =>
      Array.from({ length: HIDDEN }, (_, i) => (matrix?.[out * HIDDEN + i] ?? 0) * (x[row * HIDDEN + i] ?? 0)).reduce(
        (sum, product) => sum + product,
        bias?.[out] ?? 0,
      ),
    );
  };
  for (const { start, length, masked, globals } of sequences) {
    const keys = Array.from({ length }, (_, i) => i).filter((i) => !masked.includes(i));
    const [k, v] = ['key', 'value'].map((part) => keys.map((i) => projected(start + i, part))) as [
      number[][],
      number[][],
    ];
    for (const place of globals) {
      const q = projected(start + place, 'query');
      for (let head = 0; head < HEADS; head++) {
        const own = Array.from({ length: WIDTH }, (_, d) => head * WIDTH + d);
        const shares = k.map((key) =>
          Math.exp(own.reduce((sum, d) => sum + (q[d] ?? 0) * (key[d] ?? 0), 0) / Math.sqrt(WIDTH)),
        );
        const total = shares.reduce((a, b) => a + b, 0);
        for (const d of own) {
          result[(start + place) * HIDDEN + d] = v.reduce(
            (sum, value, j) => sum + ((shares[j] ?? 0) / total) * (value[d] ?? 0),
            0,
          );
        }
      }
    }
  }
  return result;
}

it.each([
  ['few', [0, 3]],
  ['more than a head is wide', [0, 1, 2, 3, 5, 8, 12]],
])('gives the rows of %s global tokens their definition, and leaves the others', async (_, globals) => {
  const layout: Layout = {
    rows: 40,
    sequences: [
      { start: 0, length: 15, givenLength: 15, masked: [4, 9], globals },
      { start: 15, length: 5, givenLength: 5, masked: [], globals: [] },
      { start: 20, length: 20, givenLength: 20, masked: [], globals },
    ],
  };
  const [x, local] = [random(40 * HIDDEN, 1), random(40 * HIDDEN, 2)];
  const tensors = new EncoderTensors({ checkpoint: checkpointOf(weights), source: 'test', prefix: '', headNames: [] });
  const rows = new GlobalRows(tensors, 'self', HEADS, HIDDEN);
  const output = new Float32Array(local.length);
  await rows.run({ local, x, output }, layout, { device, backend: await createNodeBackend({ threads: 1 }) });
  await rows.release();
  allClose(output, defined(x, layout, local), 1e-5);
});
