import { writeFileSync } from 'node:fs';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { runCommandLine } from '../program.ts';

/** Configurations of models other than decoders. */
describe('farfield train', () => {
  let folder = '';
  beforeEach(async () => {
    folder = await mkdtemp(join(tmpdir(), 'farfield-'));
  });
  afterEach(() => rm(folder, { recursive: true }));

  const layers = { hiddenSize: 16, layers: 2, heads: 2 };
  const common = {
    schedule: { shape: 'constant', learningRate: 0.02 },
    steps: 30,
    folder: 'run',
  };
  const farfield = async (config: unknown): Promise<{ code: number; stdout: string; stderr: string }> => {
    const path = join(folder, 'train.json');
    writeFileSync(path, JSON.stringify(config));
    let [stdout, stderr] = ['', ''];
    const code = await runCommandLine(['train', path, '--json', '--threads', '1'], {
      stdout: { write: (text) => (stdout += text) },
      stderr: { write: (text) => (stderr += text) },
    });
    return { code, stdout, stderr };
  };
  const writeLines = (lines: readonly unknown[]) =>
    writeFileSync(join(folder, 'lines.jsonl'), `${lines.map((line) => JSON.stringify(line)).join('\n')}\n`);

  it('learns classes of texts from JSON lines', async () => {
    // The class is whether some of the letters, anywhere, are an x.
    writeLines(
      Array.from({ length: 60 }, (_, i) => {
        const letters = [...'abcdefghij'.repeat(2)].map((_, j) => 'abcdefghij'[(i * 7 + j * j) % 10]);
        if (i % 2 === 1) for (let j = 0; j < 5; j++) letters[(i * 3 + 4 * j) % 20] = 'x';
        return { text: letters.join(''), label: i % 2 };
      }),
    );
    const { code, stdout, stderr } = await farfield({
      ...common,
      model: { kind: 'classifier', ...layers, context: 32, patterns: ['window:4+global:0'] },
      data: { kind: 'labelled', files: ['lines.jsonl'], sequences: 10, heldOut: 0.2 },
      evaluateEvery: 30,
    });
    expect(stderr).toContain('validation');
    expect(code).toBe(0);
    // Guessing costs log 2.
    expect(JSON.parse(stdout).validationLoss).toBeLessThan(0.5 * Math.log(2));
  });

  it('learns classes of images, under axial attention', async () => {
    // A bright row against a bright column.
    writeLines(
      Array.from({ length: 40 }, (_, i) => {
        const at = (i >> 1) % 8;
        const pixels = Array.from({ length: 64 }, (_, p) => ((i % 2 ? p % 8 : p >> 3) === at ? 250 : (p * i) % 40));
        return { pixels, label: i % 2 };
      }),
    );
    const { code, stdout } = await farfield({
      ...common,
      model: { kind: 'vit', ...layers, image: { height: 8, width: 8, patch: 2 }, attention: 'axial' },
      data: { kind: 'labelled', files: ['lines.jsonl'], sequences: 20, heldOut: 0.2 },
    });
    expect(code).toBe(0);
    expect(JSON.parse(stdout).validationLoss).toBeLessThan(0.5 * Math.log(2));
  });

  it('learns masked tokens, and a task made by code', async () => {
    writeFileSync(join(folder, 'text.txt'), 'abcdefgh'.repeat(300));
    const masked = await farfield({
      ...common,
      model: { kind: 'masked', ...layers, context: 64, patterns: ['window:8'] },
      data: { kind: 'bytes', files: ['text.txt'], rows: 512 },
      steps: 160,
    });
    expect(masked.code).toBe(0);
    // log 8 nats is what knowing the letters gives, but not their order.
    expect(JSON.parse(masked.stdout).loss).toBeLessThan(Math.log(8));
    const task = await farfield({
      ...common,
      model: { kind: 'vit', ...layers, image: { height: 32, width: 32, patch: 8 }, attention: 1 },
      data: { kind: 'task', name: 'counted-shapes', sequences: 4, trainingSize: 8, heldOutSize: 4 },
      steps: 2,
      folder: 'task',
    });
    expect(task.code).toBe(0);
    expect(JSON.parse(task.stdout)).toMatchObject({ step: 2, ended: 'steps' });
  });

  it('refuses data that does not fit the model, and lines that are not well formed', async () => {
    const classifier = { kind: 'classifier', ...layers, context: 32 };
    const labelled = { kind: 'labelled', files: ['lines.jsonl'] };
    const refusals: [unknown, unknown, string][] = [
      [classifier, { kind: 'bytes', files: ['lines.jsonl'] }, 'a model of the kind "classifier" learns classes'],
      [{ ...classifier, kind: 'gpt' }, labelled, 'data.kind is "labelled", which has classes'],
      [classifier, { kind: 'task', name: 'no-task' }, 'data.name is "no-task"; it must be one of listops,'],
      [classifier, labelled, 'lines.jsonl, line 2: must be {"text": "...", "label": 1}'],
    ];
    writeLines([{ text: 'good', label: 0 }, { text: 'bad' }]);
    for (const [model, data, message] of refusals) {
      const { code, stderr } = await farfield({ ...common, model, data });
      expect(code).toBe(1);
      expect(stderr).toContain(message);
    }
    writeLines([]);
    const { stderr } = await farfield({ ...common, model: classifier, data: labelled });
    expect(stderr).toContain('the data set is empty: there is no sequence');
  });
});
