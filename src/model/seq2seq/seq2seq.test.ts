import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest';
import { createDevice, type WasmDevice } from '../../attention/index.ts';
import { ArgumentError, CheckpointError, DeviceError, MemoryError, ModelError } from '../../errors.ts';
import { createNodeBackend } from '../../graph/index.ts';
import { EncoderTensors } from '../encoder/tensors.ts';
import type { TinyWeights } from '../encoder/testing.ts';
import { checkpointOf } from '../testing.ts';
import { findSeq2Seq } from './architectures.ts';
import { beamSearch } from './beam-search.ts';
import { constrain } from './constraints.ts';
import { Seq2Seq } from './seq2seq.ts';

const TINY = {
  model_type: 'longt5',
  vocab_size: 30,
  d_model: 16,
  d_kv: 8,
  d_ff: 24,
  num_layers: 2,
  num_heads: 2,
  local_radius: 3,
  relative_attention_num_buckets: 8,
  relative_attention_max_distance: 12,
  feed_forward_proj: 'gated-gelu',
  eos_token_id: 1,
};

/** The tensors of a LongT5 with local attention; the same on every run. */
function tinyWeights(): TinyWeights {
  const weights: TinyWeights = new Map();
  let seed = 0;
  const put = (name: string, ...shape: number[]) => {
    seed++;
    const length = shape.reduce((product, side) => product * side, 1);
    const shift = shape.length === 1 ? 1 : 0;
    const number = (i: number) => Math.sin(12.9898 * i + 78.233 * seed) * 43758.5453;
    weights.set(name, { shape, data: Float32Array.from({ length }, (_, i) => 0.8 * (number(i) % 1) + shift) });
  };
  put('shared.weight', 30, 16);
  for (const [side, parts] of [
    ['encoder', ['LocalSelfAttention']],
    ['decoder', ['SelfAttention', 'EncDecAttention']],
  ] as const) {
    for (let i = 0; i < 2; i++) {
      for (const [j, part] of [...parts, 'DenseReluDense'].entries()) {
        const name = `${side}.block.${i}.layer.${j}`;
        put(`${name}.layer_norm.weight`, 16);
        if (part === 'DenseReluDense') {
          put(`${name}.${part}.wi_0.weight`, 24, 16);
          put(`${name}.${part}.wi_1.weight`, 24, 16);
          put(`${name}.${part}.wo.weight`, 16, 24);
        } else {
          for (const projection of ['q', 'k', 'v', 'o']) put(`${name}.${part}.${projection}.weight`, 16, 16);
        }
      }
    }
    put(`${side}.block.0.layer.0.${parts[0]}.relative_attention_bias.weight`, 8, 2);
    put(`${side}.final_layer_norm.weight`, 16);
  }
  return weights;
}

describe('Seq2Seq', () => {
  let device: WasmDevice;
  beforeAll(async () => {
    device = await createDevice({ threads: 1 });
  });
  afterAll(() => device.dispose());

  async function open(weights = tinyWeights(), config: Readonly<Record<string, unknown>> = TINY): Promise<Seq2Seq> {
    const { prefix, read } = findSeq2Seq(config, 'tiny');
    const tensors = new EncoderTensors({ checkpoint: checkpointOf(weights), source: 'tiny', prefix, headNames: [] });
    const model = read(config, { source: 'tiny', tensors });
    const backend = await createNodeBackend({ threads: 1 });
    return Seq2Seq.create({ model, tensors, device, backend, close: async () => undefined });
  }
  const texts = [
    [5, 9, 20, 7, 3, 11, 12, 28, 4, 6],
    [8, 2, 2, 19],
  ];

  it('generates, token by token with a cache, what the logits of the whole output say', async () => {
    await using model = await open();
    const text = await model.encode({ inputIds: texts });
    const streamed: number[] = [];
    const generated = await model.generate(text, { maxTokens: 9, onToken: (id) => streamed.push(id) });
    expect(generated.flat()).toEqual(streamed);
    const logits = await model.logits(text, { inputIds: generated.map((own) => [0, ...own]) });
    for (const [i, own] of generated.entries()) {
      expect(own.length === 9 || own.at(-1) === TINY.eos_token_id).toBe(true);
      const best = own.map((_, j) => {
        const row = Array.from(logits[i]?.data.subarray(30 * j, 30 * (j + 1)) ?? []);
        return row.indexOf(Math.max(...row));
      });
      expect(own).toEqual(best);
    }
    text.dispose();
  });

  it('searches with beams: what it finds is what its logits say, and no less probable than the greedy output', async () => {
    await using model = await open();
    const text = await model.encode({ inputIds: texts });
    const probability = async (outputs: number[][]) => {
      const logits = await model.logits(text, { inputIds: outputs.map((own) => [0, ...own]) });
      return outputs.map((own, i) =>
        own.reduce((sum, id, j) => {
          const row = Array.from(logits[i]?.data.subarray(30 * j, 30 * (j + 1)) ?? []);
          return sum + (row[id] ?? Number.NaN) - Math.log(row.reduce((total, logit) => total + Math.exp(logit), 0));
        }, 0),
      );
    };
    const options = { maxTokens: 5, lengthPenalty: 0 };
    const greedy = await model.generate(text, options);
    const found = await model.generate(text, { ...options, beams: 30 });
    const [before, after] = [await probability(greedy), await probability(found)];
    for (const i of texts.keys()) expect(after[i]).toBeGreaterThanOrEqual((before[i] ?? 0) - 1e-4);
    // With as many beams as tokens the best pair is among those kept.
    const pairs = await model.generate(text, { maxTokens: 2, lengthPenalty: 0, beams: 30 });
    const all = Array.from({ length: 900 }, (_, i) => [Math.floor(i / 30), i % 30]).filter(([first]) => first !== 1);
    for (const [i, pair] of pairs.entries()) {
      if (pair.length < 2) continue;
      const best = await bestOf(all, async (outputs) => {
        const logits = await model.logits(text, { inputIds: texts.map((_, j) => (j === i ? [0, ...outputs] : [0])) });
        return logits[i]?.data ?? new Float32Array();
      });
      expect(pair).toEqual(best);
    }
    text.dispose();
  });

  it('searches with kept keys and values as with outputs that are read again', async () => {
    await using model = await open();
    const text = await model.encode({ inputIds: texts.slice(0, 1) });
    for (const options of [{ lengthPenalty: 1 }, { lengthPenalty: 0.3, minTokens: 6, noRepeat: 2, prefix: [0, 7] }]) {
      const { prefix = [0], lengthPenalty } = options;
      const next = async (outputs: readonly (readonly number[])[]) => {
        const read: Float32Array[] = [];
        for (const ids of outputs) {
          const [logits] = await model.logits(text, { inputIds: [[...prefix, ...ids]] });
          const row = logits?.data.slice(-30) ?? new Float32Array();
          const total = Math.log(row.reduce((sum, logit) => sum + Math.exp(logit), 0));
          const scores = row.map((logit) => logit - total);
          constrain(scores, { prefix, ids, maxTokens: 9, endToken: TINY.eos_token_id }, options);
          read.push(scores);
        }
        return read;
      };
      const wanted = await beamSearch({ beams: 3, maxTokens: 9, lengthPenalty, endToken: TINY.eos_token_id, next });
      expect(wanted.length).toBeGreaterThan(1);
      expect(await model.generate(text, { ...options, beams: 3, maxTokens: 9 })).toEqual([wanted]);
    }
    text.dispose();
  });

  it('gives a text of a batch what it gives the text alone, whatever stands behind a mask', async () => {
    await using model = await open();
    const inputIds = [
      [0, 4, 7],
      [0, 9],
    ];
    const together = await model.encode({ inputIds: texts });
    const logits = await model.logits(together, { inputIds });
    for (const [i, ids] of texts.entries()) {
      const padded = await model.encode({ inputIds: [[...ids, 3, 3]], attentionMask: [[...ids.map(() => 1), 0, 0]] });
      const [alone] = await model.logits(padded, { inputIds: [inputIds[i] ?? []] });
      const differences = (alone?.data ?? new Float32Array()).map((x, j) =>
        Math.abs(x - (logits[i]?.data[j] ?? Number.NaN)),
      );
      expect(differences.length).toBe(30 * (inputIds[i]?.length ?? 0));
      expect(Math.max(...differences)).toBeLessThan(1e-5);
      padded.dispose();
    }
    together.dispose();
  });

  it('gives back what it has allocated where memory ends', async () => {
    await using model = await open();
    const held = new Set<unknown>();
    const allocate = device.allocate.bind(device);
    const release = device.release.bind(device);
    let left = Infinity;
    vi.spyOn(device, 'allocate').mockImplementation((count) => {
      if (left-- <= 0) throw new MemoryError('no more', 4 * count, 0);
      const array = allocate(count);
      held.add(array);
      return array;
    });
    vi.spyOn(device, 'release').mockImplementation((array) => {
      held.delete(array);
      release(array);
    });
    try {
      // The first text makes the programs' own buffers, which stay.
      (await model.encode({ inputIds: texts })).dispose();
      held.clear();
      const whole = await model.encode({ inputIds: texts });
      const count = held.size;
      expect(count).toBe(2 * TINY.num_layers);
      whole.dispose();
      expect(held.size).toBe(0);
      for (let enough = 0; enough < count; enough++) {
        left = enough;
        await expect(model.encode({ inputIds: texts })).rejects.toThrow(MemoryError);
        expect(held.size).toBe(0);
      }
    } finally {
      vi.restoreAllMocks();
    }
  });

  it('ends texts once, and reads no ended ones', async () => {
    await using model = await open();
    const [first, second] = [await model.encode({ inputIds: texts }), await model.encode({ inputIds: texts })];
    const wanted = await model.generate(second, { maxTokens: 5 });
    first.dispose();
    // What has its place now is not freed with it.
    const third = await model.encode({ inputIds: texts });
    first.dispose();
    const fourth = await model.encode({ inputIds: [...texts].reverse() });
    expect(await model.generate(third, { maxTokens: 5 })).toEqual(wanted);
    await expect(model.generate(first, { maxTokens: 5 })).rejects.toThrow(DeviceError);
    await expect(model.logits(first, { inputIds: [[0], [0]] })).rejects.toThrow('the texts were disposed');
    for (const text of [second, third, fourth]) text.dispose();
  });

  it('sees no further than the radius in a layer', async () => {
    await using model = await open();
    const long = Array.from({ length: 20 }, (_, i) => 3 + ((7 * i) % 27));
    const changed = long.with(19, long[19] === 5 ? 6 : 5);
    const [one, other] = (await model.encode({ inputIds: [long, changed] })).hidden;
    const isEqual = (row: number) =>
      [...(one?.data.subarray(16 * row, 16 * (row + 1)) ?? [])].join() ===
      [...(other?.data.subarray(16 * row, 16 * (row + 1)) ?? [])].join();
    // Two layers of radius 3 reach six tokens, one would reach three.
    const equal = long.map((_, row) => isEqual(row));
    expect(equal.slice(0, 19 - 6)).toEqual(Array(13).fill(true));
    expect(equal.slice(19 - 6, 19 - 3)).toContain(false);
  });

  it('says what is wrong', async () => {
    expect(() => findSeq2Seq({ model_type: 'bart' }, 'tiny')).toThrow(ModelError);
    expect(() => findSeq2Seq({ model_type: 'bart' }, 'tiny')).toThrow(
      'model_type is "bart"; Farfield implements these',
    );
    const weights = tinyWeights();
    weights.delete('encoder.block.0.layer.0.LocalSelfAttention.relative_attention_bias.weight');
    weights.set('lm_head.bias', { shape: [1], data: new Float32Array(1) });
    await expect(open(weights)).rejects.toThrow(CheckpointError);
    await expect(open(weights)).rejects.toThrow(
      /1 are missing \(encoder.*\); 1 do not belong to the model \(lm_head\.bias\)/,
    );
    await using model = await open();
    const text = await model.encode({ inputIds: texts });
    await expect(model.logits(text, { inputIds: [[0]] })).rejects.toThrow('inputIds has 1 sequence for 2 texts');
    await expect(model.generate(text, { maxTokens: -1 })).rejects.toThrow(ArgumentError);
    const signal = AbortSignal.abort(new Error('enough'));
    await expect(model.generate(text, { maxTokens: 1, signal })).rejects.toThrow('enough');
    text.dispose();
  });
});

/** The most probable of pairs of tokens; `logitsOf` gives the logits [2, 30] behind [start, first]. */
async function bestOf(
  pairs: readonly number[][],
  logitsOf: (first: number[]) => Promise<Float32Array>,
): Promise<number[] | undefined> {
  const logProbability = (row: Float32Array, id: number) =>
    (row[id] ?? Number.NaN) - Math.log(row.reduce((total, logit) => total + Math.exp(logit), 0));
  const behind = new Map<number, Float32Array>();
  for (const [first = 0] of pairs) if (!behind.has(first)) behind.set(first, await logitsOf([first]));
  const worth = ([first = 0, second = 0]: number[]) => {
    const logits = behind.get(first) ?? new Float32Array();
    return logProbability(logits.subarray(0, 30), first) + logProbability(logits.subarray(30, 60), second);
  };
  return [...pairs].sort((a, b) => worth(b) - worth(a))[0];
}
