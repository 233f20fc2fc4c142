/** The forward pass that runs in the page, against the trainable model of src/model, and its attention weights against their definition. */
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { readModelFiles } from '../../explorer/src/content/text/model-files.ts';
import { type ModelFiles, TextModel, type TextRun } from '../../explorer/src/content/text/text-model.ts';
import { createDevice, referenceWeights, type WasmDevice } from '../../src/attention/index.ts';
import { ModelError } from '../../src/errors.ts';
import { createGpt, type GptConfig } from '../../src/model/gpt.ts';
import { gptCheckpoint } from '../../src/model/gpt-checkpoint.ts';
import { allows, causal, formatPattern, type Pattern, parsePattern } from '../../src/pattern/index.ts';

const hybrid = parsePattern('window:8,0|sinks:2+window:20,0|causal');
/** An architecture as the bundled model's, smaller: odd widths, and a vocabulary that is no multiple of 8. */
const config: GptConfig = {
  vocabularySize: 257,
  hiddenSize: 60,
  layers: 3,
  heads: 6,
  keyValueHeads: 3,
  intermediateSize: 100,
  context: 256,
  patterns: [hybrid, causal()],
  matches: [2, 7],
  activation: 'swiglu',
  normalization: 'rms',
};
const text = 'A window of attention reads what is near; a sink reads the first tokens. '.repeat(3);
const ids = Int32Array.from(new TextEncoder().encode(text)).subarray(0, 201);

let device: WasmDevice;
let files: ModelFiles;
let model: TextModel;
let own: TextRun;

beforeAll(async () => {
  device = await createDevice({ threads: 1 });
  await using gpt = await createGpt(config, { seed: 7, device });
  // A wider embedding, which is the head too: losses then differ by more than rounding.
  // Matches begin with zeros.
  const spread = (name: string, data: Float32Array) => {
    if (name === 'matches') return data.map((_, i) => 0.3 * Math.sin(i * i));
    return name === 'embedding' ? data.map((number) => 12 * number) : data;
  };
  files = { config, weights: new Map(gpt.parameters.map(({ name, data }) => [name, spread(name, data)])) };
  model = await TextModel.create(files, device);
  own = await model.run(ids, undefined);
});
afterAll(() => device.dispose());

/** Losses of some rows by the trainable model, each with the weight on that row alone. */
async function trainableLosses(patterns: readonly Pattern[] | undefined, rows: readonly number[]): Promise<number[]> {
  await using gpt = await createGpt({ ...config, patterns: patterns ?? config.patterns }, { ...files, device });
  const losses: number[] = [];
  for (const row of rows) {
    const { loss } = await gpt.evaluate({
      inputs: ids.subarray(0, -1),
      targets: ids.subarray(1),
      weights: Float32Array.from({ length: ids.length - 1 }, (_, i) => (i === row ? 1 : 0)),
      starts: Int32Array.of(0),
    });
    losses.push(loss);
  }
  return losses;
}

describe('the model in the page', () => {
  const rows = [0, 1, 63, 64, 130, 199];

  it.each([
    ['its own patterns', undefined],
    ['a window in every layer', 'window:16,0'],
    ['a pattern that looks ahead, cut to the past', 'window:9+global:3|dense'],
  ])('has the losses of the trainable model: %s', async (_, given) => {
    const pattern = given === undefined ? undefined : parsePattern(given);
    const run = pattern === undefined ? own : await model.run(ids, [pattern]);
    const wanted = await trainableLosses(pattern === undefined ? undefined : [pattern], rows);
    for (const [i, row] of rows.entries()) expect(run.losses[row]).toBeCloseTo(wanted[i], 4);
    expect(run.losses.length).toBe(200);
    // Losses that are all alike would agree too easily.
    expect(Math.max(...wanted) - Math.min(...wanted)).toBeGreaterThan(0.3);
  });

  it('has the attention weights of the definition', async () => {
    const { q, k } = own.layers[0];
    const keys = { data: k, shape: [1, ids.length, 3, 10], layout: 'BNHD' } as const;
    const wanted = referenceWeights({
      q: { data: q, shape: [1, ids.length, 6, 10], layout: 'BNHD' },
      k: keys,
      v: keys,
      pattern: own.patterns[0],
    });
    const found = await model.weights(own, 0, { start: 100, end: 140 });
    expect(found.length).toBe(6);
    for (const [head, { rowStart, columns, values }] of found.entries()) {
      const all = new Float64Array(40 * ids.length);
      for (let row = 0; row < 40; row++) {
        for (let pair = rowStart[row]; pair < rowStart[row + 1]; pair++)
          all[row * ids.length + columns[pair]] = values[pair];
      }
      const start = (head * ids.length + 100) * ids.length;
      const errors = all.map((value, i) => Math.abs(value - wanted[start + i]));
      expect(Math.max(...errors)).toBeLessThan(1e-6);
    }
  });

  it('says what of dense attention a pattern loses', async () => {
    const dense = await model.run(ids, [causal()]);
    const pattern = parsePattern('causal&(sinks:1+window:12,0|window:3,0)');
    const lost = await model.lost(dense, 1, pattern);
    const whole = await model.weights(dense, 1, { start: 0, end: ids.length });
    for (const [head, { rowStart, columns, values }] of whole.entries()) {
      for (const row of [0, 2, 50, 200]) {
        let outside = 0;
        for (let pair = rowStart[row]; pair < rowStart[row + 1]; pair++)
          if (!allows(pattern, { head, q: row, k: columns[pair] })) outside += values[pair];
        expect(lost[head][row]).toBeCloseTo(outside, 5);
      }
    }
    expect(lost[1][200]).toBeGreaterThan(lost[0][200]);
  });

  it('is read from a model folder as it was written', async () => {
    const bytes = { ...config, vocabularySize: 259, patterns: [hybrid] };
    await using gpt = await createGpt(bytes, { seed: 2, device });
    const written = gptCheckpoint(bytes, gpt.parameters);
    const file = (name: string) => Buffer.concat([...(written.get(name) ?? [])]);
    const read = await readModelFiles(file('config.json').toString(), file('model.safetensors'));
    expect(read.config).toMatchObject({ ...bytes, patterns: [parsePattern(formatPattern(hybrid))] });
    expect(read.weights.size).toBe(gpt.parameters.length);
    for (const { name, data } of gpt.parameters) expect(read.weights.get(name), name).toEqual(data);
    const other = JSON.stringify({ ...JSON.parse(file('config.json').toString()), vocab_size: 300 });
    await expect(readModelFiles(other, file('model.safetensors'))).rejects.toThrow('models of bytes');
    await expect(readModelFiles('{', file('model.safetensors'))).rejects.toThrow('config.json is not JSON');
  });

  it('refuses what it cannot run', async () => {
    await expect(model.run(ids.subarray(0, 1), undefined)).rejects.toThrow('the text has 1 token;');
    await expect(model.run(Int32Array.from({ length: 257 }), undefined)).rejects.toThrow('from 2 to 256');
    await expect(model.run(Int32Array.of(1, 300), undefined)).rejects.toThrow('300 is not one of the 257 tokens');
    const other = { ...files, config: { ...config, activation: 'gelu' as const } };
    await expect(TextModel.create(other, device)).rejects.toThrow(ModelError);
    await expect(TextModel.create({ config, weights: new Map() }, device)).rejects.toThrow(/embedding .* missing/);
    const stop = new AbortController();
    const run = model.run(ids, undefined, { onLayer: () => stop.abort(new Error('enough')), signal: stop.signal });
    await expect(run).rejects.toThrow('enough');
  });
});
