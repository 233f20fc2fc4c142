/** A small decoder trained in float32 and with rows of 16 bits. */
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { createDevice, type NumberType, type WasmDevice } from '../attention/index.ts';
import { createNodeBackend, type DenseBackend } from '../graph/index.ts';
import { createGpt } from '../model/index.ts';
import { window } from '../pattern/index.ts';
import { adamw, memoryFolder, type TrainEvent, type TrainOptions, train } from './index.ts';
import { bigramSource } from './testing.ts';

const VOCABULARY = 16;
const STEPS = 120;

let device: WasmDevice;
let backend: DenseBackend;
beforeAll(async () => {
  device = await createDevice({ threads: 2 });
  backend = await createNodeBackend({ threads: 2 });
});
afterAll(() => device.dispose());

interface Trained {
  /** Of each step; undefined for skipped ones. */
  readonly losses: readonly (number | undefined)[];
  readonly events: readonly TrainEvent[];
  readonly weights: readonly Float32Array[];
  readonly validationLoss: number;
}

async function trained(precision: NumberType, seed: number, rest: Partial<TrainOptions> = {}): Promise<Trained> {
  await using model = await createGpt(
    { vocabularySize: VOCABULARY, hiddenSize: 32, layers: 2, heads: 2, context: 64, patterns: [window({ left: 8 })] },
    { device, backend, seed, precision },
  );
  const events: TrainEvent[] = [];
  const { validationLoss = Number.NaN } = await train({
    trainable: model,
    source: bigramSource(VOCABULARY),
    optimizer: adamw(),
    schedule: { shape: 'constant', learningRate: 0.003, warmUp: 10 },
    steps: STEPS,
    clip: 1,
    ...rest,
    onProgress: (event) => events.push(event),
  });
  const losses = events.flatMap((event) =>
    event.kind === 'step' ? [event.loss] : event.kind === 'skip' ? [undefined] : [],
  );
  return { losses, events, weights: model.parameters.map(({ data }) => Float32Array.from(data)), validationLoss };
}

/** Largest difference of two curves, each smoothed over ten steps. */
function apart(a: Trained, b: Trained): number {
  const smooth = ({ losses }: Trained): number[] =>
    losses.slice(0, -9).map((_, i) => losses.slice(i, i + 10).reduce<number>((sum, loss) => sum + (loss ?? 0) / 10, 0));
  const other = smooth(b);
  return Math.max(...smooth(a).map((loss, i) => Math.abs(loss - (other[i] ?? Number.NaN))));
}

describe('training in mixed precision', () => {
  it('has the loss curves of float32, closer than those of two seeds are to each other', {
    timeout: 60_000,
  }, async () => {
    const seeds = [await trained('f32', 1), await trained('f32', 2), await trained('f32', 3)];
    const [first, second, third] = seeds as [Trained, Trained, Trained];
    const noise = Math.min(apart(first, second), apart(second, third), apart(first, third));
    expect(first.validationLoss).toBeLessThan((first.losses[0] ?? 0) - 0.2);
    for (const precision of ['bf16', 'f16'] as const) {
      const own = await trained(precision, 1, precision === 'f16' ? { lossScaling: {} } : {});
      expect(own.losses).not.toEqual(first.losses);
      expect(own.losses).not.toContain(undefined);
      expect(apart(own, first)).toBeLessThan(noise);
      expect(Math.abs(own.validationLoss - first.validationLoss)).toBeLessThan(noise);
    }
  });

  it('skips the steps in which f16 overflows, and goes on with a smaller loss scale', async () => {
    const { events, losses, weights } = await trained('f16', 1, { lossScaling: { initial: 2 ** 24 }, steps: 30 });
    const skips = events.filter((event) => event.kind === 'skip');
    expect(skips.length).toBeGreaterThan(0);
    expect(losses[0]).toBeUndefined();
    expect(skips[0]).toMatchObject({ step: 1, lossScale: 2 ** 23 });
    // It halves until the gradients fit, and again where they have grown.
    const scales = skips.map(({ lossScale }) => lossScale);
    expect(scales).toEqual(skips.map((_, i) => 2 ** (23 - i)));
    expect(skips.length).toBeLessThan(losses.length / 2);
    expect(losses.at(-1)).toBeLessThan(losses.find((loss) => loss !== undefined) ?? Number.NaN);
    for (const data of weights) expect(data.every(Number.isFinite)).toBe(true);
  });

  it.each(['bf16', 'f16'] as const)('goes on to the bit from a save: %s', async (precision) => {
    // Of f16 with skipped steps before the save and a growth after it.
    const rest = precision === 'f16' ? { lossScaling: { initial: 2 ** 24, growAfter: 6 } } : {};
    const whole = await trained(precision, 1, { ...rest, steps: 24 });
    const folder = memoryFolder();
    await trained(precision, 1, { ...rest, steps: 11, folder });
    const resumed = await trained(precision, 2, { ...rest, steps: 24, folder, resume: true });
    expect(resumed.weights).toEqual(whole.weights);
    expect(resumed.validationLoss).toBe(whole.validationLoss);
  });
});
