/** Classification and question answering on LED and BigBird-Pegasus, against transformers, and the commands on them. */
import { existsSync } from 'node:fs';
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { InferenceSession, Tensor } from 'onnxruntime-node';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { writeSafetensors } from '../../src/checkpoint/index.ts';
import { openCheckpoint } from '../../src/checkpoint/node.ts';
import { loadHeadModel, loadSeq2Seq } from '../../src/model/index.ts';
import { disagreement, GOLDEN, readJson, readTensors } from './folders.ts';
import { farfield, textOf, wordTokenizerJson } from './word-models.ts';

const TOLERANCE = { atol: 1e-4, rtol: 1e-5 };

/**
 * What transformers 4.46.3 (torch 2.5.1, float32, eager attention) gives for LEDForSequenceClassification and so on, with the weights of
 * golden/hf, heads filled by head() below and the inputs of inputsOf(). Of an answer's ends every seventh logit of the tokens that count.
 */
const PUBLISHED = {
  led: {
    className: 'LED',
    prefix: 'led',
    width: 40,
    end: 2,
    classes: [
      [0.432162, -0.909719, 3.482264],
      [0.521999, -2.090903, 2.461002],
    ],
    starts: [
      [4.21564, 3.97991, 4.00224, -0.27949],
      [1.85236, 2.1283, 2.4082],
    ],
    ends: [
      [-0.5753, -1.8029, 4.28568, -1.69285],
      [2.33861, 3.45078, 4.61334],
    ],
  },
  'bigbird-pegasus': {
    className: 'BigBirdPegasus',
    prefix: 'model',
    width: 32,
    end: 1,
    classes: [
      [0.113281, -3.069531, 1.428552],
      [-1.508266, 4.165791, 0.229563],
    ],
    // biome-ignore format: a table
    starts: [
      [7.14063, -0.60413, -2.41351, 2.7277, -6.06893, 4.45621, -0.77249, -1.31113, 0.98164, 2.73358, 2.13655, 2.01094, -1.61638, 1.01632, -6.61128, -1.79542, -0.91893, 1.31564, 1.5602, -3.4777, -2.92153, 2.97326],
      [6.82454, -4.09343, -1.50039, 2.34383, 4.04386, 2.61263, 2.57635, -0.99878, 0.3009, 2.17445, -7.31379, 6.09738, 3.34702, 3.08037, -3.2846, -1.47427, 0.68064, 2.69849],
    ],
    // biome-ignore format: a table
    ends: [
      [-2.94716, 3.00399, 1.47491, -4.70306, -0.63531, -0.86067, -2.43179, -3.60742, -2.65853, -3.7362, 4.7778, -1.57684, 1.30981, 0.39794, 1.36688, -0.0668, -2.99524, 3.86459, 0.52981, -4.89297, -2.03904, -3.4503],
      [-3.21635, -4.35063, 4.08437, -0.0454, 3.02491, 1.50866, -3.08621, -4.14889, -1.83596, 3.8436, 1.45741, -5.4275, -1.92439, -0.66881, -3.5498, 3.79015, 1.29044, 2.02715],
    ],
  },
} as const;

type Name = keyof typeof PUBLISHED;
const NAMES = Object.keys(PUBLISHED) as Name[];

/** A tensor of a head: small numbers without a pattern, the same in Python. */
function head(name: string, ...shape: number[]) {
  const length = shape.reduce((product, side) => product * side, 1);
  return { name, shape, data: Float32Array.from({ length }, (_, i) => (((i * 37) % 101) - 50) / 60) };
}

const HEADS = {
  SequenceClassification: (width: number) => [
    head('classification_head.dense.weight', width, width),
    head('classification_head.dense.bias', width),
    head('classification_head.out_proj.weight', 3, width),
    head('classification_head.out_proj.bias', 3),
  ],
  QuestionAnswering: (width: number) => [head('qa_outputs.weight', 2, width), head('qa_outputs.bias', 2)],
};

/** Two sequences, the second padded, with an end token within each and another before its last token. */
async function inputsOf(name: Name) {
  const io = await readTensors(GOLDEN, 'hf', name, 'io.safetensors');
  const { end } = PUBLISHED[name];
  const { data, shape } = io('input_ids');
  const [, stored = 0] = shape;
  const length = name === 'led' ? 24 : stored;
  const inputIds: number[][] = [];
  const attentionMask: number[][] = [];
  for (const row of [0, 1]) {
    const kept = (numbers: ArrayLike<number>) => Array.from(numbers).slice(row * stored, row * stored + length);
    const mask = kept(io('attention_mask').data);
    const ids = kept(data).map((id) => (id === end ? 7 : id));
    if (name === 'led' && row === 1) {
      mask.fill(0, 19);
      ids.fill(1, 19);
    }
    const last = mask.lastIndexOf(1);
    ids[3] = end;
    ids[last - 1] = end;
    inputIds.push(ids);
    attentionMask.push(mask);
  }
  const globals = [
    [0, 20],
    [0, 5],
  ].map((places) => Array.from({ length }, (_, i) => Number(places.includes(i))));
  return { inputIds, attentionMask, ...(name === 'led' ? { globalAttentionMask: globals } : {}) };
}

describe.skipIf(!existsSync(join(GOLDEN, 'hf')))('heads of encoder-decoders', () => {
  let folder: string;
  beforeAll(async () => {
    folder = await mkdtemp(join(tmpdir(), 'farfield-heads-'));
    for (const name of NAMES) for (const kind of Object.keys(HEADS) as (keyof typeof HEADS)[]) await make(name, kind);
  });
  afterAll(() => rm(folder, { recursive: true }));

  const pathOf = (name: Name, kind: keyof typeof HEADS) => join(folder, `${name}-${kind}`);

  /** A folder as save_pretrained() writes it, with a tokenizer of words. */
  async function make(name: Name, kind: keyof typeof HEADS): Promise<void> {
    const { className, prefix, width, end } = PUBLISHED[name];
    const { checkpoint } = await openCheckpoint(join(GOLDEN, 'hf', name));
    const stored = await readTensors(GOLDEN, 'hf', name, 'model.safetensors');
    const body = checkpoint.names().filter((own) => own.startsWith(`${prefix}.`));
    await checkpoint.close();
    const tensors = [...body.map((own) => ({ name: own, ...stored(own) })), ...HEADS[kind](width)];
    const path = pathOf(name, kind);
    await mkdir(path);
    await writeFile(join(path, 'model.safetensors'), writeSafetensors(tensors));
    const config = {
      ...readJson<object>(GOLDEN, 'hf', name, 'config.json'),
      architectures: [`${className}For${kind}`],
    };
    await writeFile(join(path, 'config.json'), JSON.stringify(config));
    const tokenizer = wordTokenizerJson({ size: 100, single: ['A', end], pair: ['A', end, 'B', end] });
    await writeFile(join(path, 'tokenizer.json'), JSON.stringify(tokenizer));
  }

  it.each(NAMES)('%s tells classes from its last end token as transformers does', async (name) => {
    await using model = await loadHeadModel(pathOf(name, 'SequenceClassification'), { threads: 1 });
    expect(model.task).toBe('sequenceClassification');
    const steps: number[] = [];
    const input = await inputsOf(name);
    const run = (rowsTogether: number) =>
      model.run({ ...input, outputs: ['head'], rowsTogether, onProgress: (done, total) => steps.push(done / total) });
    for (const rowsTogether of [1, 1000]) {
      const results = await run(rowsTogether);
      for (const [i, want] of PUBLISHED[name].classes.entries()) {
        expect(results[i]?.logits?.shape).toEqual([3]);
        expect(disagreement(results[i]?.logits?.data ?? [], want, TOLERANCE)).toBe('');
      }
      expect(steps).toEqual([...steps].sort((a, b) => a - b));
      expect(steps.splice(0).at(-1)).toBe(1);
    }
  });

  it.each(NAMES)('%s tells where answers begin and end as transformers does', async (name) => {
    await using model = await loadHeadModel(pathOf(name, 'QuestionAnswering'), { threads: 1 });
    const input = await inputsOf(name);
    const results = await model.run({ ...input, outputs: ['head'] });
    for (const [i, { startLogits = [], endLogits = [] }] of results.entries()) {
      const counted = input.attentionMask[i]?.lastIndexOf(1) ?? 0;
      const some = (logits: ArrayLike<number>) => Array.from(logits).filter((_, j) => j <= counted && j % 7 === 0);
      expect(disagreement(some(startLogits), PUBLISHED[name].starts[i] ?? [], TOLERANCE)).toBe('');
      expect(disagreement(some(endLogits), PUBLISHED[name].ends[i] ?? [], TOLERANCE)).toBe('');
      expect(startLogits.length).toBe(input.inputIds[i]?.length);
    }
  });

  it.each(NAMES)('%s, exported to ONNX, gives what transformers gives', async (name) => {
    const input = await inputsOf(name);
    const { classes, starts, ends } = PUBLISHED[name];
    const names = ['input_ids', 'attention_mask', ...(name === 'led' ? ['global_attention_mask'] : [])];
    for (const kind of ['SequenceClassification', 'QuestionAnswering'] as const) {
      const file = join(folder, `${name}-${kind}.onnx`);
      const { code, stdout, stderr } = await farfield('export', '--model', pathOf(name, kind), '--out', file, '--json');
      const isClassifier = kind === 'SequenceClassification';
      expect({ code, stderr }).toEqual({ code: 0, stderr: '' });
      const outputs = isClassifier ? ['logits'] : ['start_logits', 'end_logits'];
      expect(JSON.parse(stdout)).toMatchObject({ files: [file], inputs: names, outputs });
      const session = await InferenceSession.create(file, { intraOpNumThreads: 1, logSeverityLevel: 4 });
      const int64 = (rows: number[][]) =>
        new Tensor('int64', BigInt64Array.from(rows.flat(), BigInt), [rows.length, rows[0]?.length ?? 0]);
      const lists = [input.inputIds, input.attentionMask, input.globalAttentionMask ?? []];
      const feeds = (from: readonly number[][][]) => names.map((own, i) => [own, int64(from[i] ?? [])]);
      try {
        const results = await session.run(Object.fromEntries(feeds(lists)));
        const rowOf = (output: string, row: number) => {
          const { data, dims } = results[output] as Tensor;
          const width = dims[1] ?? 0;
          return Array.from(data as Float32Array).slice(row * width, (row + 1) * width);
        };
        // The LED's decoder has 24 positions, its encoder 96; both of the BigBird-Pegasus have 160.
        const [length, table] = name === 'led' ? [25, 'decoder.embed_positions'] : [161, 'embed_positions'];
        const long = lists.map((rows) => rows.map((row) => Array.from({ length }, (_, i) => row[i % row.length] ?? 0)));
        await expect(session.run(Object.fromEntries(feeds(long)))).rejects.toThrow(table);
        if (isClassifier) {
          expect(results.logits?.dims).toEqual([2, 3]);
          for (const [i, want] of classes.entries()) {
            expect(disagreement(rowOf('logits', i), want, TOLERANCE)).toBe('');
          }
          // A text without an end token has no class.
          const without = [(lists[0] ?? []).map((row, i) => (i === 0 ? row : row.map(() => 7))), ...lists.slice(1)];
          await expect(session.run(Object.fromEntries(feeds(without)))).rejects.toThrow('last_end_token_of_each_text');
          continue;
        }
        for (const [i, mask] of input.attentionMask.entries()) {
          const counted = mask.lastIndexOf(1);
          const some = (output: string) => rowOf(output, i).filter((_, j) => j <= counted && j % 7 === 0);
          expect(disagreement(some('start_logits'), starts[i] ?? [], TOLERANCE)).toBe('');
          expect(disagreement(some('end_logits'), ends[i] ?? [], TOLERANCE)).toBe('');
        }
      } finally {
        await session.release();
      }
    }
  });

  it.each(NAMES)('classify and ask: the commands on %s give what the heads say', async (name) => {
    const { end } = PUBLISHED[name];
    const { inputIds } = await inputsOf(name);
    const words = (inputIds[0] ?? []).filter((id) => id !== end).slice(0, 18);
    const file = join(folder, `${name}.txt`);
    await writeFile(file, textOf(words));
    const softmax = (logits: readonly number[]) => {
      const total = logits.reduce((sum, x) => sum + Math.exp(x), 0);
      return logits.map((x) => Math.exp(x) / total);
    };

    const classifier = pathOf(name, 'SequenceClassification');
    const { stdout } = await farfield('classify', '--model', classifier, '--text', file, '--threads', '1', '--json');
    const [{ classes, tokens }] = JSON.parse(stdout).texts;
    expect(tokens).toBe(words.length + 1);
    await using model = await loadHeadModel(classifier, { threads: 1 });
    const ids = [...words, end];
    const first = { globalAttentionMask: [ids.map((_, i) => Number(i === 0))] };
    const [result] = await model.run({ inputIds: [ids], ...(model.hasGlobals ? first : {}), outputs: ['head'] });
    const shares = softmax([...(result?.logits?.data ?? [])]);
    for (const { label, score } of classes) {
      expect(score).toBeCloseTo(shares[Number(label.replace('LABEL_', ''))] ?? Number.NaN, 5);
    }

    const reader = pathOf(name, 'QuestionAnswering');
    const asked = await farfield(
      ...['ask', '--model', reader, '--text', file, '--question', 'w8 w9', '--threads', '1', '--json'],
    );
    const { answers, windows } = JSON.parse(asked.stdout);
    expect(windows).toBe(1);
    await using answering = await loadHeadModel(reader, { threads: 1 });
    const pair = [8, 9, end, ...words, end];
    const question = { globalAttentionMask: [pair.map((_, i) => Number(i < 2))] };
    const [logits] = await answering.run({
      inputIds: [pair],
      ...(answering.hasGlobals ? question : {}),
      outputs: ['head'],
    });
    // Nothing stands before the question, so nothing stands for "no answer".
    const of = (all: Float32Array = new Float32Array()) => softmax([...all.subarray(3, 3 + words.length)]);
    const [starts, ends] = [of(logits?.startLogits), of(logits?.endLogits)];
    const scores = starts.flatMap((start, a) =>
      ends.slice(a).map((share, i) => ({ a, b: a + i, score: start * share })),
    );
    const [best = { a: 0, b: 0, score: 0 }] = scores.sort((x, y) => y.score - x.score);
    expect(answers[0].text).toBe(textOf(words.slice(best.a, best.b + 1)));
    expect(answers[0].score).toBeCloseTo(best.score, 5);
  });

  it('says what cannot be exported', async () => {
    const classifier = pathOf('led', 'SequenceClassification');
    const file = join(folder, 'refused.onnx');
    const refused = async (model: string, ...rest: string[]) => {
      const { code, stderr } = await farfield('export', '--model', model, '--out', file, ...rest);
      expect(code).toBe(1);
      expect(existsSync(file)).toBe(false);
      return stderr;
    };
    expect(await refused(classifier, '--task', 'tokenClassification')).toContain(
      'task is tokenClassification; of a LED Farfield implements LEDForSequenceClassification, LEDForQuestionAnswering, LEDForConditionalGeneration',
    );
    expect(await refused(classifier, '--task', 'questionAnswering')).toContain(
      'the checkpoint has no head for this task',
    );
    expect(await refused(classifier, '--pattern', 'window:8')).toContain('a pattern and positions of its own');
    expect(await refused(join(GOLDEN, 'hf/led'), '--task', 'sequenceClassification')).toContain(
      'no head for this task',
    );
  });

  it('says what is wrong', async () => {
    const classifier = pathOf('led', 'SequenceClassification');
    await using model = await loadHeadModel(classifier, { threads: 1 });
    const run = (inputIds: number[][]) => model.run({ inputIds, outputs: ['head'] });
    await expect(run([[8, 2], [9]])).rejects.toThrow('inputIds[1] has no end token (2)');
    await expect(run([Array.from({ length: 25 }, () => 2)])).rejects.toThrow(
      'inputIds[0] has 25 tokens; encoder and decoder both read them, and have 24 positions',
    );
    await expect(loadHeadModel(classifier, { task: 'tokenClassification' })).rejects.toThrow(
      'task is tokenClassification; of a LED Farfield implements LEDForSequenceClassification, LEDForQuestionAnswering',
    );
    await expect(loadHeadModel(classifier, { task: 'questionAnswering' })).rejects.toThrow(
      '2 are missing (qa_outputs.weight, qa_outputs.bias); the checkpoint has no head for this task',
    );
    await expect(loadHeadModel(classifier, { positions: 'repeat' })).rejects.toThrow('positions of its own');
    await expect(loadHeadModel(classifier, { weights: 'streamed' })).rejects.toThrow('cannot be streamed');
    await expect(loadHeadModel(join(GOLDEN, 'hf/led'))).rejects.toThrow('LEDForConditionalGeneration (loadSeq2Seq)');
    await expect(loadSeq2Seq(classifier)).rejects.toThrow('LEDForSequenceClassification');
  });
});
