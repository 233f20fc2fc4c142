import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { createDevice, type WasmDevice } from '../../attention/index.ts';
import { ArgumentError, CheckpointError, DeviceError, ModelError } from '../../errors.ts';
import { createNodeBackend } from '../../graph/index.ts';
import { globalTokens, union, window } from '../../pattern/index.ts';
import { findEncoder } from './architectures.ts';
import { Encoder, type Matrix } from './encoder.ts';
import { geometryConfig, RandomTensors } from './random.ts';
import { bertDefinition, openTinyEncoder, TINY_BERT, type TinyWeights, tinyBertWeights } from './testing.ts';

/** float32 against float64, for rows that are normalized. */
const CLOSE = 2e-5;

function expectRows(
  got: Matrix | undefined,
  want: readonly (readonly number[])[],
  places = want.map((_, i) => i),
): void {
  const width = got?.shape[1] ?? 0;
  const differences = places.flatMap((place) =>
    (want[place] ?? []).map((value, d) => Math.abs(value - (got?.data[place * width + d] ?? Number.NaN))),
  );
  expect(differences.length).toBe(places.length * TINY_BERT.hidden_size);
  expect(Math.max(...differences)).toBeLessThan(CLOSE);
}

/** Ids without the padding token, the same on every run. */
function someIds(length: number, seed: number): number[] {
  return Array.from({ length }, (_, i) => 3 + ((i * 7 + seed * 13) % 37));
}

describe('Encoder', () => {
  let device: WasmDevice;
  const weights = tinyBertWeights();
  beforeAll(async () => {
    device = await createDevice({ threads: 2 });
  });
  afterAll(() => device.dispose());

  it('gives each sequence of a packed batch its definition, in one group or several', async () => {
    await using encoder = await openTinyEncoder(device, { weights });
    const inputIds = [5, 12, 1, 8].map(someIds);
    const tokenTypes = inputIds.map((ids) => ids.map((id) => id % 2));
    for (const rowsTogether of [16_384, 13]) {
      const outputs = await encoder.run({ inputIds, tokenTypes, rowsTogether });
      for (const [i, ids] of inputIds.entries()) {
        expectRows(outputs[i]?.hidden, bertDefinition(weights, { ids, tokenTypes: tokenTypes[i] ?? [] }));
      }
    }
  });

  it('gives the same bits with streamed weights, whose large matrices are read in pieces and whose rows come in other chunks', async () => {
    const config = geometryConfig('longformer-base', 1537, 1);
    const { architecture, task } = findEncoder(config, 'test', 'base');
    const backend = await createNodeBackend({ threads: 2 });
    const results: number[][] = [];
    for (const weights of ['kept', 'streamed'] as const) {
      const tensors = new RandomTensors();
      const model = architecture.read(config, {
        source: 'test',
        task,
        tensors,
        pattern: undefined,
        positions: 'given',
      });
      const close = async () => undefined;
      await using encoder = await Encoder.create({ model, task, config, tensors, device, backend, weights, close });
      const inputIds = [Array.from({ length: 1537 }, (_, i) => 3 + ((i * 31) % 4000))];
      const [output] = await encoder.run({ inputIds, outputs: ['hidden'] });
      results.push([...(output?.hidden?.data ?? [])]);
    }
    expect(results[0]).toHaveLength(1537 * 768);
    expect(results[1]).toEqual(results[0]);
  });

  it('hides masked tokens, wherever they are, and leaves the rows behind the last real one at 0', async () => {
    await using encoder = await openTinyEncoder(device, { weights });
    const ids = someIds(9, 2);
    const mask = [0, 1, 1, 0, 1, 1, 1, 0, 0];
    const [output, other] = await encoder.run({ inputIds: [ids, ids], attentionMask: [mask, mask.map(() => 1)] });
    const want = bertDefinition(weights, { ids, sees: (_, k) => mask[k] === 1 });
    expectRows(output?.hidden, want, [1, 2, 4, 5, 6]);
    expect(output?.hidden?.data.slice(7 * 16).every((x) => x === 0)).toBe(true);
    expectRows(other?.hidden, bertDefinition(weights, { ids }));
  });

  it.each([
    ['a window', window(2), (q: number, k: number) => Math.abs(q - k) <= 2],
    [
      'a window and the first token',
      union(window(1), globalTokens({ positions: [0] })),
      (q: number, k: number) => Math.abs(q - k) <= 1 || q === 0 || k === 0,
    ],
  ])('sees %s of its own sequence in place of all', async (_, pattern, sees) => {
    await using encoder = await openTinyEncoder(device, { weights, pattern });
    const inputIds = [4, 12, 7].map(someIds);
    const outputs = await encoder.run({ inputIds });
    for (const [i, ids] of inputIds.entries()) expectRows(outputs[i]?.hidden, bertDefinition(weights, { ids, sees }));
  });

  it('begins the positions again where it is told to, and else refuses more tokens than there are positions', async () => {
    const ids = someIds(30, 1);
    await using encoder = await openTinyEncoder(device, { weights, pattern: window(3), positions: 'repeat' });
    const [output] = await encoder.run({ inputIds: [ids] });
    const positions = ids.map((_, i) => i % TINY_BERT.max_position_embeddings);
    const sees = (q: number, k: number) => Math.abs(q - k) <= 3;
    expectRows(output?.hidden, bertDefinition(weights, { ids, positions, sees }));
    await using strict = await openTinyEncoder(device, { weights });
    await expect(strict.run({ inputIds: [someIds(13, 0)] })).rejects.toThrow(
      'inputIds[0] has 13 tokens and the model 12 positions',
    );
  });

  it('counts RoBERTa’s positions from behind the padding token, which is not counted', async () => {
    const config = { ...TINY_BERT, model_type: 'roberta', architectures: ['RobertaModel'], pad_token_id: 1 };
    await using encoder = await openTinyEncoder(device, { weights, config });
    const ids = [0, 5, 1, 6, 7];
    const [output] = await encoder.run({ inputIds: [ids] });
    expectRows(output?.hidden, bertDefinition(weights, { ids, positions: [2, 3, 1, 4, 5] }));
    await expect(encoder.run({ inputIds: [someIds(11, 0)] })).rejects.toThrow(
      'has 11 tokens and the model 10 positions',
    );
  });

  it('pools, and takes the mean and the first row', async () => {
    await using encoder = await openTinyEncoder(device, { weights });
    const ids = someIds(6, 4);
    const [output] = await encoder.run({ inputIds: [ids], outputs: ['pooled', 'mean', 'first'] });
    const rows = bertDefinition(weights, { ids });
    const matrix = weights.get('pooler.dense.weight')?.data ?? [];
    const pooled = Array.from(weights.get('pooler.dense.bias')?.data ?? [], (bias, d) =>
      Math.tanh((rows[0] ?? []).reduce((sum, x, i) => sum + x * (matrix[d * 16 + i] ?? 0), bias)),
    );
    const mean = pooled.map((_, d) => rows.reduce((sum, row) => sum + (row[d] ?? 0), 0) / rows.length);
    expect(output?.hidden).toBeUndefined();
    for (const [got, want] of [
      [output?.pooled, pooled],
      [output?.mean, mean],
      [output?.first, rows[0]],
    ] as const) {
      expect(got?.length).toBe(16);
      expect(Math.max(...(want ?? []).map((x, d) => Math.abs(x - (got?.[d] ?? Number.NaN))))).toBeLessThan(CLOSE);
    }
  });

  it('gives the logits of a tied head at chosen places as it gives them at all places', async () => {
    const inputIds = [someIds(6, 1), someIds(9, 2)];
    await using encoder = await openTinyEncoder(device, { weights: withMaskedLm(weights), task: 'maskedLm' });
    const all = await encoder.run({ inputIds, outputs: ['head'] });
    const some = await encoder.run({ inputIds, outputs: ['head'], headPlaces: [[2], [8, 0]] });
    expect(all.map(({ logits }) => logits?.shape)).toEqual([
      [6, 40],
      [9, 40],
    ]);
    expect(some.map(({ logits }) => logits?.shape)).toEqual([
      [1, 40],
      [2, 40],
    ]);
    expect(some[0]?.logits?.data).toEqual(all[0]?.logits?.data.slice(2 * 40, 3 * 40));
    expect(some[1]?.logits?.data.subarray(0, 40)).toEqual(all[1]?.logits?.data.subarray(8 * 40, 9 * 40));
    await expect(encoder.run({ inputIds, headPlaces: [[6], []] })).rejects.toThrow('headPlaces[0] has 6');
  });

  it('reads a bare encoder from a file with a head, and old names of norms', async () => {
    const stored: TinyWeights = new Map();
    for (const [name, tensor] of withMaskedLm(weights)) {
      const own = name.startsWith('cls.') ? name : `bert.${name}`;
      stored.set(
        own.replace('LayerNorm.weight', 'LayerNorm.gamma').replace('LayerNorm.bias', 'LayerNorm.beta'),
        tensor,
      );
    }
    stored.set('bert.embeddings.position_ids', { shape: [12], data: new Float32Array(12) });
    await using encoder = await openTinyEncoder(device, { weights: stored });
    const [output] = await encoder.run({ inputIds: [someIds(5, 0)] });
    expectRows(output?.hidden, bertDefinition(weights, { ids: someIds(5, 0) }));
  });

  it('runs calls in turn, reports layers, and can be cancelled and ended', async () => {
    const encoder = await openTinyEncoder(device, { weights });
    const calls: string[] = [];
    const input = { inputIds: [someIds(5, 1), someIds(5, 2)], rowsTogether: 5 };
    const [first, second] = await Promise.all([
      encoder.run({ ...input, onProgress: (done, total) => calls.push(`${done}/${total}`) }),
      encoder.run(input),
    ]);
    expect(calls).toEqual(['1/4', '2/4', '3/4', '4/4']);
    expect(second).toEqual(first);
    const stop = new AbortController();
    const cancelled = encoder.run({ ...input, signal: stop.signal, onProgress: () => stop.abort(new Error('enough')) });
    await expect(cancelled).rejects.toThrow('enough');
    expect(await encoder.run(input)).toEqual(first);
    await encoder.dispose();
    await expect(encoder.run(input)).rejects.toThrow(DeviceError);
  });

  it.each([
    [{ inputIds: [[40]] }, 'inputIds[0][0] is 40; token ids of this model are integers from 0 to 39'],
    [{ inputIds: [[1, 2]], attentionMask: [[0, 0]] }, 'inputIds[0] has no token that counts'],
    [{ inputIds: [[1, 2]], attentionMask: [[1]] }, 'attentionMask[0] has 1 element; the sequence has 2 tokens'],
    [{ inputIds: [[1]], attentionMask: [[1], [1]] }, 'attentionMask has 2 lists, inputIds has 1'],
    [{ inputIds: [[1]], tokenTypes: [[2]] }, 'tokenTypes[0][0] is 2'],
    [{ inputIds: [[1]], globalAttentionMask: [[1]] }, 'has no global tokens'],
  ])('refuses %j', async (input, message) => {
    await using encoder = await openTinyEncoder(device, { weights });
    await expect(encoder.run(input)).rejects.toThrow(ArgumentError);
    await expect(encoder.run(input)).rejects.toThrow(message);
  });

  it.each([
    [
      { ...TINY_BERT, model_type: 'albert' },
      'model_type is "albert"; Farfield implements these encoders: bert, roberta',
    ],
    [{ ...TINY_BERT, architectures: ['BertForFun'] }, 'BertForFun; for model_type bert Farfield implements BertModel'],
    [{ ...TINY_BERT, hidden_act: 'mish' }, 'hidden_act is "mish"'],
    [{ ...TINY_BERT, num_attention_heads: 3 }, '3 heads'],
    [{ ...TINY_BERT, hidden_size: undefined }, 'hidden_size is missing'],
    [{ ...TINY_BERT, position_embedding_type: 'relative_key' }, 'position_embedding_type is "relative_key"'],
  ])('refuses the configuration %#', async (config, message) => {
    const open = () => openTinyEncoder(device, { weights, config });
    await expect(open()).rejects.toThrow(ModelError);
    await expect(open()).rejects.toThrow(message);
  });

  it('lists tensors that are missing and unexpected, and says where a shape contradicts the configuration', async () => {
    const changed: TinyWeights = new Map(weights);
    changed.delete('encoder.layer.1.output.dense.bias');
    changed.set('encoder.layer.2.output.dense.bias', { shape: [16], data: new Float32Array(16) });
    await expect(openTinyEncoder(device, { weights: changed })).rejects.toThrow(
      /1 are missing \(encoder\.layer\.1\.output\.dense\.bias\); 1 do not belong to the model \(encoder\.layer\.2\.output\.dense\.bias\)/,
    );
    const config = { ...TINY_BERT, intermediate_size: 25 };
    const open = () => openTinyEncoder(device, { weights, config });
    await expect(open()).rejects.toThrow(CheckpointError);
    await expect(open()).rejects.toThrow(
      'tensor encoder.layer.0.intermediate.dense.weight has shape [24, 16]; its configuration says [25, 16]',
    );
  });
});

/** With the tensors of BERT's masked language model head, whose values are those of other tensors. */
function withMaskedLm(weights: TinyWeights): TinyWeights {
  const result: TinyWeights = new Map(weights);
  const copy = (name: string, of: string) =>
    result.set(name, weights.get(of) ?? { shape: [0], data: new Float32Array() });
  copy('cls.predictions.transform.dense.weight', 'pooler.dense.weight');
  copy('cls.predictions.transform.dense.bias', 'pooler.dense.bias');
  copy('cls.predictions.transform.LayerNorm.weight', 'embeddings.LayerNorm.weight');
  copy('cls.predictions.transform.LayerNorm.bias', 'embeddings.LayerNorm.bias');
  result.set('cls.predictions.bias', { shape: [40], data: new Float32Array(40).fill(0.5) });
  return result;
}
