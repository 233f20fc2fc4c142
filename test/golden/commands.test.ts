/** The commands on a real model, from text in to text out, against the figures beside the model. */
import { existsSync } from 'node:fs';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { openGguf } from '../../src/checkpoint/index.ts';
import { fileSource } from '../../src/checkpoint/node.ts';
import { runCommandLine } from '../../src/cli/program.ts';
import { type Tokenizer, tokenizerFromGguf } from '../../src/text/index.ts';
import { MODELS, readJson, readTensors } from './folders.ts';

const FOLDER = join(MODELS, 'smollm2-135m-instruct');
const FILE = join(FOLDER, 'model.gguf');

interface Golden {
  readonly dense_float32_spread: number;
  readonly greedy: { readonly dense: { readonly prompt_ids: number[]; readonly ids: number[]; readonly text: string } };
}

async function farfield(...args: string[]): Promise<{ code: number; stdout: string; stderr: string }> {
  let [stdout, stderr] = ['', ''];
  const code = await runCommandLine(args, {
    stdout: { columns: 80, write: (text) => (stdout += text) },
    stderr: { columns: 80, write: (text) => (stderr += text) },
  });
  return { code, stdout, stderr };
}

describe.skipIf(!existsSync(FILE))('commands on SmolLM2-135M-Instruct', () => {
  const golden = existsSync(FILE) ? readJson<Golden>(FOLDER, 'golden.json') : undefined;
  let folder: string;
  let tokenizer: Tokenizer;
  beforeAll(async () => {
    folder = await mkdtemp(join(tmpdir(), 'farfield-'));
    const source = await fileSource(FILE);
    tokenizer = tokenizerFromGguf((await openGguf(source)).metadata, FILE);
    await source.close?.();
  });
  afterAll(() => rm(folder, { recursive: true }));

  it('generate continues the prompt as the reference does', async () => {
    const want = golden?.greedy.dense;
    const prompt = join(folder, 'prompt.txt');
    await writeFile(prompt, tokenizer.decode(want?.prompt_ids ?? []));
    const count = String(want?.ids.length);
    const args = ['--model', FILE, '--prompt-file', prompt, '--max-tokens', count, '--weights', 'f32'];
    const asJson = await farfield('generate', ...args, '--json');
    expect(asJson.code).toBe(0);
    const { ids, text, promptTokens } = JSON.parse(asJson.stdout);
    expect(promptTokens).toBe(want?.prompt_ids.length);
    // The reference went on after the end of the text; the command stops there.
    const end = (want?.ids.indexOf(tokenizer.eosToken ?? -1) ?? 0) + 1;
    expect(end).toBeGreaterThan(20);
    expect(ids).toEqual(want?.ids.slice(0, end));
    const streamed = await farfield('generate', ...args);
    expect(streamed.stdout).toBe(`${text}\n`);
    expect(want?.text.startsWith(text)).toBe(true);
    expect(text.length).toBeGreaterThan(100);
  });

  it('perplexity is that of the reference’s losses', async () => {
    const tensor = await readTensors(FOLDER, 'golden.safetensors');
    const ids = [...tensor('ids').data].slice(0, 700);
    const length = 512;
    const text = tokenizer.decode(ids);
    expect([...tokenizer.encode(text)].slice(0, length)).toEqual(ids.slice(0, length));
    const book = join(folder, 'book.txt');
    await writeFile(book, text);
    const args = ['--model', FILE, '--text', book, '--length', String(length), '--weights', 'f32', '--json'];
    const { code, stdout } = await farfield('perplexity', ...args);
    expect(code).toBe(0);
    const losses = [...tensor('nll.dense').data].slice(0, length - 1);
    const want = Math.exp(losses.reduce((sum, loss) => sum + loss, 0) / losses.length);
    const tenth = losses.slice(losses.length - Math.ceil(losses.length / 10));
    const result = JSON.parse(stdout);
    expect(result.tokens).toBe(length);
    expect(Math.abs(Math.log(result.perplexity / want))).toBeLessThan(10 * (golden?.dense_float32_spread ?? 0));
    const wantTenth = Math.exp(tenth.reduce((sum, loss) => sum + loss, 0) / tenth.length);
    expect(Math.abs(Math.log(result.perplexityLastTenth / wantTenth))).toBeLessThan(
      10 * (golden?.dense_float32_spread ?? 0),
    );
    expect(result.tokensPerSecond).toBeGreaterThan(0);
    expect(result.peakMemoryBytes).toBeGreaterThan(100e6);
  });

  it.each([
    [['perplexity', '--model', 'nowhere.gguf', '--text', 'nowhere.txt'], 'nowhere.txt'],
    [['perplexity', '--model', FILE, '--text', FILE], 'UTF-8 is expected'],
    [['generate', '--model', FILE], 'give one of --prompt, --prompt-file and --messages'],
    [['generate', '--model', FILE, '--prompt', 'a', '--pattern', 'widow:3'], 'did you mean "window"?'],
  ])('%j fails with a line that says why', async (args, message) => {
    const { code, stdout, stderr } = await farfield(...args);
    expect({ code, stdout }).toEqual({ code: 1, stdout: '' });
    expect(stderr).toContain(message);
  });
});
