import { describe, expect, it } from 'vitest';
import { float16 } from '../attention/half.ts';
import { ArgumentError, TrainingError } from '../errors.ts';
import { memoryFolder, sgd, type Trainable, type TrainEvent, type TrainOptions, train } from './index.ts';
import { afterGoodStep, afterOverflow, initialLossScale } from './loss-scale.ts';
import { bigramModel, bigramSource } from './testing.ts';

describe('the loss scale', () => {
  it('doubles after good steps in a row, and halves at an overflow', () => {
    const options = { initial: 8, growAfter: 3, largest: 16 };
    let scale = initialLossScale(options);
    const factors = ['g', 'g', 'g', 'g', 'o', 'g', 'g', 'o', 'g', 'g', 'g', 'g', 'g', 'g'].map((kind) => {
      scale = kind === 'g' ? afterGoodStep(scale, options) : (afterOverflow(scale) ?? scale);
      return scale.factor;
    });
    expect(factors).toEqual([8, 8, 16, 16, 8, 8, 8, 4, 4, 4, 8, 8, 8, 16]);
  });

  it('ends at 1', () => {
    expect(afterOverflow({ factor: 2, goodSteps: 5 })).toEqual({ factor: 1, goodSteps: 0 });
    expect(afterOverflow({ factor: 1, goodSteps: 5 })).toBeUndefined();
  });

  it('is a power of two', () => {
    expect(() => initialLossScale({ initial: 3 })).toThrow(ArgumentError);
    expect(() => initialLossScale({ initial: 0.5 })).toThrow('initial is 0.5');
    expect(() => initialLossScale({ growAfter: 0 })).toThrow('growAfter is 0');
  });
});

/** Every float16 number that is finite and not negative, in order. */
const halves = Array.from({ length: 0x7c00 }, (_, bits) => float16(bits));

/** The nearest float16 number: what a gradient becomes where it is stored so. */
function toHalf(value: number): number {
  const size = Math.abs(value);
  if (Number.isNaN(value) || size >= 65520) return value * Infinity;
  let [low, high] = [0, halves.length - 1];
  while (high - low > 1) {
    const middle = (low + high) >> 1;
    if (halves[middle] <= size) low = middle;
    else high = middle;
  }
  return Math.sign(value) * (size - halves[low] <= halves[high] - size ? halves[low] : halves[high]);
}

/** The bigram model with gradients that pass through float16, after a factor that makes them small. */
function halfModel(smallness: number): Trainable {
  const model = bigramModel(7);
  return {
    ...model,
    async step(batch, gradients, { lossScale = 1 } = {}) {
      const own = gradients.map((gradient) => new Float32Array(gradient.length));
      const result = await model.step(batch, own, { lossScale: lossScale * smallness });
      for (const [i, gradient] of gradients.entries()) {
        for (const [k, value] of own[i].entries()) gradient[k] += toHalf(value);
      }
      return { ...result, loss: result.loss * smallness };
    },
  };
}

describe('train with loss scaling', () => {
  const smallness = 2 ** -26;
  const optionsOf = (steps: number, rest: Partial<TrainOptions> = {}): TrainOptions => ({
    trainable: halfModel(smallness),
    source: bigramSource(7),
    optimizer: sgd({ momentum: 0.5 }),
    schedule: { shape: 'constant', learningRate: 0.3 / smallness },
    steps,
    ...rest,
  });
  const lossAfter = async (options: TrainOptions) => (await train(options)).validationLoss;

  it('learns what float16 gradients lose without it', async () => {
    const exact = await lossAfter(
      optionsOf(150, { trainable: bigramModel(7), schedule: { shape: 'constant', learningRate: 0.3 } }),
    );
    const scaled = await lossAfter(optionsOf(150, { lossScaling: {} }));
    const lost = await lossAfter(optionsOf(150));
    expect(scaled).toBeCloseTo(exact ?? Number.NaN, 2);
    expect(lost).toBeGreaterThan((exact ?? Number.NaN) + 0.5);
  });

  it('skips the steps that overflow, halves, and grows again; and resumes to the bit', async () => {
    const lossScaling = { initial: 2 ** 48, growAfter: 5, largest: 2 ** 50 };
    const seen: TrainEvent[] = [];
    const options = optionsOf(30, { lossScaling });
    const start = options.trainable.parameters[0].data.slice();
    const [first] = options.trainable.parameters;
    const weightsAtSkip: Float32Array[] = [];
    await train({
      ...options,
      onProgress(event) {
        seen.push(event);
        if (event.kind === 'skip' && event.step === 1) weightsAtSkip.push(first.data.slice());
      },
    });
    expect(weightsAtSkip).toEqual([start]);
    const kinds = seen.filter((event) => event.kind === 'skip' || event.kind === 'step');
    const skips = kinds.filter(({ kind }) => kind === 'skip').length;
    expect(skips).toBeGreaterThan(1);
    expect(kinds.length).toBe(30);
    expect(kinds[0]).toMatchObject({ kind: 'skip', lossScale: 2 ** 47 });
    // Five good steps in a row make it grow, so it swings about the largest that fits.
    const scales = kinds.map((event) => event.lossScale ?? 0);
    const grown = scales.some((scale, i) => scale > (scales[i - 1] ?? scale));
    expect(grown).toBe(true);

    const folder = memoryFolder();
    await train(optionsOf(17, { lossScaling, folder }));
    const last = optionsOf(30, { lossScaling, folder, resume: true });
    await train(last);
    expect(last.trainable.parameters[0].data).toEqual(first.data);
  });

  it('stops where gradients are not finite without scaling, and names the step, the tensor and the save', async () => {
    const model = bigramModel(7);
    let calls = 0;
    const trainable: Trainable = {
      ...model,
      async step(batch, gradients, options) {
        const result = await model.step(batch, gradients, options);
        if (++calls === 6) gradients[1][3] = Number.NaN;
        return result;
      },
    };
    const folder = memoryFolder('run');
    const schedule = { shape: 'constant', learningRate: 0.1 } as const;
    const options = optionsOf(9, { trainable, schedule, folder, saveEvery: 2 });
    const failed = train(options);
    await expect(failed).rejects.toThrow(TrainingError);
    await expect(failed).rejects.toThrow(
      /in step 6: .*the gradient of "bias" is not finite\. The last save is step-00000005 in run\. Resume from there with a lower/,
    );
    expect([...folder.files.keys()]).toEqual(['step-00000002', 'step-00000004', 'step-00000005']);
    for (const { data } of model.parameters) expect(data.every(Number.isFinite)).toBe(true);
  });

  it('stops where the loss is not finite, with scaling too', async () => {
    const trainable: Trainable = {
      ...bigramModel(7),
      step: async (_, gradients) => {
        gradients[0][0] = Number.NaN;
        return { loss: Number.NaN, tokens: 1 };
      },
    };
    const failed = train(optionsOf(3, { trainable, lossScaling: {} }));
    await expect(failed).rejects.toThrow('in step 1: the loss is NaN; the gradient of "table.weight" is not finite');
  });

  it('never saves weights that are not finite', async () => {
    const folder = memoryFolder('run');
    const schedule = { shape: 'constant', learningRate: 1e300 } as const;
    const failed = train(optionsOf(3, { trainable: bigramModel(7), schedule, folder, saveEvery: 1 }));
    await expect(failed).rejects.toThrow('after step 1 weight "table.weight" is not finite. Nothing was saved before');
    expect(folder.files.size).toBe(0);
  });
});
