import { InferenceSession, Tensor } from 'onnxruntime-node';
import { env, InferenceSession as WebSession, Tensor as WebTensor } from 'onnxruntime-web';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { createDevice, type WasmDevice } from '../../../attention/index.ts';
import { createNodeBackend, exportOnnx } from '../../../graph/index.ts';
import { allClose } from '../../../graph/testing.ts';
import { parsePattern } from '../../../pattern/index.ts';
import { findEncoder } from '../architectures.ts';
import { Encoder } from '../encoder.ts';
import { RandomTensors } from '../random.ts';
import { encoderOnnxGraph } from './graph.ts';

const LONGFORMER = {
  model_type: 'longformer',
  vocab_size: 60,
  hidden_size: 16,
  intermediate_size: 24,
  num_hidden_layers: 2,
  num_attention_heads: 2,
  max_position_embeddings: 400,
  type_vocab_size: 1,
  layer_norm_eps: 1e-5,
  pad_token_id: 1,
  attention_window: 8,
};
const BIGBIRD = {
  ...LONGFORMER,
  model_type: 'big_bird',
  type_vocab_size: 2,
  block_size: 4,
  num_random_blocks: 2,
  pad_token_id: 0,
};
const BERT = { ...LONGFORMER, model_type: 'bert', max_position_embeddings: 50 };

let device: WasmDevice;
beforeAll(async () => {
  device = await createDevice({ threads: 1 });
});
afterAll(() => device.dispose());

function open(config: Record<string, unknown>, pattern?: string) {
  const { architecture, task } = findEncoder(config, 'test', 'base');
  const tensors = new RandomTensors();
  const model = architecture.read(config, {
    source: 'test',
    task,
    tensors,
    pattern: pattern === undefined ? undefined : parsePattern(pattern),
    positions: pattern === undefined ? 'given' : 'repeat',
  });
  return { model, task, config, tensors };
}

const idsOf = (length: number, seed = 0) => Array.from({ length }, (_, i) => 2 + ((i * i * 7 + i * 3 + seed) % 57));
const int64 = (values: readonly number[]) => BigInt64Array.from(values, BigInt);

/** Rows of sequences with padding, [batch, longest]. */
function padded(rows: readonly (readonly number[])[], longest: number): number[] {
  return rows.flatMap((row) => [...row, ...Array<number>(longest - row.length).fill(1)]);
}

describe.each([
  ['a Longformer', LONGFORMER, undefined],
  ['a BigBird', BIGBIRD, undefined],
  ['a BERT under a window', BERT, 'window:5+sinks:2'],
])('%s as a file', (_, config, pattern) => {
  it('gives what the native path gives, at any length and in batches, in onnxruntime-node and onnxruntime-web', async () => {
    const { graph } = encoderOnnxGraph(open(config, pattern).model, new RandomTensors());
    const { model } = await exportOnnx(graph);
    const backend = await createNodeBackend({ threads: 1 });
    await using native = await Encoder.create({
      ...open(config, pattern),
      device,
      backend,
      close: async () => undefined,
    });
    const node = await InferenceSession.create(model, { intraOpNumThreads: 1, logSeverityLevel: 3 });
    env.wasm.numThreads = 1;
    const web = await WebSession.create(model, { logSeverityLevel: 3 });
    for (const lengths of [[1], [9], [130], [170, 131]]) {
      const longest = Math.max(...lengths);
      const inputIds = lengths.map((length, i) => idsOf(length, i));
      const globals = lengths.map((length, i) => Array.from({ length }, (_, place) => (place % 40 === 3 * i ? 1 : 0)));
      const feeds: Record<string, number[]> = {
        input_ids: padded(inputIds, longest),
        attention_mask: inputIds.flatMap(({ length }) =>
          Array.from({ length: longest }, (_, i) => (i < length ? 1 : 0)),
        ),
        token_type_ids: Array<number>(lengths.length * longest).fill(0),
        global_attention_mask: globals.flatMap((row) => [...row, ...Array<number>(longest - row.length).fill(0)]),
      };
      const masks = inputIds.map(({ length }) => Array.from({ length: longest }, (_, i) => (i < length ? 1 : 0)));
      const wanted = await native.run({
        inputIds: inputIds.map((row) => padded([row], longest)),
        attentionMask: masks,
        ...(native.hasGlobals
          ? { globalAttentionMask: globals.map((row) => [...row, ...Array<number>(longest - row.length).fill(0)]) }
          : {}),
      });
      const shape = [lengths.length, longest];
      const given = (session: { readonly inputNames: readonly string[] }) =>
        session.inputNames.map((name) => [name, int64(feeds[name] ?? [])] as const);
      const results = [
        await node.run(Object.fromEntries(given(node).map(([name, data]) => [name, new Tensor('int64', data, shape)]))),
        await web.run(
          Object.fromEntries(given(web).map(([name, data]) => [name, new WebTensor('int64', data, shape)])),
        ),
      ];
      for (const { last_hidden_state: hidden } of results) {
        expect(hidden?.dims).toEqual([...shape, 16]);
        for (const [i, length] of lengths.entries()) {
          const rows = Array.from((hidden?.data ?? []) as Float32Array);
          const got = rows.slice(i * longest * 16, (i * longest + length) * 16);
          allClose(got, (wanted[i]?.hidden?.data ?? new Float32Array()).subarray(0, length * 16), 2e-5);
        }
      }
    }
    await node.release();
    await web.release();
  });
});
