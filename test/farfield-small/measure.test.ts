import { execFile, execFileSync } from 'node:child_process';
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { deflateRawSync } from 'node:zlib';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { fromStorage, toStorage } from '../../src/attention/index.ts';
import { runCommandLine } from '../../src/cli/program.ts';
import {
  createGpt,
  type GptConfig,
  gptCheckpoint,
  gptSpecifications,
  loadLanguageModel,
} from '../../src/model/index.ts';
import { parsePattern } from '../../src/pattern/index.ts';
import { byteVocabulary, savedWeights, saveFolder } from '../../src/train/index.ts';

const scripts = fileURLToPath(new URL('../../training/farfield-small', import.meta.url));
const START: number = byteVocabulary.documentEnd;
const CONTEXT = 64;
const PATTERN = 'sinks:2+window:16|sinks:2+window:8/4';

/** The model of sixth.json, but small. */
const SIZES = {
  hiddenSize: 16,
  layers: 2,
  heads: 2,
  context: CONTEXT,
  activation: 'swiglu',
  normalization: 'rms',
  normEpsilon: 0.00001,
} as const;
const MODEL = { kind: 'gpt', ...SIZES, patterns: [PATTERN] };
const GPT: GptConfig = {
  ...SIZES,
  patterns: [parsePattern(PATTERN)],
  matches: [2, 4],
  vocabularySize: byteVocabulary.size,
};
const TRAINING = {
  data: { kind: 'bytes', files: ['text.txt'], rows: CONTEXT, heldOut: 0.1, splitBy: 'range' },
  optimizer: { kind: 'adamw', weightDecay: 0.1, beta2: 0.98 },
  schedule: { shape: 'linear', learningRate: 0.02, warmUp: 2 },
  steps: 8,
  clip: 1,
  average: 0.5,
  checkpoint: 'none',
};

/** What is measured: 3 sequences of the context and a rest, with repetitions, and characters of several bytes. */
const TEXT = `${'Call me Ishmael. Some years ago, never mind how long precisely, '.repeat(2)}${'naïve – '.repeat(9)}`;

describe('the scripts of farfield-small', () => {
  let folder = '';
  const path = (name: string) => join(folder, name);
  const script = async (name: string, ...args: string[]) =>
    (await promisify(execFile)(process.execPath, [join(scripts, name), ...args])).stdout;

  beforeAll(async () => {
    folder = await mkdtemp(join(tmpdir(), 'farfield-small-'));
    await writeFile(path('text.txt'), 'abcdefgh'.repeat(400));
    await writeFile(path('measured.txt'), TEXT);
    // As the parts of farfield-small: one begins with the average of another's weights, and has matches.
    for (const [name, part] of [
      ['first', { model: MODEL, ...TRAINING, folder: 'first' }],
      ['second', { model: { ...MODEL, begin: 'first', matches: GPT.matches }, ...TRAINING, folder: 'second' }],
    ] as const) {
      await writeFile(path(`${name}.json`), JSON.stringify(part));
      const quiet = { write: () => undefined };
      expect(await runCommandLine(['train', path(`${name}.json`)], { stdout: quiet, stderr: quiet })).toBe(0);
    }
    const written = await script('export.ts', '--from', path('second.json'), '--to', path('exported'));
    expect(written).toBe(`${path('exported')}\n`);
  });
  afterAll(() => rm(folder, { recursive: true }));

  /** The columns of the one line that measure.ts prints. */
  async function measured(...args: string[]) {
    const line = await script('measure.ts', ...args, path('measured.txt'));
    const [file, bytes, own = '', xz = '', gzip = '', ...others] = line.trimEnd().split('  ');
    expect([file, others]).toEqual(['measured.txt', [expect.stringMatching(/^\d+ bytes\/s$/)]]);
    return { bytes, own, xz, gzip };
  }

  it('measure what log probabilities of the exported model say of a text, read byte after byte', async () => {
    await using model = await loadLanguageModel(path('exported'));
    const stream = model.stream({ positions: 'given' });
    let bits = 0;
    let before = START;
    for (const byte of Buffer.from(TEXT)) {
      const logits = Array.from(await stream.logits([before]));
      const most = Math.max(...logits);
      const total = logits.reduce((sum, logit) => sum + Math.exp(logit - most), 0);
      bits -= ((logits[byte] ?? Number.NaN) - most - Math.log(total)) / Math.LN2;
      before = byte;
    }
    const size = Buffer.byteLength(TEXT);
    const { bytes, own, xz, gzip } = await measured('--model', path('exported'));
    expect(bytes).toBe(`${size} bytes`);
    expect(own).toMatch(/^\d\.\d{3} exported$/);
    expect(Math.abs(Number.parseFloat(own) - bits / size)).toBeLessThan(0.0006);
    const packed = execFileSync('xz', ['-9', '--stdout', path('measured.txt')]).length;
    expect(xz).toBe(`${((8 * packed) / size).toFixed(3)} xz -9`);
    // RFC 1952: a head of 10 bytes and a tail of 8 around deflated data.
    const deflated = deflateRawSync(TEXT, { level: 9 }).length + 18;
    expect(gzip).toBe(`${((8 * deflated) / size).toFixed(3)} gzip -9`);
  });

  it('export the average of the weights in f16, and measure windows as the loss of training does', async () => {
    const average = await savedWeights(await saveFolder(path('second')), { average: 'preferred' });
    const last = await savedWeights(await saveFolder(path('second')), { average: false });
    expect(average.get('embedding')).not.toEqual(last.get('embedding'));
    expect(average.get('matches')?.some((weight) => Math.abs(weight) > 0.001)).toBe(true);
    const rounded = [...average].map(([name, data]) => [name, fromStorage(toStorage(data, 'f16'), 'f16')] as const);
    const bytes = [...Buffer.from(TEXT)].slice(0, 3 * CONTEXT - 5);
    await using gpt = await createGpt(GPT, { weights: new Map(rounded) });
    const { loss } = await gpt.evaluate({
      inputs: Int32Array.from(bytes, (_, i) => (i % CONTEXT === 0 ? START : (bytes[i - 1] ?? 0))),
      targets: Int32Array.from(bytes),
      weights: new Float32Array(bytes.length).fill(1),
      starts: Int32Array.of(0, CONTEXT, 2 * CONTEXT),
    });
    const { own } = await measured('--model', path('exported'), '--windows', '--length', String(bytes.length));
    expect(Math.abs(Number.parseFloat(own) - loss / Math.LN2)).toBeLessThan(0.0006);
  });

  it('measure log2 of the vocabulary where all weights are zero', async () => {
    await mkdir(path('zeros'));
    const zeros = gptSpecifications(GPT).map(({ name, shape }) => {
      return { name, shape, data: new Float32Array(shape.reduce((product, side) => product * side, 1)) };
    });
    for (const [name, pieces] of gptCheckpoint(GPT, zeros, { storage: 'f16' }))
      await writeFile(join(path('zeros'), name), Buffer.concat([...pieces]));
    const { own } = await measured('--model', path('zeros'), '--length', '50');
    expect(own).toBe(`${Math.log2(byteVocabulary.size).toFixed(3)} zeros`);
  });
});
