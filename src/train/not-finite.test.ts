import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { createDevice, type WasmDevice } from '../attention/index.ts';
import { TrainingError } from '../errors.ts';
import { createNodeBackend, type DenseBackend } from '../graph/index.ts';
import { createGpt, type RowModel } from '../model/index.ts';
import { window } from '../pattern/index.ts';
import { adamw, memoryFolder, type Trainable, train } from './index.ts';
import { bigramSource } from './testing.ts';

const VOCABULARY = 11;

let device: WasmDevice;
let backend: DenseBackend;
beforeAll(async () => {
  device = await createDevice({ threads: 1 });
  backend = await createNodeBackend({ threads: 1 });
});
afterAll(() => device.dispose());

function gpt(precision: 'f32' | 'bf16' | 'f16' = 'f32'): Promise<RowModel> {
  const patterns = [window({ left: 8 })];
  return createGpt(
    { vocabularySize: VOCABULARY, hiddenSize: 16, layers: 3, heads: 2, context: 64, patterns },
    { device, backend, precision },
  );
}

function multiply({ parameters }: Trainable, name: string, factor: number): void {
  const found = parameters.find((parameter) => parameter.name === name);
  if (found === undefined) throw new Error(`no ${name} in ${parameters.map((each) => each.name)}`);
  for (const [i, value] of found.data.entries()) found.data[i] = value * factor;
}

/** What the model says of the first tensor that is not finite in a step. */
async function firstOf(model: RowModel, lossScale = 1): Promise<string[]> {
  const batch = await bigramSource(VOCABULARY).next();
  if (batch === undefined) throw new Error('no batch');
  const told: string[] = [];
  const gradients = model.parameters.map(({ data }) => new Float32Array(data.length));
  await model.step(batch, gradients, { lossScale, onNonFinite: (tensor) => told.push(tensor) });
  return told;
}

describe('the first tensor that is not finite', () => {
  it.each([
    // Queries and keys of 1e25 are finite, their products are not.
    [['layers.1.qkv'], 1e25, /^layers\.1\.attention, row \d+$/],
    // Either is finite with the other as it was.
    [['layers.1.up', 'layers.1.down'], 1e30, /^layers\.1\.residual, row \d+$/],
    [['layers.0.qkv'], Number.NaN, /^the (queries|keys|values) of layers\.0\.attention, row 0$/],
  ])('is found where %s grows %s times', async (names, factor, expected) => {
    await using model = await gpt();
    expect(await firstOf(model)).toEqual([]);
    for (const name of names) multiply(model, name, factor);
    const [told, ...more] = await firstOf(model);
    expect(told).toMatch(expected);
    expect(more).toEqual([]);
  });

  it('is a gradient where the losses are finite', async () => {
    await using model = await gpt();
    const [told] = await firstOf(model, 3e38);
    expect(told).toMatch(/^the gradient of /);
  });

  it.each([
    ['f16', 1e8],
    ['bf16', Number.NaN],
  ] as const)('is found in rows of 16 bits: %s', async (precision, factor) => {
    await using model = await gpt(precision);
    expect(await firstOf(model)).toEqual([]);
    multiply(model, 'layers.0.qkv', factor);
    expect((await firstOf(model))[0]).toMatch(/^the (queries|keys|values) of layers\.0\.attention, row 0$/);
  });
});

describe('a training whose loss is not finite', () => {
  it('stops, names step and tensor, and keeps the last good state and the saves before it', async () => {
    const run = async (spoilAt: number) => {
      await using model = await gpt();
      const folder = memoryFolder('runs/a');
      let calls = 0;
      const step: Trainable['step'] = async (batch, gradients, options) => {
        // Of this step on, and so that it happens again when it is computed again.
        if (++calls === spoilAt) for (const name of ['layers.2.up', 'layers.2.down']) multiply(model, name, 1e30);
        return model.step(batch, gradients, options);
      };
      const failed = train({
        trainable: { parameters: model.parameters, step, evaluate: (batch, options) => model.evaluate(batch, options) },
        source: bigramSource(VOCABULARY),
        optimizer: adamw(),
        schedule: { shape: 'constant', learningRate: 0.003 },
        steps: 9,
        folder,
        saveEvery: 2,
        keep: 1,
      });
      return { folder, failure: await failed.then(undefined, (error) => error) };
    };
    const { folder, failure } = await run(6);
    expect(failure).toBeInstanceOf(TrainingError);
    expect(failure.message).toMatch(
      /^training stopped in step 6: the loss is NaN; the first tensor that is not finite is layers\.2\.residual, row \d+; /,
    );
    expect(failure.message).toContain(
      'The last save is step-00000005 in runs/a. Resume from there with a lower learning',
    );
    expect([...folder.files.keys()]).toEqual(['step-00000004', 'step-00000005']);
  });
});
