/** A small trainable decoder: its gradients against central differences of its definition in float64, and that it learns. */
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { createDevice, type WasmDevice } from '../attention/index.ts';
import { type Checkpoint, createNodeBackend, type DenseBackend } from '../graph/index.ts';
import { allClose, random } from '../graph/testing.ts';
import { causal, perHead, sinks, union, window } from '../pattern/index.ts';
import { createGpt, type GptConfig, gptGraph, gptSpecifications } from './gpt.ts';
import { latestMatch } from './testing.ts';
import {
  checkGradients,
  matrix,
  outputOf,
  rotaryFeeds,
  spreadWeights,
  type Weights,
  zerosFor,
} from './testing-gradients.ts';
import type { TrainingBatch } from './trainable.ts';

const ROTARY: GptConfig = {
  vocabularySize: 11,
  hiddenSize: 16,
  layers: 3,
  heads: 4,
  keyValueHeads: 2,
  intermediateSize: 24,
  context: 100,
  patterns: [window({ left: 4 }), perHead([causal(), window(3), union(sinks(1), window(2)), causal()])],
  activation: 'swiglu',
  normalization: 'rms',
};
const LEARNED: GptConfig = {
  vocabularySize: 11,
  hiddenSize: 12,
  layers: 2,
  heads: 2,
  context: 40,
  positions: 'learned',
};

let device: WasmDevice;
let backend: DenseBackend;
beforeAll(async () => {
  device = await createDevice({ threads: 2 });
  backend = await createNodeBackend({ threads: 1 });
});
afterAll(() => device.dispose());

const weightsOf = (config: GptConfig) => spreadWeights(gptSpecifications(config));

/** Sequences of random tokens; every third row does not count. */
function batchOf(lengths: readonly number[], vocabulary: number, seed = 1): TrainingBatch {
  const rows = lengths.reduce((sum, length) => sum + length, 0);
  const ids = random(2 * rows, seed).map((x) => Math.floor(((x + 1) / 2) * vocabulary * 0.999));
  let start = 0;
  const starts = lengths.map((length) => {
    start += length;
    return start - length;
  });
  return {
    inputs: Int32Array.from(ids.subarray(0, rows)),
    targets: Int32Array.from(ids.subarray(rows), (id, row) => (row % 3 === 2 ? -100 : id)),
    weights: Float32Array.from({ length: rows }, (_, row) => (row % 3 === 2 ? 0 : 1 + (row % 2))),
    starts: Int32Array.from(starts),
  };
}

/** The rows that are added for a token's matches, by comparing all earlier places of the sequence. */
function matchedSum({ matches = [], vocabularySize, hiddenSize }: GptConfig, weights: Weights, ids: number[]) {
  const table = weights.get('matches') ?? [];
  return (at: number, d: number): number =>
    matches.reduce((sum, size, i) => {
      const next = latestMatch(ids, at, size);
      return next === undefined ? sum : sum + (table[(i * vocabularySize + next) * hiddenSize + d] as number);
    }, 0);
}

/** The loss in float64 by the graph's definition, sequence by sequence. */
async function definition(config: GptConfig, weights: Weights, batch: TrainingBatch): Promise<number> {
  const { hiddenSize, heads } = config;
  const table = weights.get('embedding') ?? [];
  const positions = weights.get('positions');
  let sum = 0;
  let total = 0;
  for (const [i, start] of batch.starts.entries()) {
    const rows = (batch.starts[i + 1] ?? batch.inputs.length) - start;
    const matched = matchedSum(config, weights, [...batch.inputs.subarray(start, start + rows)]);
    const losses = await outputOf(gptGraph(config), gptSpecifications(config), weights, {
      hidden: matrix(rows, hiddenSize, (row, d) => {
        const token = table[(batch.inputs[start + row] as number) * hiddenSize + d] as number;
        return token + (positions?.[row * hiddenSize + d] ?? 0) + matched(row, d);
      }),
      ...rotaryFeeds(rows, hiddenSize / heads / 2),
      targets: matrix(rows, 1, (row) => Math.max(0, batch.targets[start + row] as number)),
    });
    for (let row = 0; row < rows; row++) {
      const weight = batch.weights[start + row] as number;
      sum += weight * (losses.data[row] as number);
      total += weight;
    }
  }
  return sum / total;
}

describe('createGpt', () => {
  it.each([
    ['rotary positions, gated, grouped heads, patterns by head', ROTARY],
    ['learned positions, GELU, LayerNorm', LEARNED],
    // Of three tokens, so that most places have matches.
    ['what followed the latest places of one and two tokens', { ...LEARNED, vocabularySize: 3, matches: [1, 2] }],
  ])('computes the loss and the gradients of its definition: %s', async (_, config) => {
    const batch = batchOf('matches' in config ? [25, 12] : [9, 5], config.vocabularySize);
    await using model = await createGpt(config, { device, backend, weights: weightsOf(config) });
    await checkGradients(model, batch, (weights) => definition(config, weights, batch));
  });

  const all = (gradients: readonly Float32Array[]): number[] => gradients.flatMap((gradient) => [...gradient]);

  it('gives the same gradients whatever is kept of the forward pass, and keeps less where it computes more', async () => {
    const config = { ...ROTARY, layers: 6 };
    const weights = weightsOf(config);
    const batch = batchOf([40], config.vocabularySize);
    const kept: number[] = [];
    let first: number[] | undefined;
    for (const checkpoint of ['none', 'attention', 2, 'layer', 4] as const satisfies Checkpoint[]) {
      await using model = await createGpt(config, { device, backend, weights, checkpoint });
      const gradients = zerosFor(model.parameters);
      await model.step(batch, gradients);
      first ??= all(gradients);
      allClose(all(gradients), first, 2e-6);
      kept.push(model.bytesPerRow);
    }
    const [none = 0, attention = 0, pairs = 0, layer = 0] = kept;
    expect(attention).toBeLessThan(none / 1.5);
    expect(pairs).toBeLessThan(attention / 1.2);
    expect(layer).toBeLessThan(none / 3);
  });

  it('gives packed sequences what they get one by one, and adds to the gradients', async () => {
    const lengths = [7, 7, 70, 1, 3];
    const config = { ...ROTARY, layers: 2 };
    await using model = await createGpt(config, { device, backend, weights: weightsOf(config) });
    const packed = batchOf(lengths, config.vocabularySize);
    const gradients = zerosFor(model.parameters);
    const { loss } = await model.step(packed, gradients, { lossScale: 1000 });
    const single = zerosFor(model.parameters);
    const total = packed.weights.reduce((sum, weight) => sum + weight, 0);
    let sum = 0;
    for (const [i, start] of packed.starts.entries()) {
      const end = start + (lengths[i] ?? 0);
      const weights = packed.weights.slice(start, end);
      const share = weights.reduce((own, weight) => own + weight, 0) / total;
      if (share === 0) continue;
      const cut = {
        inputs: packed.inputs.slice(start, end),
        targets: packed.targets.slice(start, end),
        weights,
        starts: Int32Array.of(0),
      };
      sum += share * (await model.step(cut, single, { lossScale: 1000 * share })).loss;
    }
    expect(loss).toBeCloseTo(sum, 5);
    allClose(all(gradients), all(single), 1e-5);
  });

  it.each([
    [64, [1500, 700]],
    [64, [40]],
    [192, [17]],
    [192, [550]],
  ])(
    'gives the same bits on any number of threads, and on the second run: width %i, rows %s',
    async (hiddenSize, lengths) => {
      const config: GptConfig = { vocabularySize: 256, hiddenSize, layers: 2, heads: 2, context: 4096 };
      const batch = batchOf(lengths, 256);
      let first: { loss: number; gradients: number[] } | undefined;
      for (const threads of [1, 2, 3, 8]) {
        await using own = await createDevice({ threads: Math.min(threads, 3) });
        await using model = await createGpt(config, {
          device: own,
          backend: await createNodeBackend({ threads }),
          seed: 3,
        });
        for (let run = 0; run < 2; run++) {
          const gradients = zerosFor(model.parameters);
          const { loss } = await model.step(batch, gradients);
          first ??= { loss, gradients: all(gradients) };
          expect(loss).toBe(first.loss);
          const different = all(gradients).filter((value, i) => value !== first?.gradients[i]).length;
          expect(`${threads} threads: ${different} differ`).toBe(`${threads} threads: 0 differ`);
        }
      }
    },
  );

  it('learns a short text by heart', async () => {
    const text = new TextEncoder().encode('The far field sparsely, the near field exactly. ');
    const config: GptConfig = {
      vocabularySize: 128,
      hiddenSize: 32,
      layers: 2,
      heads: 4,
      context: 64,
      patterns: [window(8)],
    };
    await using model = await createGpt(config, { device, backend, seed: 7 });
    const batch = {
      inputs: Int32Array.from(text.subarray(0, -1)),
      targets: Int32Array.from(text.subarray(1)),
      weights: new Float32Array(text.length - 1).fill(1),
      starts: Int32Array.of(0),
    };
    const before = (await model.evaluate(batch)).loss;
    expect(before).toBeCloseTo(Math.log(128), 0);
    const gradients = zerosFor(model.parameters);
    const moments = zerosFor(model.parameters);
    const squares = zerosFor(model.parameters);
    for (let step = 1; step <= 100; step++) {
      for (const gradient of gradients) gradient.fill(0);
      await model.step(batch, gradients);
      // Adam (Kingma and Ba, algorithm 1).
      for (const [p, { data }] of model.parameters.entries()) {
        const [g, m, v] = [gradients[p], moments[p], squares[p]] as [Float32Array, Float32Array, Float32Array];
        for (let i = 0; i < data.length; i++) {
          m[i] = 0.9 * (m[i] as number) + 0.1 * (g[i] as number);
          v[i] = 0.99 * (v[i] as number) + 0.01 * (g[i] as number) ** 2;
          const root = Math.sqrt((v[i] as number) / (1 - 0.99 ** step)) + 1e-8;
          data[i] = (data[i] as number) - (0.01 * (m[i] as number)) / (1 - 0.9 ** step) / root;
        }
      }
    }
    expect((await model.evaluate(batch)).loss).toBeLessThan(0.1);
  });

  it('refuses bad batches by the place, and bad configurations', async () => {
    await using model = await createGpt(LEARNED, { device, backend });
    const good = batchOf([5, 4], 11);
    const gradients = zerosFor(model.parameters);
    const refused: [Partial<TrainingBatch>, string][] = [
      [
        { inputs: Int32Array.from(good.inputs).fill(11, 3, 4) },
        'batch.inputs[3] is 11; token ids of this model are integers from 0 to 10',
      ],
      [{ targets: Int32Array.from(good.targets).fill(-1, 0, 1) }, 'batch.targets[0] is -1'],
      [{ weights: new Float32Array(9) }, 'batch.weights are all 0'],
      [{ weights: new Float32Array(9).fill(Number.NaN) }, 'batch.weights[0] is NaN'],
      [{ weights: new Float32Array(8) }, 'batch.weights has 8 numbers; inputs has 9 rows'],
      [{ starts: Int32Array.of(1, 5) }, 'batch.starts must begin with 0'],
      [{ starts: Int32Array.of(0, 5, 5) }, 'batch.starts[1] is 5; it must be less than 5'],
      [
        { positions: new Int32Array(9).fill(40) },
        'row 0 of the batch has position 40; the model has positions 0 to 39, so a sequence may have 40 tokens: cut it, or make the model with',
      ],
    ];
    for (const [change, message] of refused) {
      await expect(model.step({ ...good, ...change }, gradients)).rejects.toThrow(message);
    }
    await expect(model.step(batchOf([41], 11), gradients)).rejects.toThrow('a sequence may have 40 tokens');
    await expect(model.step(good, gradients.slice(1))).rejects.toThrow('gradients[');
    const aborted = AbortSignal.abort(new Error('enough'));
    await expect(model.step(good, gradients, { signal: aborted })).rejects.toThrow('enough');
    await model.step(good, gradients);
    await expect(createGpt({ ...LEARNED, heads: 5 })).rejects.toThrow('heads (5) must divide hiddenSize (12)');
    await expect(createGpt({ ...LEARNED, layers: 0 })).rejects.toThrow('layers must be a positive integer, got 0');
    await expect(createGpt({ ...ROTARY, hiddenSize: 20 })).rejects.toThrow('even width; 20 / 4 is 5');
    await expect(createGpt(LEARNED, { weights: new Map() })).rejects.toThrow(
      'weights.embedding must have 132 numbers, [11, 12]; it has none',
    );
  });
});
