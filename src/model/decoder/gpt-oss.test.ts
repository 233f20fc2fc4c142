import { InferenceSession, Tensor } from 'onnxruntime-node';
import { env, InferenceSession as WebSession, Tensor as WebTensor } from 'onnxruntime-web';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { createDevice, type WasmDevice } from '../../attention/index.ts';
import { storedRows } from '../../checkpoint/checkpoint.ts';
import type { Checkpoint, StoredTensor } from '../../checkpoint/index.ts';
import { createNodeBackend, exportOnnx, lowerGraph } from '../../graph/index.ts';
import { EncoderTensors } from '../encoder/tensors.ts';
import { LanguageModel } from '../language-model.ts';
import { LETTERS } from '../testing.ts';
import { DecoderEngine } from './engine.ts';
import { gptOss } from './gpt-oss.ts';
import { decoderOnnxGraph } from './onnx.ts';

const [SIZE, EXPERTS] = [32, 4];
const CONFIG = {
  model_type: 'gpt_oss',
  vocab_size: 50,
  hidden_size: SIZE,
  intermediate_size: SIZE,
  num_hidden_layers: 2,
  num_attention_heads: 4,
  num_key_value_heads: 2,
  head_dim: 8,
  max_position_embeddings: 64,
  sliding_window: 4,
  attention_bias: true,
  num_local_experts: EXPERTS,
  num_experts_per_tok: 2,
  tie_word_embeddings: false,
};

const pseudo = (i: number, seed: number) => (Math.sin(12.9898 * i + 78.233 * seed) * 43758.5453) % 1;
const CODES = [0, 0.5, 1, 1.5, 2, 3, 4, 6];

/** All tensors; the experts' matrices in MXFP4, or the same numbers as floats [E, in, out]. */
function checkpoint(form: 'mxfp4' | 'float'): Checkpoint {
  const tensors = new Map<string, StoredTensor>();
  let seed = 0;
  const bytes = (name: string, type: 'F32' | 'U8', shape: number[], data: Uint8Array) =>
    tensors.set(`model.${name}`, { name: `model.${name}`, type, shape, data });
  const put = (name: string, shape: number[], shift = 0) => {
    seed++;
    const length = shape.reduce((product, side) => product * side, 1);
    const data = Float32Array.from({ length }, (_, i) => 0.6 * pseudo(i, seed) + shift);
    bytes(name, 'F32', shape, new Uint8Array(data.buffer));
  };
  const matrices = (name: string, out: number) => {
    seed++;
    const count = EXPERTS * out * SIZE;
    const code = Array.from({ length: count }, (_, i) => Math.floor(8 * (pseudo(i, seed) + 1)) & 15);
    const scale = Array.from({ length: count / 32 }, (_, i) => 123 + (i % 3));
    if (form === 'mxfp4') {
      const blocks = Uint8Array.from({ length: count / 2 }, (_, i) => (code[2 * i] ?? 0) + 16 * (code[2 * i + 1] ?? 0));
      bytes(`${name}_blocks`, 'U8', [EXPERTS, out, SIZE / 32, 16], blocks);
      bytes(`${name}_scales`, 'U8', [EXPERTS, out, SIZE / 32], Uint8Array.from(scale));
      return;
    }
    const data = new Float32Array(count);
    for (let e = 0; e < EXPERTS; e++) {
      for (let row = 0; row < out; row++) {
        for (let column = 0; column < SIZE; column++) {
          const at = (e * out + row) * SIZE + column;
          const own = code[at] ?? 0;
          const value = (own > 7 ? -1 : 1) * (CODES[own % 8] ?? 0) * 2 ** ((scale[Math.floor(at / 32)] ?? 0) - 127);
          data[(e * SIZE + column) * out + row] = value;
        }
      }
    }
    bytes(name, 'F32', [EXPERTS, SIZE, out], new Uint8Array(data.buffer));
  };
  put('embed_tokens.weight', [50, SIZE]);
  for (let i = 0; i < 2; i++) {
    const layer = `layers.${i}`;
    for (const norm of ['input_layernorm', 'post_attention_layernorm']) put(`${layer}.${norm}.weight`, [SIZE], 1);
    for (const [part, out] of [
      ['q', 32],
      ['k', 16],
      ['v', 16],
      ['o', 32],
    ] as const) {
      put(`${layer}.self_attn.${part}_proj.weight`, [out, SIZE]);
      put(`${layer}.self_attn.${part}_proj.bias`, [out]);
    }
    put(`${layer}.self_attn.sinks`, [4]);
    put(`${layer}.mlp.router.weight`, [EXPERTS, SIZE]);
    put(`${layer}.mlp.router.bias`, [EXPERTS]);
    matrices(`${layer}.mlp.experts.gate_up_proj`, 2 * SIZE);
    put(`${layer}.mlp.experts.gate_up_proj_bias`, [EXPERTS, 2 * SIZE]);
    matrices(`${layer}.mlp.experts.down_proj`, SIZE);
    put(`${layer}.mlp.experts.down_proj_bias`, [EXPERTS, SIZE]);
  }
  put('norm.weight', [SIZE], 1);
  put('head', [50, SIZE]);
  const head = tensors.get('model.head');
  tensors.delete('model.head');
  if (head !== undefined) tensors.set('lm_head.weight', { ...head, name: 'lm_head.weight' });
  const stored = (name: string): StoredTensor => {
    const found = tensors.get(name);
    if (found === undefined) throw new Error(`no tensor ${name}`);
    return found;
  };
  return {
    names: () => [...tensors.keys()],
    has: (name) => tensors.has(name),
    info: (name) => ({ ...stored(name), bytes: stored(name).data.byteLength }),
    read: async (name) => stored(name),
    readRows: async (name, first, count) => storedRows(stored(name), first, count),
    close: async () => undefined,
  };
}

let device: WasmDevice;
beforeAll(async () => {
  device = await createDevice({ threads: 1 });
});
afterAll(() => device.dispose());

async function open(form: 'mxfp4' | 'float'): Promise<LanguageModel> {
  const model = gptOss.read(CONFIG, 'config.json');
  const backend = await createNodeBackend({ threads: 1 });
  const engine = await DecoderEngine.create({ model, checkpoint: checkpoint(form), source: 'tiny', device, backend });
  const machine = { memoryBytes: 2 ** 40 };
  const close = async () => undefined;
  return new LanguageModel({ config: model.sizes, tokenizer: LETTERS, engine, device, weightBytes: 1, machine, close });
}

const idsOf = (length: number) => Array.from({ length }, (_, i) => (i * 17 + 3) % 50);

it('gives with experts in MXFP4, as published, what it gives with the same numbers as floats', async () => {
  const rows: Float32Array[] = [];
  for (const form of ['mxfp4', 'float'] as const) {
    await using opened = await open(form);
    rows.push(await opened.stream().logits(idsOf(12)));
  }
  const [packed = new Float32Array(), floats = new Float32Array()] = rows;
  expect(Math.max(...floats.map(Math.abs))).toBeGreaterThan(0.5);
  expect([...packed]).toEqual([...floats]);
});

it('gives as a file of standard operators what it gives on the kernels, in onnxruntime-node and onnxruntime-web', async () => {
  await using native = await open('mxfp4');
  const model = gptOss.read(CONFIG, 'config.json');
  const tensors = () =>
    new EncoderTensors({ checkpoint: checkpoint('mxfp4'), source: 'tiny', prefix: model.prefix, headNames: [] });
  const lowered = lowerGraph(decoderOnnxGraph(model, tensors()));
  expect([...new Set(lowered.nodes.map(({ domain }) => domain))]).toEqual(['']);
  const file = await exportOnnx(decoderOnnxGraph(model, tensors()));
  const options = { intraOpNumThreads: 1, logSeverityLevel: 3 } as const;
  const node = await InferenceSession.create(file.model, options);
  env.wasm.numThreads = 1;
  const web = await WebSession.create(file.model, options);
  for (const length of [1, 5, 64, 150]) {
    const ids = BigInt64Array.from(idsOf(length), BigInt);
    const ones = ids.map(() => 1n);
    const shape = [1, length];
    const results = [
      await node.run({
        input_ids: new Tensor('int64', ids, shape),
        attention_mask: new Tensor('int64', ones, shape),
      }),
      await web.run({
        input_ids: new WebTensor('int64', ids, shape),
        attention_mask: new WebTensor('int64', ones, shape),
      }),
    ];
    const stream = native.stream({ length: 150 });
    const want = [...(await stream.logits(idsOf(length)))];
    stream.close();
    for (const { logits } of results) {
      expect(logits?.dims).toEqual([1, length, 50]);
      const got = ((logits?.data ?? []) as Float32Array).slice(-50);
      expect(Math.max(...want.map((x, j) => Math.abs(x - (got[j] ?? Number.NaN))))).toBeLessThan(2e-5);
    }
  }
  await node.release();
  await web.release();
});
