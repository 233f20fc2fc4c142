/** `farfield sparsify` as a user runs it, on exported models and on checkpoints: positions, layers, heads, and how far outputs move. */
import { existsSync, readFileSync } from 'node:fs';
import { copyFile, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { InferenceSession, Tensor } from 'onnxruntime-node';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { writeSafetensors } from '../../src/checkpoint/index.ts';
import { extendPositions, readOnnx } from '../../src/graph/index.ts';
import { TINY_BERT, tinyBertWeights } from '../../src/model/encoder/testing.ts';
import { loadEncoder, loadLanguageModel } from '../../src/model/index.ts';
import { type Pattern, parsePattern } from '../../src/pattern/index.ts';
import { GOLDEN } from './folders.ts';
import { farfield, textOf, wordModel, wordTokenizerJson } from './word-models.ts';

const ids = (count: number, size: number) =>
  Array.from({ length: count }, (_, i) => 6 + ((i * 29 + (i >> 2)) % (size - 6)));

describe.skipIf(!existsSync(join(GOLDEN, 'onnx')))('farfield sparsify', () => {
  let folder: string;
  beforeAll(async () => {
    folder = await mkdtemp(join(tmpdir(), 'farfield-sparsify-'));
  });
  afterAll(() => rm(folder, { recursive: true }));

  /** The largest difference of two lists. */
  const largest = (a: ArrayLike<number>, b: ArrayLike<number>) => {
    expect(a.length).toBe(b.length);
    return Array.from(a).reduce((worst, x, i) => Math.max(worst, Math.abs(x - (b[i] ?? Number.NaN))), 0);
  };

  it.each([
    ['bert-sdpa-dynamo', 0],
    ['bert-eager-torchscript', 0],
    ['roberta-sdpa-opset23', 2],
    ['roberta-eager-torchscript', 2],
  ] as const)('extends the positions of %s, by reading the table again', async (name, first) => {
    const file = join(GOLDEN, 'onnx', name, 'model.onnx');
    if (!existsSync(file)) return;
    const model = await readOnnx(readFileSync(file));
    const { graph, extended } = await extendPositions(model.graph, model, 200);
    expect(extended).toMatchObject([{ from: 80 - first, to: 200 }]);
    const tableOf = async (initializers: typeof graph.initializers) =>
      (await initializers.find((own) => own.name === extended[0]?.table)?.load()) as Float32Array;
    const [before, after] = [await tableOf(model.graph.initializers), await tableOf(graph.initializers)];
    expect(after.length).toBe((200 + first) * 48);
    for (let row = 0; row < 200 + first; row++) {
      const from = row < 80 ? row : row - (80 - first) * Math.floor((row - first) / (80 - first));
      expect(largest(after.subarray(row * 48, (row + 1) * 48), before.subarray(from * 48, (from + 1) * 48))).toBe(0);
    }
    // The file runs in ONNX Runtime where the model itself fails.
    const text = join(folder, `${name}.txt`);
    await writeFile(text, textOf(ids(150, 100)));
    await copyFile(file, join(folder, `${name}.onnx`));
    await writeFile(join(folder, 'tokenizer.json'), JSON.stringify(wordTokenizerJson({ size: 100 })));
    const out = join(folder, `${name}.sparse.onnx`);
    const args = ['sparsify', '--model', join(folder, `${name}.onnx`), '--out', out, '--text', text, '--pattern'];
    const short = await farfield(...args, 'window:4');
    expect(short.code).toBe(1);
    expect(short.stderr).toContain('where 150 tokens are more than the model has positions, give --positions');
    const { code, stdout, stderr } = await farfield(...args, 'dense', '--positions', '200', '--json');
    expect({ code, stderr }).toEqual({ code: 0, stderr: '' });
    const { differences, tokens, found } = JSON.parse(stdout);
    expect([tokens, found.length]).toEqual([150, 2]);
    for (const { largestDifference } of differences) expect(largestDifference).toBeLessThan(2e-5);
    const session = await InferenceSession.create(out, { intraOpNumThreads: 1, logSeverityLevel: 3 });
    const feed = (values: number[]) => new Tensor('int64', BigInt64Array.from(values, BigInt), [1, 150]);
    const outputs = await session.run({ input_ids: feed(ids(150, 100)), attention_mask: feed(Array(150).fill(1)) });
    await session.release();
    expect(Object.values(outputs)[0]?.dims.slice(0, 2)).toEqual([1, 150]);
  });

  it('says how far a BERT checkpoint moves, with patterns by layer and head, as its encoder does', async () => {
    const weights = tinyBertWeights();
    const model = await mkdtemp(join(folder, 'bert-'));
    const tensors = [...weights].map(([name, { shape, data }]) => ({ name, shape, data }));
    await writeFile(join(model, 'model.safetensors'), await writeSafetensors(tensors));
    await writeFile(join(model, 'config.json'), JSON.stringify(TINY_BERT));
    await writeFile(join(model, 'tokenizer.json'), JSON.stringify(wordTokenizerJson({ size: 40 })));
    const text = join(folder, 'bert.html');
    await writeFile(text, `<p>${textOf(ids(30, 40))}</p>`);
    const [window, other] = ['window:3', 'global:0+window:1|dense'];
    const out = join(folder, 'bert.onnx');
    const args = ['sparsify', '--model', model, '--pattern', window, '--out', out, '--text', text, '--positions', '64'];
    const outputsOf = async (pattern?: Pattern) => {
      const options = { threads: 1, positions: 'repeat' as const };
      await using encoder = await loadEncoder(model, pattern === undefined ? options : { ...options, pattern });
      const [result] = await encoder.run({ inputIds: [ids(30, 40)], outputs: ['hidden'] });
      return result?.hidden?.data ?? new Float32Array();
    };
    for (const [words, layers] of [
      [window, []],
      [other, ['--layer', `0-1=${other}`]],
    ] as const) {
      const { code, stdout, stderr } = await farfield(...args, ...layers, '--json');
      expect({ code, stderr }).toEqual({ code: 0, stderr: '' });
      const { differences, found } = JSON.parse(stdout);
      const hidden = differences.find(({ output }: { output: string }) => output === 'last_hidden_state');
      const moved = largest(await outputsOf(), await outputsOf(parsePattern(words)));
      expect(moved).toBeGreaterThan(0.1);
      expect(Math.abs(hidden.largestDifference - moved)).toBeLessThan(1e-4);
      expect(found.map(({ pattern }: { pattern: Pattern }) => pattern)).toEqual([
        parsePattern(words),
        parsePattern(words),
      ]);
    }
    const mixed = await farfield(...args, '--layer', `1=${other}`);
    expect(mixed.stdout).toContain(
      `wrote ${out}: window:3\n\nencoder.layer.0.attention.self  attention  2 heads  window:3, and its padding\n`,
    );
    expect(mixed.stdout).toContain(
      'encoder.layer.1.attention.self  attention  2 heads  global:0+window:1|dense, and its padding\n',
    );
    expect(mixed.stdout).toMatch(/on 30 tokens +largest difference +mean cosine +least\n/);
    for (const [more, code, message] of [
      [['--layer', '2=dense'], 1, '--layer names layer 2; attention was found in 2, 0 to 1'],
      [['--layer', '2'], 2, 'It must be a layer or a range of layers and a pattern'],
      [['--layer', '0=windo:3'], 2, 'windo'],
    ] as const) {
      const refused = await farfield(...args, ...more);
      expect([refused.code, refused.stdout]).toEqual([code, '']);
      expect(refused.stderr).toContain(message);
    }
  });

  it('takes a Llama checkpoint, and refuses what is sparse already', async () => {
    const model = await wordModel('llama', join(folder, 'llama'), { size: 80 });
    const text = join(folder, 'llama.txt');
    await writeFile(text, textOf(ids(60, 80)));
    const args = ['--pattern', 'sinks:2+window:5', '--out', join(folder, 'llama.onnx'), '--text', text, '--json'];
    const { code, stdout, stderr } = await farfield('sparsify', '--model', model, ...args);
    expect({ code, stderr }).toEqual({ code: 0, stderr: '' });
    const [logits] = JSON.parse(stdout).differences;
    await using own = await loadLanguageModel(model, { threads: 1, weights: 'f32' });
    const rows: Float32Array[][] = [];
    for (const pattern of [parsePattern('dense'), parsePattern('sinks:2+window:5')]) {
      const stream = own.stream({ pattern, positions: 'given' });
      const each: Float32Array[] = [];
      for (const id of ids(60, 80)) each.push(await stream.logits([id]));
      rows.push(each);
    }
    const moved = Math.max(...(rows[0] ?? []).map((row, i) => largest(row, rows[1]?.[i] ?? [])));
    expect(moved).toBeGreaterThan(0.1);
    expect(Math.abs(logits.largestDifference - moved)).toBeLessThan(1e-3);
    const longformer = await wordModel('longformer-model', join(folder, 'longformer'), { size: 90 });
    const refused = await farfield('sparsify', '--model', longformer, ...args);
    expect(refused.code).toBe(1);
    expect(refused.stderr).toContain('its attention is sparse already');
  });
});
