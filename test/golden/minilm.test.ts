/** A sentence encoder of many users against the figures beside it: see the README of the model folders. */
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type Encoder, loadEncoder } from '../../src/model/index.ts';
import { window } from '../../src/pattern/index.ts';
import type { Tokenizer } from '../../src/text/index.ts';
import { loadTokenizer } from '../../src/text/node.ts';
import { disagreement, MODELS, readJson, readTensors } from './folders.ts';

const FOLDER = join(MODELS, 'minilm-l6-v2');
/** Two float32 implementations of a model of this depth, whose rows have numbers up to 1. */
const TOLERANCE = { atol: 1e-5, rtol: 1e-5 };

interface Golden {
  readonly texts: readonly string[];
  readonly cosine: readonly (readonly number[])[];
}

describe.skipIf(!existsSync(FOLDER))('all-MiniLM-L6-v2', () => {
  let encoder: Encoder;
  let tokenizer: Tokenizer;
  let golden: Golden;
  let tensor: Awaited<ReturnType<typeof readTensors>>;

  beforeAll(async () => {
    encoder = await loadEncoder(FOLDER);
    tokenizer = await loadTokenizer(FOLDER);
    golden = readJson(FOLDER, 'golden.json');
    tensor = await readTensors(FOLDER, 'golden.safetensors');
  });
  afterAll(async () => encoder?.dispose());

  it('gives the last hidden state of a text', async () => {
    const ids = tokenizer.encode(golden.texts[0] ?? '');
    expect([...ids]).toEqual([...tensor('first_input_ids').data]);
    const [first] = await encoder.run({ inputIds: [ids] });
    expect(disagreement(first?.hidden?.data ?? [], tensor('first_last_hidden_state').data, TOLERANCE)).toBe('');
  });

  it('gives the embeddings of a batch: means over the mask, of length 1', async () => {
    const { data, shape } = tensor('input_ids');
    const mask = tensor('attention_mask').data;
    const rows = (list: ArrayLike<number>) =>
      golden.texts.map((_, i) => Array.from(list).slice(i * (shape[1] ?? 0), (i + 1) * (shape[1] ?? 0)));
    const outputs = await encoder.run({ inputIds: rows(data), attentionMask: rows(mask) });
    const embeddings = outputs.flatMap(({ hidden }, i) => {
      const kept = rows(mask)[i] ?? [];
      const sums = Array.from({ length: 384 }, (_, d) =>
        kept.reduce((sum, bit, row) => sum + bit * (hidden?.data[row * 384 + d] ?? Number.NaN), 0),
      );
      return sums.map((sum) => sum / Math.hypot(...sums));
    });
    expect(disagreement(embeddings, tensor('embedding').data, TOLERANCE)).toBe('');
  });

  it('gives each text of a packed batch what it gives the text alone, under a window too', async () => {
    const inputIds = golden.texts.map((text) => tokenizer.encode(text));
    await using near = await loadEncoder(FOLDER, { pattern: window(4), threads: 1 });
    for (const model of [encoder, near]) {
      const batch = await model.run({ inputIds });
      for (const [i, ids] of inputIds.entries()) {
        const [alone] = await model.run({ inputIds: [ids] });
        expect(disagreement(batch[i]?.hidden?.data ?? [], alone?.hidden?.data ?? [], TOLERANCE)).toBe('');
      }
    }
  });
});
