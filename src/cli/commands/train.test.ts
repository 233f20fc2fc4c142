import { execFile } from 'node:child_process';
import { mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { memorySource, openSafetensors, readFloat32, writeSafetensors } from '../../checkpoint/index.ts';
import { gptAsLlama } from '../../model/gpt-llama.ts';
import { createGpt } from '../../model/index.ts';
import { runCommandLine } from '../program.ts';

describe('farfield train', () => {
  let folder = '';
  beforeEach(async () => {
    folder = await mkdtemp(join(tmpdir(), 'farfield-'));
    // Every byte follows from the one before: a line of letters again and again.
    writeFileSync(join(folder, 'text.txt'), 'abcdefgh'.repeat(500));
  });
  afterEach(() => rm(folder, { recursive: true }));

  const config = {
    model: { kind: 'gpt', hiddenSize: 16, layers: 2, heads: 2, context: 64, patterns: ['window:8', { kind: 'dense' }] },
    data: { kind: 'bytes', files: ['text.txt'], heldOut: 0.1, splitBy: 'range' },
    optimizer: { kind: 'adamw', weightDecay: 0.1 },
    schedule: { shape: 'cosine', learningRate: 0.02, warmUp: 5 },
    steps: 40,
    average: 0.9,
    saveEvery: 10,
    folder: 'run',
  };
  const write = (value: unknown, name = 'train.json'): string => {
    const path = join(folder, name);
    writeFileSync(path, typeof value === 'string' ? value : JSON.stringify(value));
    return path;
  };
  const farfield = async (...args: string[]): Promise<{ code: number; stdout: string; stderr: string }> => {
    let [stdout, stderr] = ['', ''];
    const code = await runCommandLine(['train', ...args], {
      stdout: { write: (text) => (stdout += text) },
      stderr: { write: (text) => (stderr += text) },
    });
    return { code, stdout, stderr };
  };
  const weights = (run: string, step: string) => readFileSync(join(folder, run, step, 'model.safetensors'));

  it('learns, and goes on from a part to the same bits, whatever the threads', async () => {
    const whole = write({ ...config, folder: 'whole' }, 'whole.json');
    const { code, stdout } = await farfield(whole, '--json');
    expect(code).toBe(0);
    const result = JSON.parse(stdout);
    expect(result).toMatchObject({ step: 40, ended: 'steps', folder: join(folder, 'whole'), save: 'step-00000040' });
    // log 8 nats is what knowing the letters gives, but not their order.
    expect(result.validationLoss).toBeLessThan(Math.log(8));
    expect(readdirSync(join(folder, 'whole')).sort()).toEqual([
      ...['log.jsonl', 'loss.svg', 'step-00000030', 'step-00000040'],
    ]);
    expect(readFileSync(join(folder, 'whole', 'loss.svg'), 'utf8')).toContain('loss in nats');

    const parts = write(config);
    expect(await farfield(parts, '--steps', '13', '--threads', '1')).toMatchObject({
      code: 0,
      stderr: expect.stringMatching(/13 steps to do/),
    });
    const refused = await farfield(parts);
    expect(refused).toMatchObject({ code: 1, stdout: '' });
    expect(refused.stderr).toContain('has a training in it (step-00000013): resume it, or choose another folder');
    const resumed = await farfield(parts, '--resume', '--threads', '3');
    expect(resumed.code).toBe(0);
    expect(resumed.stderr).toContain('going on from step-00000013');
    expect(resumed.stderr).toContain('settings that are not those of the save: steps\n');
    expect(weights('run', 'step-00000040')).toEqual(weights('whole', 'step-00000040'));
  });

  it.each([
    ['is not JSON', '{'],
    ['configuration: it must be a JSON object', '[]'],
    ['configuration: stepps is not a field', { ...config, stepps: 3 }],
    ['configuration: steps is 0; it must be a whole number from 1', { ...config, steps: 0 }],
    ['configuration: model.layers is missing', { ...config, model: { ...config.model, layers: undefined } }],
    ['unknown word "windw"', { ...config, model: { ...config.model, patterns: ['windw:3'] } }],
    ['heads (3) must divide hiddenSize (16)', { ...config, model: { ...config.model, heads: 3 } }],
    ['optimizer.kind is "adam"; it must have a kind: one of adamw', { ...config, optimizer: { kind: 'adam' } }],
    ['optimizer.beta1 is not a field', { ...config, optimizer: { kind: 'sgd', beta1: 1 } }],
    ['data.kind is "bytes"; a checkpoint reads', { ...config, model: { kind: 'checkpoint', path: 'x', context: 8 } }],
    ['data.tokenizer is missing', { ...config, data: { ...config.data, kind: 'text' } }],
    [
      'model.kind is "bert"; it must have a kind: gpt, masked, classifier, vit or checkpoint',
      { ...config, model: { kind: 'bert' } },
    ],
    ['adamw: beta1 is 1', { ...config, optimizer: { kind: 'adamw', beta1: 1 } }],
    ['absent: there is no such file or folder', { ...config, data: { ...config.data, files: ['absent'] } }],
    ['nothing is held out', { ...config, data: { ...config.data, heldOut: 0 }, evaluateEvery: 5 }],
  ])('says %s', async (message, value) => {
    const { code, stdout, stderr } = await farfield(write(value));
    expect({ code, stdout }).toEqual({ code: 1, stdout: '' });
    expect(stderr).toContain(message);
    expect(stderr).not.toContain('    at ');
    expect(readdirSync(folder).sort()).toEqual(['text.txt', 'train.json']);
  });

  it('begins with what an earlier training ended with', async () => {
    await farfield(write({ ...config, steps: 20 }));
    const average = readFileSync(join(folder, 'run', 'step-00000020', 'average.safetensors'));
    const second = { ...config, model: { ...config.model, context: 128, begin: 'run' }, folder: 'second' };
    // A rate of zero leaves the weights as they are.
    const still = { ...second, schedule: { shape: 'constant', learningRate: 0 }, steps: 1 };
    expect(await farfield(write(still, 'second.json'))).toMatchObject({ code: 0 });
    const [first, begun] = await Promise.all(
      [average, weights('second', 'step-00000001')].map(async (bytes) => {
        const checkpoint = await openSafetensors(memorySource(bytes, 'weights'));
        return readFloat32(checkpoint, 'layers.1.qkv');
      }),
    );
    expect(begun).toEqual(first);
    // A table of matches may be new: it begins with zeros, which change nothing.
    const matching = { ...still, model: { ...still.model, matches: [2, 4] }, folder: 'third' };
    expect(await farfield(write(matching, 'third.json'))).toMatchObject({ code: 0 });
    const table = await openSafetensors(memorySource(weights('third', 'step-00000001'), 'weights'));
    expect(new Set(await readFloat32(table, 'matches'))).toEqual(new Set([0]));
    expect(table.info('matches').shape).toEqual([2 * 259, config.model.hiddenSize]);
    const lost = await farfield(write({ ...still, model: { ...still.model, begin: 'nowhere' } }, 'lost.json'));
    expect(lost).toMatchObject({ code: 1 });
    expect(lost.stderr).toContain('nowhere: there is no save in it');
  });

  it('refuses an empty data set', async () => {
    writeFileSync(join(folder, 'text.txt'), '');
    expect((await farfield(write(config))).stderr).toMatch(/farfield: .*(empty|no byte)/);
  });

  it('says which file is missing', async () => {
    expect((await farfield(join(folder, 'no.json'))).stderr).toContain('there is no such file');
  });

  it('trains a checkpoint on text with its tokenizer, into saves that open as checkpoints', async () => {
    const sizes = { vocabularySize: 9, hiddenSize: 16, layers: 2, heads: 2, context: 128 };
    const gpt = { ...sizes, activation: 'swiglu', normalization: 'rms' } as const;
    await using model = await createGpt(gpt, { seed: 4 });
    const llama = gptAsLlama(gpt, model.parameters);
    const start = join(folder, 'start');
    mkdirSync(start);
    const tensors = [...llama.tensors].map(([name, tensor]) => ({ name, ...tensor }));
    writeFileSync(join(start, 'model.safetensors'), Buffer.concat([...writeSafetensors(tensors)]));
    const tokenizer = {
      pre_tokenizer: { type: 'ByteLevel', add_prefix_space: false, use_regex: true },
      model: { type: 'BPE', vocab: Object.fromEntries([...'abcdefgh'].map((letter, id) => [letter, id])), merges: [] },
      decoder: { type: 'ByteLevel' },
      added_tokens: [{ id: 8, content: '<end>', special: true }],
    };
    const json = { config: llama.config, tokenizer, tokenizer_config: { eos_token: '<end>' } };
    for (const [name, value] of Object.entries(json)) writeFileSync(join(start, `${name}.json`), JSON.stringify(value));

    const path = write({
      ...config,
      model: { kind: 'checkpoint', path: 'start', context: 64, pattern: 'sinks:2+window:16' },
      data: { ...config.data, kind: 'text' },
    });
    expect(await farfield(path, '--steps', '20')).toMatchObject({ code: 0 });
    const { code, stdout } = await farfield(path, '--resume', '--json');
    expect(code).toBe(0);
    const result = JSON.parse(stdout);
    expect(result).toMatchObject({ step: 40, resumed: 'step-00000020' });

    const perplexityOf = async (checkpoint: string): Promise<number> => {
      const args = [
        'perplexity',
        '--model',
        checkpoint,
        '--text',
        join(folder, 'text.txt'),
        '--length',
        '100',
        '--json',
      ];
      let stdout = '';
      const streams = { stdout: { write: (text: string) => (stdout += text) }, stderr: { write: () => true } };
      expect(await runCommandLine([...args, '--pattern', 'sinks:2+window:16'], streams)).toBe(0);
      return JSON.parse(stdout).perplexity;
    };
    expect(await perplexityOf(start)).toBeGreaterThan(7);
    expect(await perplexityOf(join(folder, 'run', result.save))).toBeLessThan(3);
  });

  it.skipIf(process.platform === 'win32')('saves at Ctrl-C, says so, and exits with 130', async () => {
    const path = write({ ...config, steps: 100_000, saveEvery: 50_000 });
    const program = `
      import { runCommandLine } from ${JSON.stringify(new URL('../program.ts', import.meta.url).href)};
      import { readFileSync } from 'node:fs';
      const log = () => { try { return readFileSync(${JSON.stringify(join(folder, 'run', 'log.jsonl'))}, 'utf8'); } catch { return ''; } };
      const started = setInterval(() => {
        if (!log().includes('"step":20,')) return;
        clearInterval(started);
        process.kill(process.pid, 'SIGINT');
      }, 5);
      process.exitCode = await runCommandLine(['train', ${JSON.stringify(path)}]);`;
    const [code, stderr] = await new Promise<[unknown, string]>((resolve) => {
      execFile(process.execPath, ['--input-type=module', '-e', program], (error, _, stderr) =>
        resolve([error?.code, stderr]),
      );
    });
    expect(code).toBe(130);
    const [, step] = /saved after step (\d+); go on with: farfield train \S+ --resume\n/.exec(stderr) ?? [];
    expect(Number(step)).toBeGreaterThanOrEqual(20);
    expect(stderr).toMatch(/farfield: interrupted\n$/);
    expect(readdirSync(join(folder, 'run')).sort()).toEqual([
      ...['log.jsonl', 'loss.svg', `step-${String(step).padStart(8, '0')}`],
    ]);
    const next = await farfield(path, '--resume', '--steps', String(Number(step) + 1), '--json');
    expect(JSON.parse(next.stdout)).toMatchObject({
      step: Number(step) + 1,
      resumed: `step-${String(step).padStart(8, '0')}`,
    });
  });
});
