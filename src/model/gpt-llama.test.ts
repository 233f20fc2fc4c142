import { afterAll, beforeAll, expect, test } from 'vitest';
import { createDevice, type WasmDevice } from '../attention/index.ts';
import { createNodeBackend } from '../graph/index.ts';
import { perHead, sinks, union, window } from '../pattern/index.ts';
import { createGpt, type GptConfig, gptSpecifications } from './gpt.ts';
import { gptAsLlama } from './gpt-llama.ts';
import { LanguageModel } from './language-model.ts';
import { llamaConfigFromJson } from './llama-config.ts';
import { LlamaEngine } from './llama-engine.ts';
import { createTrainableLlama } from './llama-trainable.ts';
import { openLlamaWeights } from './llama-weights.ts';
import { checkpointOf, LETTERS } from './testing.ts';
import { spreadWeights, zerosFor } from './testing-gradients.ts';

const PATTERN = perHead([window({ left: 5 }), union(sinks(1), window(3)), window(9), window({ left: 4, dilation: 2 })]);
const CONFIG: GptConfig = {
  vocabularySize: 50,
  hiddenSize: 32,
  layers: 2,
  heads: 4,
  keyValueHeads: 2,
  context: 100,
  patterns: [PATTERN],
  activation: 'swiglu',
  normalization: 'rms',
};

let device: WasmDevice;
beforeAll(async () => {
  device = await createDevice({ threads: 2 });
});
afterAll(() => device.dispose());

test.for([
  ['', CONFIG],
  [' with matches', { ...CONFIG, matches: [1, 2, 5] }],
] as const)('a trained decoder%s reads as a Llama, and trains on as one', async ([, own]) => {
  const backend = await createNodeBackend({ threads: 1 });
  await using gpt = await createGpt(own, { device, backend, weights: spreadWeights(gptSpecifications(own)) });
  // The last third repeats the first.
  const ids = Int32Array.from({ length: 60 }, (_, i) => ((i % 40) * 31 + ((i % 40) >> 2) * 7) % 50);
  const batch = {
    inputs: ids.subarray(0, 59),
    targets: ids.subarray(1),
    weights: new Float32Array(59).fill(1),
    starts: Int32Array.of(0),
  };
  const files = gptAsLlama(own, gpt.parameters);
  const config = llamaConfigFromJson(files.config);
  const weights = openLlamaWeights(checkpointOf(files.tensors), config, {
    format: 'safetensors',
    weights: 'f32',
    source: 'gpt',
  });

  const engine = await LlamaEngine.create(config, weights, device, backend, { accuracyLevel: 0 });
  const parts = { config, tokenizer: LETTERS, engine, device, weightBytes: weights.bytes };
  await using reader = new LanguageModel({ ...parts, machine: { memoryBytes: 2 ** 40 }, close: async () => undefined });
  const losses = await reader.stream({ pattern: PATTERN, chunk: 16 }).losses(batch.inputs, batch.targets);
  const { loss } = await gpt.evaluate(batch);
  expect(losses.reduce((sum, own) => sum + own, 0) / 59).toBeCloseTo(loss, 5);

  await using llama = await createTrainableLlama(config, weights, { device, backend, pattern: PATTERN, checkpoint: 1 });
  const [ours, theirs] = [zerosFor(gpt.parameters), zerosFor(llama.parameters)];
  expect((await llama.step(batch, theirs)).loss).toBeCloseTo(loss, 5);
  await gpt.step(batch, ours);
  const named = gpt.parameters.map((parameter, i) => ({ ...parameter, data: ours[i] as Float32Array }));
  for (const [name, { data }] of gptAsLlama(own, named).tensors) {
    const their = theirs[llama.parameters.findIndex((parameter) => parameter.name === name)] ?? new Float32Array();
    expect(their.length).toBe(data.length);
    const largest = Math.max(...data.map(Math.abs));
    expect(Math.max(...data.map((value, i) => Math.abs(value - (their[i] as number)))) / largest, name).toBeLessThan(
      1e-5,
    );
  }
});

test('only what a Llama has becomes one', () => {
  expect(() => gptAsLlama({ ...CONFIG, activation: 'gelu' }, [])).toThrow('this model has gelu, rms and rotary');
  expect(() => gptAsLlama(CONFIG, [])).toThrow('the parameters have no embedding');
});
