import { InferenceSession, Tensor } from 'onnxruntime-node';
import { env, InferenceSession as WebSession, Tensor as WebTensor } from 'onnxruntime-web';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { createDevice, type WasmDevice } from '../../attention/index.ts';
import { createNodeBackend, exportOnnx } from '../../graph/index.ts';
import { allClose } from '../../graph/testing.ts';
import { findSeq2Seq } from './architectures.ts';
import { Seq2SeqReader } from './reader.ts';
import { readerOnnxGraph } from './reader-onnx.ts';
import { LargeTensors, TINY_LED, TINY_PEGASUS } from './testing.ts';

const END = 2;
const IDS = { decoder_start_token_id: 4, eos_token_id: END };
const LED = { ...TINY_LED, ...IDS };
const PEGASUS = { ...TINY_PEGASUS, ...IDS };

let device: WasmDevice;
beforeAll(async () => {
  device = await createDevice({ threads: 1 });
});
afterAll(() => device.dispose());

/** Tokens above END, and END in the middle and before the last. */
function textOf(length: number, seed: number): number[] {
  const ids = Array.from({ length }, (_, i) => 3 + ((i * i * 7 + i * 3 + seed) % 57));
  for (const place of [Math.floor(length / 2), length - 2, length - 1])
    if (place >= 0 && place < length - 1) ids[place] = END;
  if (length === 1) ids[0] = END;
  return ids;
}

const padded = (rows: readonly (readonly number[])[], value: number): number[][] => {
  const longest = Math.max(...rows.map(({ length }) => length));
  return rows.map((row) => [...row, ...Array<number>(longest - row.length).fill(value)]);
};

describe.each([
  ['an LED', LED],
  ['a BigBird-Pegasus', PEGASUS],
  ['a BigBird-Pegasus of full attention', { ...PEGASUS, attention_type: 'original_full' }],
])('%s that reads, as a file', (_, config) => {
  it.each(['sequenceClassification', 'questionAnswering'] as const)(
    '%s: what the native path gives, at any length and in batches, in onnxruntime-node and onnxruntime-web',
    async (task) => {
      const read = () => findSeq2Seq(config, 'test').read(config, { source: 'test', tensors: new LargeTensors() });
      const { model: file } = await exportOnnx(readerOnnxGraph(read(), task, new LargeTensors()));
      // Standard operators have no domain in a file.
      expect(Buffer.from(file).includes('com.microsoft')).toBe(false);
      await using native = await Seq2SeqReader.create({
        model: read(),
        task,
        config,
        tensors: new LargeTensors(),
        device,
        backend: await createNodeBackend({ threads: 1 }),
        close: async () => undefined,
      });
      env.wasm.numThreads = 1;
      const options = { intraOpNumThreads: 1, logSeverityLevel: 4 } as const;
      const node = await InferenceSession.create(file, options);
      const web = await WebSession.create(file, options);
      // A chunk is 256 queries.
      for (const lengths of [[1], [2], [131], [256], [257], [613], [301, 2, 263]]) {
        const texts = lengths.map((length, i) => textOf(length, 11 * i));
        const masks = padded(
          texts.map((row) => row.map(() => 1)),
          0,
        );
        // Tokens inside the first text that do not count.
        if ((lengths[0] ?? 0) > 130) masks[0]?.fill(0, 20, 27);
        const globals = masks.map((row, i) => row.map((each, place) => (each === 1 && place % 40 === 3 * i ? 1 : 0)));
        const want = await native.run({
          inputIds: padded(texts, 1),
          attentionMask: masks,
          ...(native.hasGlobals ? { globalAttentionMask: globals } : {}),
          outputs: ['head'],
        });
        const given: Record<string, number[][]> = {
          input_ids: padded(texts, 1),
          attention_mask: masks,
          global_attention_mask: globals,
        };
        const longest = Math.max(...lengths);
        // In the browser's runtime, which is slower, only the shortest and the batch.
        const isSome = lengths[0] === 1 || lengths.length > 1;
        for (const runtime of isSome ? (['node', 'web'] as const) : (['node'] as const)) {
          const Made = runtime === 'node' ? Tensor : WebTensor;
          const feeds = node.inputNames.map((name) => {
            const data = BigInt64Array.from((given[name] ?? []).flat(), BigInt);
            return [name, new Made('int64', data, [lengths.length, longest])];
          });
          const session = (runtime === 'node' ? node : web) as InferenceSession;
          const results = await session.run(Object.fromEntries(feeds));
          const [names, width] =
            task === 'sequenceClassification' ? [['logits'], 2] : [['start_logits', 'end_logits'], longest];
          expect(Object.keys(results)).toEqual(names);
          for (const [i, { logits, startLogits, endLogits }] of want.entries()) {
            const counted = task === 'sequenceClassification' ? 2 : (lengths[i] ?? 0);
            for (const [j, own] of (logits === undefined ? [startLogits, endLogits] : [logits.data]).entries()) {
              const { data, dims } = results[names[j] ?? ''] as Tensor;
              expect(dims).toEqual([lengths.length, width]);
              const got = Array.from(data as Float32Array).slice(i * width, i * width + counted);
              allClose(got, (own ?? new Float32Array()).subarray(0, counted), 1e-4);
            }
          }
        }
      }
      await node.release();
      await web.release();
    },
  );
});
