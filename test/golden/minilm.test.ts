/** A sentence encoder of many users against the figures beside it: see the README of the model folders. */
import { existsSync } from 'node:fs';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { runCommandLine } from '../../src/cli/program.ts';
import { type Encoder, loadEncoder } from '../../src/model/index.ts';
import { window } from '../../src/pattern/index.ts';
import { embed } from '../../src/task/index.ts';
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

async function farfield(...args: string[]): Promise<{ code: number; stdout: string; stderr: string }> {
  let [stdout, stderr] = ['', ''];
  const code = await runCommandLine(args, {
    stdout: { columns: 80, write: (text) => (stdout += text) },
    stderr: { columns: 80, write: (text) => (stderr += text) },
  });
  return { code, stdout, stderr };
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
    // The same of the texts, which need no padding.
    const task = await embed({ encoder, texts: golden.texts });
    expect(task.tokens).toEqual(golden.texts.map((_, i) => rows(mask)[i]?.reduce((sum, bit) => sum + bit, 0)));
    expect(
      disagreement(
        task.embeddings.flatMap((vector) => [...vector]),
        tensor('embedding').data,
        TOLERANCE,
      ),
    ).toBe('');
  });

  it('farfield embed prints the vectors, and how alike the texts are', async () => {
    const folder = await mkdtemp(join(tmpdir(), 'farfield-'));
    try {
      const files = await Promise.all(
        golden.texts.slice(0, 3).map(async (text, i) => {
          const file = join(folder, `${i}.txt`);
          await writeFile(file, text);
          return file;
        }),
      );
      const args = ['embed', '--model', FOLDER, '--text', ...files];
      const asJson = await farfield(...args, '--json');
      expect(asJson).toMatchObject({ code: 0, stderr: '' });
      const { embeddings } = JSON.parse(asJson.stdout) as { embeddings: { embedding: number[] }[] };
      const got = embeddings.flatMap(({ embedding }) => embedding);
      expect(disagreement(got, tensor('embedding').data.subarray(0, 3 * 384), TOLERANCE)).toBe('');
      const { stdout } = await farfield(...args);
      expect(stdout).toContain(golden.cosine[0]?.[1]?.toFixed(3) ?? 'a cosine');
      expect(stdout).toContain('3 vectors of 384 numbers');
    } finally {
      await rm(folder, { recursive: true });
    }
  });

  it('reads a text of three times its positions in one pass, with a window and repeated positions', async () => {
    const text = 'The whale dives and the ship follows. '.repeat(180);
    await expect(embed({ encoder, texts: [text] })).rejects.toThrow('tokens and the model 512 positions');
    await using near = await loadEncoder(FOLDER, { pattern: window(32), positions: 'repeat' });
    const { tokens, embeddings } = await embed({
      encoder: near,
      texts: [text, golden.texts[0] ?? '', golden.texts[2] ?? ''],
    });
    expect(tokens[0]).toBeGreaterThan(3 * 512);
    const cosine = (a: number, b: number) =>
      (embeddings[a] ?? new Float32Array()).reduce((sum, x, d) => sum + x * (embeddings[b]?.[d] ?? 0), 0);
    expect(cosine(0, 0)).toBeCloseTo(1, 5);
    // A text on whales and ships stays nearer to the sentence on them than to one on revenue.
    expect(cosine(0, 1)).toBeGreaterThan(cosine(0, 2) + 0.2);
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
