import { describe, expect, it } from 'vitest';
import { ArgumentError, TrainingError } from '../errors.ts';
import {
  adafactor,
  adamw,
  lion,
  memoryFolder,
  muon,
  type OptimizerKind,
  parseLog,
  savedWeights,
  sgd,
  type Trainable,
  type TrainEvent,
  type TrainOptions,
  train,
} from './index.ts';
import { bigramModel, bigramSource } from './testing.ts';

const VOCABULARY = 11;
const schedule = { shape: 'cosine', learningRate: 0.05, warmUp: 3 } as const;

function optionsOf(steps: number, rest: Partial<TrainOptions> = {}): TrainOptions {
  return {
    trainable: bigramModel(VOCABULARY),
    source: bigramSource(VOCABULARY),
    optimizer: adamw(),
    schedule,
    steps,
    ...rest,
  };
}

/** The bits of all weights. */
function bitsOf({ parameters }: Trainable): number[] {
  return parameters.flatMap(({ data }) => [...new Uint32Array(data.slice().buffer)]);
}

/** Stops a training after `step` steps, as Ctrl-C would: between two steps. */
async function trainUntil(step: number, options: TrainOptions): Promise<void> {
  const controller = new AbortController();
  const stopped = new Error('stopped');
  const onProgress = (event: TrainEvent) => {
    if (event.kind !== 'start' && event.kind !== 'save' && event.step === step) controller.abort(stopped);
  };
  await expect(train({ ...options, signal: controller.signal, onProgress })).rejects.toBe(stopped);
}

const kinds: readonly (readonly [string, () => OptimizerKind, number])[] = [
  ['adamw', () => adamw(), 0.05],
  ['adafactor', () => adafactor(), 0.05],
  ['lion', () => lion(), 0.01],
  ['muon', () => muon(), 0.05],
  ['sgd', () => sgd(), 0.5],
  ['sgd with momentum', () => sgd({ momentum: 0.9 }), 0.1],
  ['sgd with Nesterov momentum', () => sgd({ momentum: 0.9, nesterov: true }), 0.1],
];

describe.each(kinds)('train with %s', (_, optimizer, learningRate) => {
  const own = (rest: Partial<TrainOptions> = {}) =>
    optionsOf(40, { optimizer: optimizer(), schedule: { ...schedule, learningRate }, ...rest });

  it('comes near the entropy of the source', async () => {
    const { validationLoss } = await train({ ...own(), steps: 400 });
    // Two equally likely next tokens.
    expect(validationLoss).toBeGreaterThan(Math.log(2));
    expect(validationLoss).toBeLessThan(1.15);
  });

  it('gives the same bits in one go and in pieces, with averages and accumulation', async () => {
    const extra = { average: 0.9, accumulate: 2, clip: 0.5, saveEvery: 7 };
    const whole = own({ ...extra, folder: memoryFolder() });
    const { loss } = await train(whole);

    const folder = memoryFolder();
    await trainUntil(13, own({ ...extra, folder }));
    await trainUntil(29, own({ ...extra, folder, resume: true }));
    const last = own({ ...extra, folder, resume: true });
    const result = await train(last);

    expect(result.resumed).toBe('step-00000029');
    expect(result.loss).toBe(loss);
    expect(bitsOf(last.trainable)).toEqual(bitsOf(whole.trainable));
    // Not only the weights: everything that a save holds, but for the times.
    const saves = [whole.folder, folder].map((place) => (place as typeof folder).files.get('step-00000040'));
    for (const file of ['model', 'average', 'optimizer']) {
      const [a, b] = saves.map((save) => save?.get(`${file}.safetensors`));
      expect(a?.length).toBeGreaterThan(8);
      expect(Buffer.compare(Buffer.from(a ?? []), Buffer.from(b ?? []))).toBe(0);
    }
  });
});

describe('train', () => {
  it('writes a log that is cut back to the save when it goes on', async () => {
    const folder = memoryFolder();
    const seen: TrainEvent[] = [];
    await train(optionsOf(6, { folder, saveEvery: 4, onProgress: (event) => seen.push(event) }));
    expect(seen.map(({ kind, step }) => `${kind} ${step}`)).toEqual([
      ...['start 0', 'step 1', 'step 2', 'step 3', 'step 4', 'save 4', 'step 5', 'step 6', 'evaluation 6', 'save 6'],
    ]);
    expect(parseLog(await folder.log.read())).toEqual(seen.filter(({ kind }) => kind !== 'save'));

    // As if the process had been killed after step 6, before its save, in the middle of a line.
    folder.files.delete('step-00000006');
    await folder.log.append('{"kind":"st');
    await train(optionsOf(8, { folder, resume: true }));
    expect(parseLog(await folder.log.read()).map(({ kind, step }) => `${kind} ${step}`)).toEqual([
      ...['start 0', 'step 1', 'step 2', 'step 3', 'step 4'],
      ...['start 4', 'step 5', 'step 6', 'step 7', 'step 8', 'evaluation 8'],
    ]);
  });

  it('accumulates the gradient of the union of the batches, whatever their weights', async () => {
    const together = bigramSource(VOCABULARY);
    const batches = [await together.next(), await together.next(), await together.next()].filter(
      (b) => b !== undefined,
    );
    const joined = {
      inputs: Int32Array.from(batches.flatMap(({ inputs }) => [...inputs])),
      targets: Int32Array.from(batches.flatMap(({ targets }) => [...targets])),
      weights: Float32Array.from(batches.flatMap(({ weights }) => [...weights])),
      starts: Int32Array.of(0, 16, 32),
    };
    const { validation: _, ...once } = { ...bigramSource(VOCABULARY), next: async () => joined };
    const one = optionsOf(1, { source: once, optimizer: sgd() });
    const three = optionsOf(1, { optimizer: sgd(), accumulate: 3 });
    const results = [await train(one), await train(three)];
    expect(results[1].loss).toBeCloseTo(results[0].loss ?? Number.NaN, 12);
    for (const [i, { data }] of one.trainable.parameters.entries()) {
      for (const [k, weight] of data.entries()) {
        expect(three.trainable.parameters[i].data[k]).toBeCloseTo(weight, 6);
      }
    }
  });

  it('clips to the norm: with plain descent the weights move by exactly rate * clip', async () => {
    const clip = 0.01;
    const options = optionsOf(1, { optimizer: sgd(), clip, schedule: { shape: 'constant', learningRate: 1 } });
    const before = options.trainable.parameters.map(({ data }) => data.slice());
    await train(options);
    let squares = 0;
    for (const [i, { data }] of options.trainable.parameters.entries()) {
      for (const [k, weight] of data.entries()) squares += (weight - before[i][k]) ** 2;
    }
    expect(Math.sqrt(squares)).toBeCloseTo(clip, 6);
  });

  it('ends with the data', async () => {
    const source = bigramSource(VOCABULARY, { batches: 5 });
    expect(await train(optionsOf(100, { source, accumulate: 2 }))).toMatchObject({
      ended: 'data',
      step: 3,
      tokens: 80,
    });
  });

  it('refuses what cannot work, and says what would', async () => {
    const refused = (rest: Partial<TrainOptions>, message: string) =>
      expect(train(optionsOf(5, rest))).rejects.toThrow(message);
    await refused({ steps: 0 }, 'steps is 0');
    await refused({ accumulate: 1.5 }, 'accumulate is 1.5');
    await refused({ clip: -1 }, 'clip is -1');
    await refused({ saveEvery: 5 }, 'need a folder');
    await refused({ average: 1 }, 'average is 1');
    await refused({ schedule: { shape: 'linear', learningRate: Number.NaN } }, 'learningRate is NaN');
    await refused({ source: bigramSource(VOCABULARY, { batches: 0 }) }, 'the data set is empty');
    await expect(train(optionsOf(5, { steps: -1 }))).rejects.toBeInstanceOf(ArgumentError);
  });

  it('refuses a folder of another training, and leaves it and the model as they are', async () => {
    const folder = memoryFolder('runs/a');
    await train(optionsOf(4, { folder }));
    const weightsOf = (options: TrainOptions) => [options, bitsOf(options.trainable)] as const;
    const refused = async ([options, before]: ReturnType<typeof weightsOf>, message: string) => {
      await expect(train(options)).rejects.toThrow(message);
      await expect(train(options)).rejects.toBeInstanceOf(TrainingError);
      expect(bitsOf(options.trainable)).toEqual(before);
    };
    await refused(weightsOf(optionsOf(4, { folder })), 'runs/a has a training in it (step-00000004)');
    const resume = { folder, resume: true };
    await refused(weightsOf(optionsOf(4, { ...resume, trainable: bigramModel(7) })), 'it is of another model');
    const { parameters, ...rest } = bigramModel(VOCABULARY);
    const renamed = {
      ...rest,
      parameters: parameters.map((parameter) => ({ ...parameter, name: `x${parameter.name}` })),
    };
    await refused(weightsOf(optionsOf(4, { ...resume, trainable: renamed })), 'which this model has not');
    await refused(weightsOf(optionsOf(4, { ...resume, optimizer: lion() })), 'saved with the optimizer adamw');
    const state = folder.files.get('step-00000004')?.get('state.json') ?? new Uint8Array(0);
    expect(JSON.parse(new TextDecoder().decode(state))).toMatchObject({ step: 4, version: 1 });
  });

  it('refuses a save of another version, and says what to do', async () => {
    const folder = memoryFolder('runs/a');
    const begin: typeof folder.begin = async (save) => {
      const writer = await folder.begin(save);
      const newer = (pieces: Iterable<Uint8Array>) =>
        [...pieces].map((bytes) =>
          new TextEncoder().encode(new TextDecoder().decode(bytes).replace('"version": 1', '"version": 2')),
        );
      return { ...writer, write: (file, pieces) => writer.write(file, file === 'state.json' ? newer(pieces) : pieces) };
    };
    await train(optionsOf(4, { folder: { ...folder, begin } }));
    const resumed = train(optionsOf(8, { folder, resume: true }));
    await expect(resumed).rejects.toBeInstanceOf(TrainingError);
    await expect(resumed).rejects.toThrow(
      'runs/a/step-00000004/state.json: was saved in version 2 of the format; this Farfield continues version 1. Go on with the Farfield that saved it',
    );
    expect([...folder.files.keys()]).toEqual(['step-00000004']);
  });

  it('tells which settings changed', async () => {
    const folder = memoryFolder();
    await train(optionsOf(4, { folder, about: { model: { layers: 2, heads: 3 } } }));
    const seen: TrainEvent[] = [];
    const about = { model: { heads: 3, layers: 2 } };
    await train(optionsOf(5, { folder, resume: true, clip: 1, about, onProgress: (event) => seen.push(event) }));
    expect(seen[0]).toMatchObject({ kind: 'start', resumed: 'step-00000004', changed: ['steps', 'clip'] });
  });

  it('goes on from the save before where the last one is damaged', async () => {
    const whole = optionsOf(12);
    await train(whole);
    for (const damage of ['cut', 'changed', 'missing', 'manifest']) {
      const folder = memoryFolder();
      await train(optionsOf(12, { folder, steps: 8, saveEvery: 4, schedule: { ...schedule, steps: 12 } }));
      const files = folder.files.get('step-00000008');
      const weights = files?.get('model.safetensors') ?? new Uint8Array(0);
      if (damage === 'cut') files?.set('model.safetensors', weights.slice(0, -1));
      if (damage === 'changed') weights[weights.length - 3] ^= 1;
      if (damage === 'missing') files?.delete('optimizer.safetensors');
      if (damage === 'manifest') files?.delete('manifest.json');
      const last = optionsOf(12, { folder, resume: true });
      const seen: TrainEvent[] = [];
      const result = await train({ ...last, onProgress: (event) => seen.push(event) });
      expect(result.resumed).toBe('step-00000004');
      expect(seen[0]).toMatchObject({ damaged: [expect.stringMatching(/^step-00000008: .*(json|safetensors)/)] });
      expect(bitsOf(last.trainable)).toEqual(bitsOf(whole.trainable));
      for (const save of folder.files.values()) save.delete('manifest.json');
      await expect(train(optionsOf(20, { folder, resume: true }))).rejects.toThrow('no save in it is whole');
    }
  });

  it('gives the saved weights and their average, and saves files beside them', async () => {
    const folder = memoryFolder('run');
    await expect(savedWeights(folder)).rejects.toThrow('run: there is no save in it');
    const options = optionsOf(5, { folder, files: { 'config.json': Uint8Array.of(123, 125) } });
    await train(options);
    expect([...(folder.files.get('step-00000005')?.get('config.json') ?? [])]).toEqual([123, 125]);
    const weights = await savedWeights(folder);
    expect([...weights.keys()]).toEqual(['table.weight', 'bias']);
    for (const { name, data } of options.trainable.parameters) expect(weights.get(name)).toEqual(data);
    await expect(savedWeights(folder, { average: true })).rejects.toThrow('has no average of the weights');
    const averaged = memoryFolder();
    await train(optionsOf(5, { folder: averaged, average: 0 }));
    // A decay of 0 forgets all but the last weights.
    expect(await savedWeights(averaged, { average: true })).toEqual(weights);
  });

  it('evaluates the weights and their average, and changes neither by it', async () => {
    const folder = memoryFolder();
    const options = optionsOf(12, { folder, average: 0.9 });
    const { validationLoss, averageLoss } = await train(options);
    const lossOf = async (weights: ReadonlyMap<string, Float32Array>): Promise<number> => {
      const model = bigramModel(VOCABULARY);
      for (const { name, data } of model.parameters) data.set(weights.get(name) ?? []);
      let [sum, all] = [0, 0];
      for await (const batch of bigramSource(VOCABULARY).validation?.() ?? []) {
        const weight = batch.weights.reduce((total, own) => total + own, 0);
        sum += weight * (await model.evaluate(batch)).loss;
        all += weight;
      }
      return sum / all;
    };
    expect(validationLoss).toBe(await lossOf(await savedWeights(folder)));
    expect(averageLoss).toBe(await lossOf(await savedWeights(folder, { average: true })));
    expect(averageLoss).not.toBe(validationLoss);

    const often = optionsOf(12, { folder: memoryFolder(), average: 0.9, evaluateEvery: 1 });
    await train(often);
    expect(bitsOf(often.trainable)).toEqual(bitsOf(options.trainable));
  });

  it('keeps the last saves', async () => {
    const folder = memoryFolder();
    await train(optionsOf(10, { folder, saveEvery: 2, keep: 3 }));
    expect([...folder.files.keys()]).toEqual(['step-00000006', 'step-00000008', 'step-00000010']);
  });

  it('is saved where it was stopped, also in the middle of a step', async () => {
    const whole = optionsOf(9);
    await train(whole);
    const folder = memoryFolder();
    const controller = new AbortController();
    const options = optionsOf(9, { folder, accumulate: 1, signal: controller.signal });
    const stopped = new Error('stopped');
    let calls = 0;
    const { step } = options.trainable;
    const trainable: Trainable = {
      ...options.trainable,
      step(batch, gradients, rest) {
        // The fifth step has read its batch when the signal comes.
        if (++calls === 5) controller.abort(stopped);
        return step(batch, gradients, rest);
      },
    };
    await expect(train({ ...options, trainable })).rejects.toBe(stopped);
    const last = optionsOf(9, { folder, resume: true });
    expect((await train(last)).resumed).toBe('step-00000004');
    expect(bitsOf(last.trainable)).toEqual(bitsOf(whole.trainable));
  });
});
