/** What tasks promise, on a tiny model whose logits have a definition in float64. */
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { createDevice, type WasmDevice } from '../attention/index.ts';
import { ArgumentError } from '../errors.ts';
import type { LanguageModel } from '../model/index.ts';
import { definition, openTiny, TINY, tinyWeights } from '../model/testing.ts';
import { causal, intersect, window } from '../pattern/index.ts';
import { generate } from './generate.ts';
import { type PerplexityProgress, perplexity } from './perplexity.ts';

const weights = tinyWeights(TINY);
const ids = Array.from({ length: 61 }, (_, i) => (i * 31 + (i >> 2) * 7) % 50);
let device: WasmDevice;
let model: LanguageModel;
beforeAll(async () => {
  device = await createDevice({ threads: 1 });
  model = await openTiny(device);
});
afterAll(async () => {
  await model.dispose();
  await device.dispose();
});

function losses(logits: number[][]): number[] {
  return logits.slice(0, -1).map((row, i) => {
    const largest = Math.max(...row);
    const sum = row.reduce((total, logit) => total + Math.exp(logit - largest), 0);
    return largest + Math.log(sum) - (row[ids[i + 1] ?? 0] ?? 0);
  });
}

const mean = (values: number[]) => values.reduce((sum, value) => sum + value, 0) / values.length;

describe('perplexity', () => {
  it('is e to the mean loss, of all and of the last tenth, beside dense', async () => {
    const progress: PerplexityProgress[] = [];
    const pattern = window(9);
    const result = await perplexity({ model, ids, pattern, compare: 'dense', onProgress: (at) => progress.push(at) });
    const own = losses(definition(TINY, weights, ids, intersect(causal(), pattern)));
    const dense = losses(definition(TINY, weights, ids, causal()));
    expect(Math.log(result.perplexity)).toBeCloseTo(mean(own), 5);
    expect(Math.log(result.perplexityLastTenth)).toBeCloseTo(mean(own.slice(-6)), 5);
    expect(Math.log(result.compared?.perplexity ?? 0)).toBeCloseTo(mean(dense), 5);
    expect(result).toMatchObject({ tokens: 61, positions: 'given', pattern });
    expect(result.peakMemoryBytes).toBeGreaterThan(2 ** 20);
    expect(progress.map(({ run, done, total }) => `${run} ${done}/${total}`)).toEqual(['pattern 61/61', 'dense 61/61']);
    expect(progress[0]?.perplexity).toBeCloseTo(result.perplexity, 5);
  });

  it('reads as much as asked, and stops when asked', async () => {
    const { tokens, perplexity: got } = await perplexity({ model, ids, length: 30 });
    expect(tokens).toBe(30);
    expect(Math.log(got)).toBeCloseTo(mean(losses(definition(TINY, weights, ids.slice(0, 30), causal()))), 5);
    for (const length of [1, 62, 2.5]) {
      await expect(perplexity({ model, ids, length })).rejects.toThrow(
        `length is ${length}; it must be an integer from 2 to`,
      );
    }
    for (const [few, says] of [
      [[], 'the text has 0 tokens; it must have 2 or more'],
      [[1], 'the text has 1 token; it must have 2 or more'],
    ] as const) {
      await expect(perplexity({ model, ids: few })).rejects.toThrow(says);
    }
    const signal = AbortSignal.abort(new Error('enough'));
    await expect(perplexity({ model, ids, signal })).rejects.toThrow('enough');
  });
});

describe('generate', () => {
  /** Greedy continuation by the definition. */
  function greedy(prompt: number[], count: number): number[] {
    const all = [...prompt];
    for (let i = 0; i < count; i++) {
      const last = definition(TINY, weights, all, causal()).at(-1) ?? [];
      all.push(last.indexOf(Math.max(...last)));
    }
    return all.slice(prompt.length);
  }

  it('continues greedily, streams what it returns, and says why it ended', async () => {
    const prompt = ids.slice(0, 20);
    const want = greedy(prompt, 12);
    const pieces: string[] = [];
    const text = model.tokenizer.decode(prompt);
    const result = await generate({
      model,
      prompt: text,
      maxTokens: 12,
      ignoreEnd: true,
      onText: (piece) => pieces.push(piece),
    });
    expect(result.ids).toEqual(want);
    expect(pieces.join('')).toBe(result.text);
    expect(result.text).toBe(model.tokenizer.decode(want));
    expect(result).toMatchObject({ reason: 'length', promptTokens: 20 });
    const stop = result.text.slice(4, 6);
    const stopped = await generate({ model, ids: prompt, maxTokens: 12, ignoreEnd: true, stop: [stop] });
    expect(stopped.text).toBe(result.text.slice(0, result.text.indexOf(stop)));
    expect(stopped.reason).toBe('stop');
  });

  it('samples the same with the same seed', async () => {
    const draw = async (seed: number) =>
      (await generate({ model, ids: [1, 2], maxTokens: 20, temperature: 2, seed, ignoreEnd: true })).ids.join();
    expect(await draw(1)).toBe(await draw(1));
    expect(await draw(1)).not.toBe(await draw(2));
  });

  it('refuses what it cannot continue', async () => {
    await expect(generate({ model, prompt: '' })).rejects.toThrow('the prompt is empty');
    await expect(generate({ model })).rejects.toThrow('give one of prompt, ids and messages');
    await expect(generate({ model, ids: [1], maxTokens: -1 })).rejects.toThrow(ArgumentError);
    await expect(generate({ model, ids: [99] })).rejects.toThrow('ids[0] is 99');
    const controller = new AbortController();
    const stopping = generate({
      model,
      ids: [1],
      maxTokens: 10_000,
      ignoreEnd: true,
      signal: controller.signal,
      onText: () => controller.abort(new Error('enough')),
    });
    await expect(stopping).rejects.toThrow('enough');
  });
});
