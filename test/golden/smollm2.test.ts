/** A real model on a real book, against the figures beside it: see the README of the model folders. */
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type LanguageModel, loadLanguageModel, type StreamOptions } from '../../src/model/index.ts';
import { parsePattern } from '../../src/pattern/index.ts';
import { generate, perplexity } from '../../src/task/index.ts';
import { disagreement, MODELS, readJson, readTensors } from './folders.ts';

const FOLDER = join(MODELS, 'smollm2-135m-instruct');
const FILE = join(FOLDER, 'model.gguf');
/** Reads every golden sequence to its end: some six minutes on two cores instead of three. */
const isFull = process.env.FARFIELD_GOLDEN_FULL === '1';
const MINUTES = 60_000;

interface Golden {
  readonly dense_float32_spread: number;
  readonly perplexity: Readonly<Record<string, { readonly length: number; readonly value: number }>>;
  readonly greedy: Readonly<
    Record<string, { readonly prompt_ids: number[]; readonly ids: number[]; readonly text: string }>
  >;
  readonly tokenize: readonly { readonly text: string; readonly ids: number[] }[];
}

/** "sinks:4+window:256 cached positions" as options of a stream. */
function optionsOf(name: string): Pick<StreamOptions, 'pattern' | 'positions'> {
  const [text = '', words] = name.split(/ (.*)/);
  return { pattern: parsePattern(text), positions: words === 'cached positions' ? 'cached' : 'given' };
}

/** Tokens to read of a golden sequence: past the window, so that it matters, and all where time allows. */
function lengthOf(name: string, whole: number): number {
  if (isFull || name === 'dense' || name.startsWith('sinks:4+window:256')) return whole;
  return name.includes('1024') ? 2048 : 1024;
}

describe.skipIf(!existsSync(FILE))('SmolLM2-135M-Instruct', () => {
  const golden = existsSync(FILE) ? readJson<Golden>(FOLDER, 'golden.json') : undefined;
  const tolerance = { atol: 10 * (golden?.dense_float32_spread ?? 0), rtol: 0 };
  let model: LanguageModel;
  let tensor: Awaited<ReturnType<typeof readTensors>>;
  let ids: Int32Array;

  beforeAll(async () => {
    model = await loadLanguageModel(FILE, { weights: 'f32' });
    tensor = await readTensors(FOLDER, 'golden.safetensors');
    ids = Int32Array.from(tensor('ids').data);
  }, 5 * MINUTES);
  afterAll(async () => model.dispose());

  it('tokenizes', () => {
    for (const { text, ids } of golden?.tokenize ?? [])
      expect([text, [...model.tokenizer.encode(text)]]).toEqual([text, ids]);
  });

  it('gives the logits and the hidden rows of a dense run', async () => {
    const rows = Array.from(tensor('dense.rows').data);
    const { hiddenSize, vocabularySize } = model.config;
    const whole = model.stream();
    const hidden = await whole.hidden(ids.subarray(0, 512));
    whole.close();
    const stream = model.stream();
    for (const [i, row] of rows.entries()) {
      const got = hidden.subarray(row * hiddenSize, (row + 1) * hiddenSize);
      const want = tensor('dense.hidden').data.subarray(i * hiddenSize, (i + 1) * hiddenSize);
      expect([row, disagreement(got, want, tolerance)]).toEqual([row, '']);
      const logits = await stream.logits(ids.subarray(stream.length, row + 1));
      const wanted = tensor('dense.logits').data.subarray(i * vocabularySize, (i + 1) * vocabularySize);
      expect([row, disagreement(logits, wanted, tolerance)]).toEqual([row, '']);
    }
    stream.close();
  });

  for (const [name, { length: whole }] of Object.entries(golden?.perplexity ?? {})) {
    const length = lengthOf(name, whole);
    it(`predicts each of ${length} tokens under ${name}`, { timeout: 20 * MINUTES }, async () => {
      const stream = model.stream({ ...optionsOf(name), length });
      const losses = await stream.losses(ids.subarray(0, length - 1), ids.subarray(1, length));
      stream.close();
      expect(disagreement(losses, tensor(`nll.${name}`).data.subarray(0, length - 1), tolerance)).toBe('');
    });
  }

  for (const [name, { prompt_ids, ids: wanted, text }] of Object.entries(golden?.greedy ?? {})) {
    it(`continues a prompt greedily under ${name}`, async () => {
      const pieces: string[] = [];
      const result = await generate({
        model,
        ids: prompt_ids,
        maxTokens: wanted.length,
        ignoreEnd: true,
        onText: (piece) => pieces.push(piece),
        ...optionsOf(name),
      });
      expect(result.ids).toEqual(wanted);
      expect(result.text).toBe(text);
      expect(pieces.join('')).toBe(text);
      expect(result.reason).toBe('length');
    });
  }

  it('reads the same in chunks of any size, in constant memory', { timeout: 10 * MINUTES }, async () => {
    const options = optionsOf('sinks:4+window:64 cached positions');
    const [from, to] = [ids.subarray(0, 2400), ids.subarray(1, 2401)];
    const whole = model.stream({ ...options, chunk: 2048 });
    const losses = await whole.losses(from, to);
    const one = await whole.losses(ids.subarray(2400, 2401), ids.subarray(2401, 2402));
    whole.close();
    for (const chunk of [64, 333]) {
      const stream = model.stream({ ...options, chunk });
      const parts: number[] = [];
      const bytes: number[] = [];
      for (let at = 0; at < from.length; at += 400) {
        parts.push(...(await stream.losses(from.subarray(at, at + 400), to.subarray(at, at + 400))));
        bytes.push(stream.bytes);
      }
      expect([chunk, disagreement(parts, losses, { atol: 1e-4, rtol: 0 })]).toEqual([chunk, '']);
      // By 1,600 tokens the steps of 400 have met the pages of 64 in every way that they do.
      expect(bytes[5]).toBe(bytes[3]);
      // One token at a time, where the window has moved on.
      const decoded = await stream.losses(ids.subarray(2400, 2401), ids.subarray(2401, 2402));
      expect(stream.length).toBe(2401);
      expect([chunk, disagreement(decoded, one, { atol: 1e-4, rtol: 0 })]).toEqual([chunk, '']);
      stream.close();
    }
  });

  it('goes on after a cancelled read from where it came', async () => {
    const stream = model.stream({ chunk: 128, length: 4096 });
    const controller = new AbortController();
    setTimeout(() => controller.abort(new Error('enough')), 300);
    await expect(stream.read(ids, { signal: controller.signal })).rejects.toThrow('enough');
    const reached = stream.length;
    expect(reached % 128).toBe(0);
    expect(reached).toBeLessThan(4096);
    const end = reached + 300;
    const losses = await stream.losses(ids.subarray(reached, end), ids.subarray(reached + 1, end + 1));
    stream.close();
    expect(disagreement(losses, tensor('nll.dense').data.subarray(reached, end), tolerance)).toBe('');
  });

  it('loses little with quantized weights', { timeout: 10 * MINUTES }, async () => {
    await using quantized = await loadLanguageModel(FILE);
    const length = 2048;
    const { perplexity: got } = await perplexity({ model: quantized, ids, length });
    let sum = 0;
    for (const loss of tensor('nll.dense').data.subarray(0, length - 1)) sum += loss;
    const exact = Math.exp(sum / (length - 1));
    console.log(
      `perplexity of ${length} tokens, dense: ${exact.toFixed(3)} with float32 weights, ${got.toFixed(3)} with quantized`,
    );
    expect(Math.abs(got / exact - 1)).toBeLessThan(0.02);
  });
});
