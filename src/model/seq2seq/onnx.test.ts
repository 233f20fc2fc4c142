import { InferenceSession, Tensor } from 'onnxruntime-node';
import { env, InferenceSession as WebSession, Tensor as WebTensor } from 'onnxruntime-web';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { createDevice, type WasmDevice } from '../../attention/index.ts';
import { createNodeBackend, exportOnnx, type Graph } from '../../graph/index.ts';
import { allClose } from '../../graph/testing.ts';
import type { Seq2SeqModel } from './architecture.ts';
import { findSeq2Seq } from './architectures.ts';
import { seq2seqOnnxGraphs } from './onnx.ts';
import { Seq2Seq } from './seq2seq.ts';
import { LargeTensors, TINY_LED, TINY_PEGASUS, VOCABULARY } from './testing.ts';

const LONGT5 = {
  model_type: 'longt5',
  vocab_size: VOCABULARY,
  d_model: 16,
  d_kv: 8,
  d_ff: 24,
  num_layers: 2,
  num_heads: 2,
  local_radius: 5,
  relative_attention_num_buckets: 8,
  relative_attention_max_distance: 20,
  global_block_size: 4,
};

function modelOf(config: Readonly<Record<string, unknown>>): Seq2SeqModel {
  return findSeq2Seq(config, 'test').read(config, { source: 'test', tensors: new LargeTensors() });
}

async function openNative(config: Readonly<Record<string, unknown>>): Promise<Seq2Seq> {
  const backend = await createNodeBackend({ threads: 1 });
  const [model, tensors] = [modelOf(config), new LargeTensors()];
  return Seq2Seq.create({ model, tensors, device, backend, close: async () => undefined });
}

let device: WasmDevice;
beforeAll(async () => {
  device = await createDevice({ threads: 1 });
});
afterAll(() => device.dispose());

const idsOf = (length: number, seed = 0) => Array.from({ length }, (_, i) => 2 + ((i * i * 7 + i * 3 + seed) % 57));
type Rows = readonly (readonly number[])[];
const int64 = (rows: Rows) => BigInt64Array.from(rows.flat(), BigInt);
const ones = (rows: Rows) => rows.map((row) => row.map(() => 1));

env.wasm.numThreads = 1;
const OPTIONS = { intraOpNumThreads: 1, logSeverityLevel: 3 } as const;
/** Where files run, and how ids [batch, length] are given there. */
const RUNTIMES = [
  {
    runtime: 'onnxruntime-node',
    open: (model: Uint8Array) => InferenceSession.create(model, OPTIONS),
    tensor: (rows: Rows) => new Tensor('int64', int64(rows), [rows.length, rows[0]?.length ?? 0]),
  },
  {
    runtime: 'onnxruntime-web',
    open: async (model: Uint8Array) => (await WebSession.create(model, OPTIONS)) as InferenceSession,
    tensor: (rows: Rows) => new WebTensor('int64', int64(rows), [rows.length, rows[0]?.length ?? 0]) as Tensor,
  },
];

function padded(rows: Rows, value: number): number[][] {
  const longest = Math.max(...rows.map(({ length }) => length));
  return rows.map((row) => [...row, ...Array<number>(longest - row.length).fill(value)]);
}

describe.each([
  ['a LongT5 with a window', LONGT5],
  ['a LongT5 with summaries', { ...LONGT5, encoder_attention_type: 'transient-global' }],
  ['an LED', TINY_LED],
  ['a BigBird-Pegasus', TINY_PEGASUS],
])('%s as files', (_, config) => {
  it('gives what the native path gives, at any length and in batches, in onnxruntime-node and onnxruntime-web', async () => {
    const graphs = seq2seqOnnxGraphs(modelOf(config), new LargeTensors());
    const [encoder, decoder] = [await exportOnnx(graphs.encoder), await exportOnnx(graphs.decoder)];
    await using native = await openNative(config);
    const runtimes = await Promise.all(
      RUNTIMES.map(async ({ open, tensor }) => ({
        encode: await open(encoder.model),
        decode: await open(decoder.model),
        tensor,
      })),
    );
    for (const lengths of [[1], [3], [9], [130], [170, 131]]) {
      const texts = lengths.map((length, i) => idsOf(length, i));
      const outputs = lengths.map((length, i) => idsOf(Math.min(length, 70) + 1, 5 + i));
      // Tokens inside the first text that do not count, whole blocks and ends of blocks among them.
      const masks = padded(ones(texts), 0);
      for (let i = 20; i < 27 && lengths[0] !== undefined && lengths[0] > 30; i++) masks[0]?.fill(0, i, i + 1);
      if ((lengths[0] ?? 0) > 130) masks[0]?.fill(0, 51, 52);
      const globals = masks.map((row, i) => row.map((each, place) => (each === 1 && place % 40 === 3 * i ? 1 : 0)));
      const text = await native.encode({
        inputIds: padded(texts, 1),
        attentionMask: masks,
        ...(native.hasGlobals ? { globalAttentionMask: globals } : {}),
      });
      const want = await native.logits(text, { inputIds: padded(outputs, 1), attentionMask: padded(ones(outputs), 0) });
      const longest = Math.max(...lengths);
      const given: Record<string, Rows> = {
        input_ids: padded(texts, 1),
        attention_mask: masks,
        global_attention_mask: globals,
      };
      // In the browser's runtime, which is slower, only the shortest and the batch.
      const some = lengths[0] === 1 || lengths.length > 1 ? runtimes : runtimes.slice(0, 1);
      for (const { encode, decode, tensor } of some) {
        const feeds = encode.inputNames.map((name) => [name, tensor(given[name] ?? [])]);
        const { last_hidden_state: hidden } = await encode.run(Object.fromEntries(feeds));
        const rows = Array.from((hidden?.data ?? []) as Float32Array);
        for (const [j, row] of masks.entries()) {
          const counted = (list: ArrayLike<number>) =>
            Array.from(list).filter((_, at) => row[Math.floor(at / 16)] === 1);
          const own = rows.slice(j * longest * 16, (j + 1) * longest * 16);
          allClose(counted(own), counted(text.hidden[j]?.data ?? []), 5e-5);
        }
        const size = padded(outputs, 1)[0]?.length ?? 0;
        const { logits } = await decode.run({
          input_ids: tensor(padded(outputs, 1)),
          encoder_attention_mask: tensor(masks),
          encoder_hidden_states: hidden as Tensor,
        });
        expect(logits?.dims).toEqual([lengths.length, size, 60]);
        for (const [j, { length }] of outputs.entries()) {
          const own = Array.from(logits?.data as Float32Array).slice(j * size * 60, (j * size + length) * 60);
          allClose(own, (want[j]?.data ?? new Float32Array()).subarray(0, length * 60), 1e-4);
        }
      }
      text.dispose();
    }
    for (const { encode, decode } of runtimes) for (const session of [encode, decode]) await session.release();
  });

  it.each(RUNTIMES)('continues with its past as the native path does, token by token, in $runtime', async (where) => {
    const { open, tensor } = where;
    const model = modelOf(config);
    await using native = await openNative(config);
    // Multiples of no block, window or summary.
    const texts = [idsOf(131), idsOf(77, 1)];
    const [inputIds, masks] = [padded(texts, 1), padded(ones(texts), 0)];
    const globals = masks.map((row, i) => row.map((_, place) => (place === 30 * i ? 1 : 0)));
    const text = await native.encode({
      inputIds,
      attentionMask: masks,
      ...(native.hasGlobals ? { globalAttentionMask: globals } : {}),
    });
    const steps = 12;
    const begin = texts.map(() => [model.startToken]);
    // No token twice: of such weights the most probable one is often the last again, whatever the past.
    const wanted = await native.generate(text, { maxTokens: steps, prefix: [model.startToken], noRepeat: 1 });
    for (const own of wanted) expect(own.length).toBe(steps);
    const outputs = wanted.map((own, i) => [...(begin[i] ?? []), ...own]);
    const logits = await native.logits(text, { inputIds: outputs });
    text.dispose();

    const graphs = seq2seqOnnxGraphs(model, new LargeTensors());
    const sessionOf = async (graph: Graph) => open((await exportOnnx(graph)).model);
    const encoder = await sessionOf(graphs.encoder);
    const decoder = await sessionOf(graphs.decoder);
    const next = await sessionOf(graphs.decoderWithPast);
    const given: Record<string, Rows> = { input_ids: inputIds, attention_mask: masks, global_attention_mask: globals };
    const feeds = encoder.inputNames.map((name) => [name, tensor(given[name] ?? [])]);
    const { last_hidden_state: hidden } = await encoder.run(Object.fromEntries(feeds));
    const seen = { encoder_attention_mask: tensor(masks) };
    const past = next.inputNames.filter((name) => name.startsWith('past_key_values.'));
    const kept: Record<string, Tensor> = {};
    const written: number[][] = begin.map((own) => [...own]);
    for (let step = 0; step < steps; step++) {
      const before = past.map((name) => [name, kept[name.replace('past_key_values', 'present')] as Tensor]);
      const input = { ...seen, input_ids: tensor(written.map((own) => own.slice(-1))) };
      const result =
        step === 0
          ? await decoder.run({ ...input, encoder_hidden_states: hidden as Tensor })
          : await next.run({ ...input, ...Object.fromEntries(before) });
      Object.assign(kept, result);
      expect(result.logits?.dims).toEqual([2, 1, 60]);
      for (const [i, own] of written.entries()) {
        const row = ((result.logits as Tensor).data as Float32Array).slice(60 * i, 60 * (i + 1));
        allClose(row, logits[i]?.data.subarray(60 * step, 60 * (step + 1)) ?? [], 1e-4);
        for (const id of own) row[id] = -Infinity;
        own.push(row.indexOf(Math.max(...row)));
      }
    }
    expect(written).toEqual(outputs);
    for (const session of [encoder, decoder, next]) await session.release();
  });
});
