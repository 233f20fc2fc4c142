import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { createDevice, type WasmDevice } from '../attention/index.ts';
import { createNodeBackend, type DenseBackend } from '../graph/index.ts';
import { window } from '../pattern/index.ts';
import { createGpt, type GptConfig, type RowModelOptions, type TrainingBatch } from './index.ts';

const CONFIG: GptConfig = {
  vocabularySize: 32,
  hiddenSize: 32,
  layers: 3,
  heads: 4,
  keyValueHeads: 2,
  context: 96,
  patterns: [window({ left: 16 })],
};
const ROWS = 150;

let device: WasmDevice;
let backend: DenseBackend;
beforeAll(async () => {
  device = await createDevice({ threads: 2 });
  backend = await createNodeBackend({ threads: 2 });
});
afterAll(() => device.dispose());

function batchOf(seed: number): TrainingBatch {
  const inputs = Int32Array.from({ length: ROWS }, (_, i) => (i * i + (i >> 2) * seed) % 31);
  return {
    inputs,
    targets: Int32Array.from(inputs, (_, i) => inputs[(i + 1) % ROWS] as number),
    weights: new Float32Array(ROWS).fill(1),
    starts: Int32Array.of(0, 90),
  };
}

/** Loss and gradients of one step. */
async function stepOf(options: RowModelOptions, lossScale = 1) {
  await using model = await createGpt(CONFIG, { device, backend, seed: 5, ...options });
  const gradients = model.parameters.map(({ data }) => new Float32Array(data.length));
  const { loss } = await model.step(batchOf(1), gradients, { lossScale });
  const evaluated = await model.evaluate(batchOf(1));
  return { loss, gradients, evaluated: evaluated.loss, bytesPerRow: model.bytesPerRow };
}

/** Of all numbers together: |a - b| / |b|. */
function distance(a: readonly Float32Array[], b: readonly Float32Array[], scale = 1): number {
  let [difference, size] = [0, 0];
  for (const [i, own] of b.entries()) {
    for (const [k, value] of own.entries()) {
      difference += ((a[i]?.[k] ?? Number.NaN) / scale - value) ** 2;
      size += value ** 2;
    }
  }
  return Math.sqrt(difference / size);
}

describe('a model whose rows are stored in 16 bits', () => {
  // Half a unit in the last place: 2^-12 of a number in f16, 2^-9 in bf16; some ten roundings lie between a weight and the loss.
  it.each([
    ['f16', 2 ** 10, 10 * 2 ** -12],
    ['bf16', 1, 10 * 2 ** -9],
  ] as const)(
    'has the gradients of float32 but for rounding, in half the memory: %s',
    async (precision, lossScale, tolerance) => {
      for (const checkpoint of ['none', 'attention', 'layer', 2] as const) {
        const exact = await stepOf({ checkpoint });
        const rounded = await stepOf({ checkpoint, precision }, lossScale);
        const error = distance(rounded.gradients, exact.gradients, lossScale);
        expect(error).toBeGreaterThan(0);
        expect(error).toBeLessThan(tolerance);
        expect(Math.abs(rounded.loss - exact.loss)).toBeLessThan(tolerance);
        expect(rounded.evaluated).toBeCloseTo(rounded.loss, 6);
        // The gradient of the looked-up rows, which the caller reads, stays in float32.
        expect(rounded.bytesPerRow).toBeLessThanOrEqual(0.5 * exact.bytesPerRow + 4 * CONFIG.hiddenSize + 16);
      }
    },
  );

  it.each(['f16', 'bf16'] as const)('has the same bits for any number of threads: %s', async (precision) => {
    const two = await stepOf({ precision });
    await using single = await createDevice({ threads: 1 });
    const one = await stepOf({ precision, device: single, backend: await createNodeBackend({ threads: 1 }) });
    expect(one.loss).toBe(two.loss);
    expect(one.gradients).toEqual(two.gradients);
  });

  it('loses small gradients of f16 that a loss scale keeps', async () => {
    const exact = await stepOf({});
    const tiny = 2 ** -16;
    const lost = await stepOf({ precision: 'f16' }, tiny);
    const kept = await stepOf({ precision: 'bf16' }, tiny);
    expect(distance(lost.gradients, exact.gradients, tiny)).toBeGreaterThan(0.2);
    expect(distance(kept.gradients, exact.gradients, tiny)).toBeLessThan(10 * 2 ** -9);
  });

  it('shows an overflow of f16 as gradients that are not finite', async () => {
    const { gradients, loss } = await stepOf({ precision: 'f16' }, 2 ** 40);
    expect(Number.isFinite(loss)).toBe(true);
    expect(gradients.some((gradient) => !gradient.every(Number.isFinite))).toBe(true);
  });

  it('refuses another precision', async () => {
    const precision = 'f8' as 'f16';
    await expect(createGpt(CONFIG, { device, backend, precision })).rejects.toThrow(
      "precision must be 'f32', 'f16' or 'bf16', got f8",
    );
  });
});
