/** Adapters of a tiny Llama against the gradients of its weights, central differences, and merged weights. */
import { afterAll, beforeAll, expect, test } from 'vitest';
import { createDevice, type WasmDevice } from '../attention/index.ts';
import { createNodeBackend } from '../graph/index.ts';
import { random } from '../graph/testing.ts';
import { parsePattern } from '../pattern/index.ts';
import { LanguageModel } from './language-model.ts';
import { LlamaEngine } from './llama-engine.ts';
import { createTrainableLlama } from './llama-trainable.ts';
import { type LlamaWeights, openLlamaWeights } from './llama-weights.ts';
import { applyLora, type LoraAdapter, loraConfigJson, loraName, mergeLora, newLora, readLora } from './lora.ts';
import { checkpointOf, definition, LETTERS, TINY, tinyWeights } from './testing.ts';
import { zerosFor } from './testing-gradients.ts';

const LORA = { rank: 3, alpha: 5 };
const PATTERN = parsePattern('sinks:2+window:9');
const tensors = tinyWeights(TINY);
const weights = openLlamaWeights(checkpointOf(tensors), TINY, {
  format: 'safetensors',
  weights: 'f32',
  source: 'tiny',
});
const ids = Int32Array.from({ length: 60 }, (_, i) => (i * 31 + (i >> 2) * 7) % 50);
const batch = {
  inputs: ids.subarray(0, 59),
  targets: ids.subarray(1),
  weights: new Float32Array(59).fill(1),
  starts: Int32Array.of(0),
};

let device: WasmDevice;
beforeAll(async () => {
  device = await createDevice({ threads: 1 });
});
afterAll(() => device.dispose());

/** A model with adapters, B too, away from zero. */
async function adaptedModel() {
  const backend = await createNodeBackend({ threads: 1 });
  const model = await createTrainableLlama(TINY, weights, { device, backend, pattern: PATTERN, lora: LORA, seed: 4 });
  const fresh = model.parameters.map((parameter) => ({ ...parameter, data: parameter.data.slice() }));
  for (const [i, { data }] of model.parameters.entries()) data.set(random(data.length, i).map((x) => 0.1 * x));
  const lora: LoraAdapter = { ...LORA, targets: [], matrices: model.parameters };
  return { model, backend, fresh, lora };
}

test('gradients of adapters are those of the merged weights by the chain rule', async () => {
  const { model: llama, backend, lora, fresh } = await adaptedModel();
  await using model = llama;
  expect(model.parameters.length).toBe(2 * 7 * TINY.layers);
  for (const { name, data } of fresh)
    expect(
      data.every((x) => x === 0),
      name,
    ).toBe(name.includes('lora_B'));
  const merged = mergeLora(weights, lora);
  await using full = await createTrainableLlama(TINY, merged, { device, backend, pattern: PATTERN });
  const [ours, theirs] = [zerosFor(model.parameters), zerosFor(full.parameters)];
  const { loss } = await full.step(batch, theirs);
  expect((await model.step(batch, ours)).loss).toBeCloseTo(loss, 5);
  const scale = LORA.alpha / LORA.rank;
  for (const [i, { name, shape }] of full.parameters.entries()) {
    const layer = name.replace(/\.weight$/, '');
    const at = model.parameters.findIndex((parameter) => parameter.name === loraName(layer, 'A'));
    if (at < 0) continue;
    const [a, b, dA, dB] = [model.parameters[at]?.data, model.parameters[at + 1]?.data, ours[at], ours[at + 1]];
    const [out = 0, into = 0] = shape;
    const [wantA, wantB] = [new Float64Array(LORA.rank * into), new Float64Array(out * LORA.rank)];
    for (let o = 0; o < out; o++) {
      for (let r = 0; r < LORA.rank; r++) {
        for (let c = 0; c < into; c++) {
          const dW = scale * (theirs[i]?.[o * into + c] ?? Number.NaN);
          wantA[r * into + c] = (wantA[r * into + c] ?? 0) + dW * (b?.[o * LORA.rank + r] ?? Number.NaN);
          wantB[o * LORA.rank + r] = (wantB[o * LORA.rank + r] ?? 0) + dW * (a?.[r * into + c] ?? Number.NaN);
        }
      }
    }
    expect(distance(dA, wantA), `${name} A`).toBeLessThan(2e-5);
    expect(distance(dB, wantB), `${name} B`).toBeLessThan(2e-5);
  }
});

test('gradients are those of central differences of the definition', async () => {
  const { model: llama, lora } = await adaptedModel();
  await using model = llama;
  const gradients = zerosFor(model.parameters);
  await model.step(batch, gradients);
  for (const [i, { name, data }] of model.parameters.entries()) {
    if (!/layers\.0\.(self_attn\.q|self_attn\.v|mlp\.down)_proj/.test(name)) continue;
    const gradient = gradients[i] ?? new Float32Array();
    const element = gradient.reduce((best, x, j) => (Math.abs(x) > Math.abs(gradient[best] ?? 0) ? j : best), 0);
    const lossAt = async (change: number) => {
      const changed = data.slice();
      changed[element] = (changed[element] ?? 0) + change;
      const matrices = lora.matrices.map((own) => (own.name === name ? { ...own, data: changed } : own));
      return definitionLoss(mergeLora(weights, { ...lora, matrices }));
    };
    const numeric = ((await lossAt(2e-3)) - (await lossAt(-2e-3))) / 4e-3;
    expect(Math.abs((gradient[element] ?? 0) - numeric) / Math.abs(numeric), name).toBeLessThan(2e-3);
  }
});

test('adapters give the logits of merged weights, through a file too', async () => {
  const { model, lora } = await adaptedModel();
  await model.dispose();
  const stored = checkpointOf(
    new Map(lora.matrices.map(({ name, shape, data }) => [name, { shape: [...shape], data }])),
  );
  const read = await readLora(stored, loraConfigJson(LORA, 'tiny'), weights, 'adapter');
  expect(read.matrices.length).toBe(lora.matrices.length);
  const beside = await logits(weights, read);
  const merged = await logits(mergeLora(weights, lora));
  const plain = await logits(weights);
  expect(distance(beside, merged)).toBeLessThan(1e-5);
  expect(distance(plain, merged)).toBeGreaterThan(0.01);
});

test('refuses adapters that do not fit', async () => {
  const config = loraConfigJson(LORA, 'tiny');
  const one = (name: string, shape: number[]) =>
    checkpointOf(
      new Map([[name, { shape, data: new Float32Array(shape.reduce((product, side) => product * side, 1)) }]]),
    );
  const name = loraName('model.layers.0.self_attn.q_proj', 'A');
  await expect(readLora(one(name, [3, 7]), config, weights, 'x')).rejects.toThrow(
    'has shape [3,7]; rank and model say [3,32]',
  );
  await expect(readLora(one(name, [3, 32]), config, weights, 'x')).rejects.toThrow('lora_B.weight has shape [none]');
  await expect(readLora(one('other', [3, 7]), config, weights, 'x')).rejects.toThrow('other is not an adapter');
  await expect(readLora(one(name, [3, 32]), { ...config, use_dora: true }, weights, 'x')).rejects.toThrow('use_dora');
  expect(() => newLora({ rank: 0 }, 0)).toThrow('rank is 0');
  expect(() => newLora({ rank: 1, targets: ['lm_head'] }, 0)).toThrow('targets are [lm_head]');
});

async function logits(base: LlamaWeights, lora?: LoraAdapter): Promise<Float32Array> {
  const backend = await createNodeBackend({ threads: 1 });
  const adapt = lora === undefined ? {} : { adapt: applyLora(lora) };
  const engine = await LlamaEngine.create(TINY, base, device, backend, { accuracyLevel: 0, ...adapt });
  const parts = { config: TINY, tokenizer: LETTERS, engine, device, weightBytes: base.bytes };
  await using reader = new LanguageModel({ ...parts, machine: { memoryBytes: 2 ** 40 }, close: async () => undefined });
  return (await reader.stream({ pattern: PATTERN }).logits(ids)).slice();
}

/** Mean loss of the batch by the definition in float64. */
async function definitionLoss(merged: LlamaWeights): Promise<number> {
  const changed = new Map(tensors);
  for (const [name, { shape }] of tensors) {
    if (!/_proj\.weight$/.test(name)) continue;
    const matrix = merged.matrix(name);
    if (matrix.bits === 32) changed.set(name, { shape, data: await matrix.load() });
  }
  const pattern = { kind: 'intersect', of: [{ kind: 'causal' }, PATTERN] } as const;
  const rows = definition(TINY, changed, [...batch.inputs], pattern);
  const losses = rows.map((row, i) => {
    const sum = row.reduce((total, logit) => total + Math.exp(logit), 0);
    return Math.log(sum) - (row[batch.targets[i] ?? 0] ?? 0);
  });
  return losses.reduce((sum, loss) => sum + loss, 0) / losses.length;
}

/** The largest difference over the largest number. */
function distance(got: ArrayLike<number> | undefined, want: ArrayLike<number>): number {
  expect(got?.length).toBe(want.length);
  const numbers = Array.from(want);
  const largest = Math.max(...numbers.map(Math.abs));
  return Math.max(...numbers.map((x, i) => Math.abs(x - (got?.[i] ?? Number.NaN)))) / largest;
}
