/** Trainable encoders, classifiers and vision transformers: gradients against float64, and that they learn. */
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { createDevice, type WasmDevice } from '../attention/index.ts';
import { createNodeBackend, type DenseBackend, type Graph } from '../graph/index.ts';
import type { Tensor64 } from '../graph/reference/tensor.ts';
import { random } from '../graph/testing.ts';
import { bigBird, globalTokens, union, window } from '../pattern/index.ts';
import { gptGraph, gptSpecifications } from './gpt.ts';
import {
  checkGradients,
  matrix,
  outputOf,
  rotaryFeeds,
  spreadWeights,
  type Weights,
  zerosFor,
} from './testing-gradients.ts';
import {
  type ClassifierConfig,
  classifierGraph,
  classifierSpecifications,
  createClassifier,
  createMaskedModel,
} from './text-encoder.ts';
import type { Trainable, TrainingBatch } from './trainable.ts';
import { createVit, type VitConfig, vitGraph, vitSpecifications } from './vit.ts';

const TEXT: ClassifierConfig = {
  vocabularySize: 9,
  hiddenSize: 12,
  layers: 2,
  heads: 2,
  context: 64,
  patterns: [union(window(2), globalTokens({ positions: [0] })), window({ left: 3, right: 3 })],
  classes: 3,
};
const IMAGES: VitConfig = {
  hiddenSize: 12,
  layers: 2,
  heads: 2,
  image: { height: 6, width: 4, channels: 2, patch: 2 },
  classes: 4,
  attention: 'axial',
};

let device: WasmDevice;
let backend: DenseBackend;
beforeAll(async () => {
  device = await createDevice({ threads: 2 });
  backend = await createNodeBackend({ threads: 1 });
});
afterAll(() => device.dispose());

function batchOf(lengths: readonly number[], labels: readonly number[], values: number): TrainingBatch {
  const total = lengths.reduce((sum, length) => sum + length, 0);
  return {
    inputs: Int32Array.from(random(total, 3), (x) => Math.floor(((x + 1) / 2) * values * 0.999)),
    targets: new Int32Array(total),
    weights: new Float32Array(total),
    starts: Int32Array.from(lengths, (_, i) => lengths.slice(0, i).reduce((sum, length) => sum + length, 0)),
    labels: Int32Array.from(labels),
  };
}

/** Cross entropy of the mean, or the first, of the rows' logits. */
function crossEntropy({ shape, data }: Tensor64, label: number, pooling: 'mean' | 'first'): number {
  const [rows = 0, classes = 0] = shape;
  const count = pooling === 'first' ? 1 : rows;
  const pooled = Array.from({ length: classes }, (_, c) => {
    let sum = 0;
    for (let row = 0; row < count; row++) sum += data[row * classes + c] as number;
    return sum / count;
  });
  return Math.log(pooled.reduce((sum, logit) => sum + Math.exp(logit), 0)) - (pooled[label] as number);
}

describe('trainable encoders', () => {
  it.each(['mean', 'first'] as const)('classify text with the gradients of their definition: %s', async (pooling) => {
    const config = { ...TEXT, pooling };
    const specifications = classifierSpecifications(config);
    const batch = batchOf([7, 7, 4], [2, 0, 1], 9);
    await using model = await createClassifier(config, { device, backend, weights: spreadWeights(specifications) });
    await checkGradients(model, batch, async (weights) => {
      let sum = 0;
      for (const [i, start] of batch.starts.entries()) {
        const rows = (batch.starts[i + 1] ?? batch.inputs.length) - start;
        const feeds = { hidden: embedded(weights, batch, start, rows), ...rotaryFeeds(rows, 3) };
        const logits = await outputOf(classifierGraph(config), specifications, weights, feeds);
        sum += crossEntropy(logits, batch.labels?.[i] ?? 0, pooling) / batch.starts.length;
      }
      return sum;
    });
  });

  const embedded = (weights: Weights, batch: TrainingBatch, start: number, rows: number): Tensor64 =>
    matrix(rows, 12, (row, d) => weights.get('embedding')?.[(batch.inputs[start + row] as number) * 12 + d] as number);

  it('learn masked tokens from both sides, under BigBird too', async () => {
    const config = {
      ...TEXT,
      patterns: [bigBird({ block: 1, window: 3, global: 1, random: 1, seed: 1 })],
    };
    const specifications = gptSpecifications(config);
    const whole = batchOf([10], [], 9);
    const weights = whole.weights.map((_, row) => Number(row % 4 === 1));
    const batch = { ...whole, weights, targets: whole.inputs.map((id) => (id + 1) % 9) };
    const graph: Graph = gptGraph(config, { isCausal: false });
    await using model = await createMaskedModel(config, { device, backend, weights: spreadWeights(specifications) });
    await checkGradients(model, batch, async (own) => {
      const losses = await outputOf(graph, specifications, own, {
        hidden: embedded(own, batch, 0, 10),
        ...rotaryFeeds(10, 3),
        targets: matrix(10, 1, (row) => batch.targets[row] as number),
      });
      const total = weights.reduce((sum, weight) => sum + weight, 0);
      return losses.data.reduce((sum, loss, row) => sum + (loss * (weights[row] as number)) / total, 0);
    });
  });

  it.each(['axial', 'dense', 1] as const)(
    'classify images with the gradients of their definition: %s',
    async (attention) => {
      const config: VitConfig = { ...IMAGES, attention };
      const specifications = vitSpecifications(config);
      const batch = batchOf([48, 48], [3, 0], 256);
      await using model = await createVit(config, { device, backend, weights: spreadWeights(specifications) });
      await checkGradients(model, batch, async (weights) => {
        let sum = 0;
        for (const [i, start] of batch.starts.entries()) {
          // 3 x 2 patches of 2 x 2 pixels of 2 channels.
          const pixels = matrix(6, 8, (row, at) => {
            const [y, x] = [2 * (row >> 1) + (at >> 2), 2 * (row & 1) + ((at >> 1) & 1)];
            return (batch.inputs[start + (y * 4 + x) * 2 + (at & 1)] as number) / 127.5 - 1;
          });
          const hidden = matrix(6, 12, (row, d) => weights.get('positions')?.[row * 12 + d] as number);
          const logits = await outputOf(vitGraph(config), specifications, weights, { hidden, pixels });
          sum += crossEntropy(logits, batch.labels?.[i] ?? 0, 'mean') / 2;
        }
        return sum;
      });
    },
  );

  it('learn to tell sequences and images apart', async () => {
    // The class of a sequence is the token that it begins with; an image is bright on the left or on the right.
    const starts = Int32Array.from({ length: 12 }, (_, i) => i * 16);
    const labels = starts.map((_, i) => i % 2);
    const noise = batchOf([192], [], 9).inputs;
    const inputs = noise.map((id, row) => (row % 16 === 0 ? (labels[row / 16] as number) : id));
    const text = { inputs, targets: inputs, weights: new Float32Array(192), starts, labels };
    await using classifier = await createClassifier({ ...TEXT, classes: 2 }, { device, backend, seed: 1 });
    await learn(classifier, text);

    const pixels = inputs.map(
      (id, row) => 20 * id + (Math.floor((row % 4) / 2) === labels[Math.floor(row / 16)] ? 90 : 0),
    );
    const image = { height: 4, width: 4, patch: 2 };
    await using vit = await createVit({ ...IMAGES, image, classes: 2 }, { device, backend, seed: 1 });
    await learn(vit, { ...text, inputs: pixels });
  });

  it('refuse labels, images and configurations that do not fit', async () => {
    await using model = await createVit(IMAGES, { device, backend });
    const gradients = zerosFor(model.parameters);
    const { labels: _, ...without } = batchOf([48], [], 256);
    await expect(model.step(without, gradients)).rejects.toThrow(
      'batch.labels must have one class for each of the 1 sequence, it has none',
    );
    await expect(model.step(batchOf([48], [4], 256), gradients)).rejects.toThrow(
      'batch.labels[0] is 4; classes are integers from 0 to 3',
    );
    await expect(model.step(batchOf([47], [0], 256), gradients)).rejects.toThrow('each image must have 48');
    await expect(model.step(batchOf([48], [0], 300), gradients)).rejects.toThrow('from 0 to 255');
    await expect(createVit({ ...IMAGES, image: { height: 5, width: 4, patch: 2 } })).rejects.toThrow(
      'patches of 2 must divide images of 5 x 4',
    );
    await expect(createClassifier({ ...TEXT, classes: 1 })).rejects.toThrow(
      'classes must be an integer above 1, got 1',
    );
  });
});

/** Plain gradient descent until every label is told. */
async function learn(model: Trainable, batch: TrainingBatch): Promise<void> {
  const gradients = zerosFor(model.parameters);
  const first = await model.evaluate(batch);
  for (let step = 0; step < 150; step++) {
    for (const gradient of gradients) gradient.fill(0);
    await model.step(batch, gradients);
    for (const [p, { data }] of model.parameters.entries()) {
      for (let i = 0; i < data.length; i++) data[i] -= 0.3 * (gradients[p]?.[i] as number);
    }
  }
  const last = await model.evaluate(batch);
  expect(first.loss).toBeCloseTo(Math.log(2), 0);
  expect(last.loss).toBeLessThan(0.1);
  expect(last.correct).toBe(batch.starts.length);
}
