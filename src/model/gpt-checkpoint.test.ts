import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { perHead, sinks, union, window } from '../pattern/index.ts';
import { createGpt, type GptConfig } from './gpt.ts';
import { gptCheckpoint } from './gpt-checkpoint.ts';
import { loadLanguageModel } from './load.ts';

const PATTERN = perHead([union(sinks(1), window({ left: 6 })), window({ left: 5, dilation: 3 })]);
const CONFIG: GptConfig = {
  vocabularySize: 259,
  hiddenSize: 32,
  layers: 2,
  heads: 2,
  context: 128,
  patterns: [PATTERN],
  activation: 'swiglu',
  normalization: 'rms',
};
const TEXT = 'It is a way I have of driving off the spleen, and regulating the circulation. – Ishmaël';

let folder: string;
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'farfield-gpt-'));
});
afterEach(() => rm(folder, { recursive: true }));

test.each([
  ['f32', 5],
  ['f16', 3],
  ['bf16', 2],
] as const)(
  'a folder with %s weights opens, reads bytes under its own pattern, and predicts as the decoder did',
  async (storage, digits) => {
    await using gpt = await createGpt(CONFIG, { seed: 3 });
    for (const [name, pieces] of gptCheckpoint(CONFIG, gpt.parameters, { storage })) {
      await writeFile(join(folder, name), Buffer.concat([...pieces]));
    }
    await using model = await loadLanguageModel(folder, { threads: 1 });
    const ids = model.tokenizer.encode(TEXT);
    expect([...ids]).toEqual([256, ...new TextEncoder().encode(TEXT)]);
    const last = ids.length - 1;
    const [inputs, targets] = [ids.slice(0, last), ids.slice(1)];
    const stream = model.stream();
    expect(stream.pattern).toEqual(PATTERN);
    const losses = await stream.losses(inputs, targets);
    const weights = new Float32Array(last).fill(1);
    const { loss } = await gpt.evaluate({ inputs, targets, weights, starts: Int32Array.of(0) });
    expect(losses.reduce((sum, each) => sum + each, 0) / last).toBeCloseTo(loss, digits);

    const config = JSON.parse(await readFile(join(folder, 'config.json'), 'utf8'));
    await writeFile(join(folder, 'config.json'), JSON.stringify({ ...config, farfield_pattern: 'window:-1' }));
    await expect(loadLanguageModel(folder)).rejects.toThrow('window');
  },
);

test('weights that f16 cannot hold are refused by name', async () => {
  await using gpt = await createGpt(CONFIG);
  const parameter = gpt.parameters.find(({ name }) => name === 'layers.1.down');
  parameter?.data.fill(7e4, 5, 6);
  expect(() => gptCheckpoint(CONFIG, gpt.parameters, { storage: 'f16' })).toThrow(
    'model.layers.1.mlp.down_proj.weight has weights that f16 cannot hold',
  );
});
