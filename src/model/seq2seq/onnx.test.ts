import { InferenceSession, Tensor } from 'onnxruntime-node';
import { env, InferenceSession as WebSession, Tensor as WebTensor } from 'onnxruntime-web';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { createDevice, type WasmDevice } from '../../attention/index.ts';
import { createNodeBackend, exportOnnx } from '../../graph/index.ts';
import { allClose } from '../../graph/testing.ts';
import { RandomTensors } from '../encoder/random.ts';
import { findSeq2Seq } from './architectures.ts';
import { seq2seqOnnxGraphs } from './onnx.ts';
import { Seq2Seq } from './seq2seq.ts';

const LONGT5 = {
  model_type: 'longt5',
  vocab_size: 60,
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
const BART = {
  vocab_size: 60,
  d_model: 16,
  encoder_layers: 2,
  decoder_layers: 2,
  encoder_attention_heads: 2,
  decoder_attention_heads: 2,
  encoder_ffn_dim: 24,
  decoder_ffn_dim: 24,
};
const LED = {
  ...BART,
  model_type: 'led',
  attention_window: 8,
  max_encoder_position_embeddings: 400,
  max_decoder_position_embeddings: 400,
};
const PEGASUS = {
  ...BART,
  model_type: 'bigbird_pegasus',
  block_size: 4,
  num_random_blocks: 2,
  max_position_embeddings: 400,
};

/** Weights so large that attention is peaked. */
class LargeTensors extends RandomTensors {
  override ask(name: string, shape: readonly number[]) {
    const asked = super.ask(name, shape);
    if (shape.length === 1 && name.endsWith('.weight')) return asked;
    return { ...asked, load: async () => (await asked.load()).map((value) => 12 * value) };
  }
}

let device: WasmDevice;
beforeAll(async () => {
  device = await createDevice({ threads: 1 });
});
afterAll(() => device.dispose());

const idsOf = (length: number, seed = 0) => Array.from({ length }, (_, i) => 2 + ((i * i * 7 + i * 3 + seed) % 57));
const int64 = (rows: readonly (readonly number[])[]) => BigInt64Array.from(rows.flat(), BigInt);
const ones = (rows: readonly (readonly number[])[]) => rows.map((row) => row.map(() => 1));

function padded(rows: readonly (readonly number[])[], value: number): number[][] {
  const longest = Math.max(...rows.map(({ length }) => length));
  return rows.map((row) => [...row, ...Array<number>(longest - row.length).fill(value)]);
}

describe.each([
  ['a LongT5 with a window', LONGT5],
  ['a LongT5 with summaries', { ...LONGT5, encoder_attention_type: 'transient-global' }],
  ['an LED', LED],
  ['a BigBird-Pegasus', PEGASUS],
])('%s as files', (_, config) => {
  it('gives what the native path gives, at any length and in batches, in onnxruntime-node and onnxruntime-web', async () => {
    const read = (tensors: RandomTensors) => findSeq2Seq(config, 'test').read(config, { source: 'test', tensors });
    const graphs = seq2seqOnnxGraphs(read(new LargeTensors()), new LargeTensors());
    const [encoder, decoder] = [await exportOnnx(graphs.encoder), await exportOnnx(graphs.decoder)];
    const backend = await createNodeBackend({ threads: 1 });
    await using native = await Seq2Seq.create({
      model: read(new LargeTensors()),
      tensors: new LargeTensors(),
      device,
      backend,
      close: async () => undefined,
    });
    env.wasm.numThreads = 1;
    const options = { intraOpNumThreads: 1, logSeverityLevel: 3 } as const;
    const runtimes = [
      { encode: await InferenceSession.create(encoder.model, options), Tensor },
      { encode: await WebSession.create(encoder.model, options), Tensor: WebTensor },
    ];
    const decoders = [
      await InferenceSession.create(decoder.model, options),
      await WebSession.create(decoder.model, options),
    ];
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
      const given: Record<string, bigint[] | BigInt64Array> = {
        input_ids: int64(padded(texts, 1)),
        attention_mask: int64(masks),
        global_attention_mask: int64(globals),
      };
      // In the browser's runtime, which is slower, only the shortest and the batch.
      const some = lengths[0] === 1 || lengths.length > 1 ? runtimes : runtimes.slice(0, 1);
      for (const [i, { encode, Tensor: Made }] of some.entries()) {
        const made = (data: BigInt64Array, length: number) => new Made('int64', data, [lengths.length, length]);
        const feeds = encode.inputNames.map((name) => [name, made(given[name] as BigInt64Array, longest)]);
        const { last_hidden_state: hidden } = await (encode as InferenceSession).run(Object.fromEntries(feeds));
        const rows = Array.from((hidden?.data ?? []) as Float32Array);
        for (const [j, row] of masks.entries()) {
          const counted = (list: ArrayLike<number>) =>
            Array.from(list).filter((_, at) => row[Math.floor(at / 16)] === 1);
          const own = rows.slice(j * longest * 16, (j + 1) * longest * 16);
          allClose(counted(own), counted(text.hidden[j]?.data ?? []), 5e-5);
        }
        const size = padded(outputs, 1)[0]?.length ?? 0;
        const { logits } = await (decoders[i] as InferenceSession).run({
          input_ids: made(int64(padded(outputs, 1)), size),
          encoder_attention_mask: made(int64(masks), longest),
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
    for (const session of [...runtimes.map(({ encode }) => encode), ...decoders]) await session.release();
  });
});
