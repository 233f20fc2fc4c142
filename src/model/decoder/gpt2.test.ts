import { InferenceSession, Tensor } from 'onnxruntime-node';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { createDevice, type WasmDevice } from '../../attention/index.ts';
import { createNodeBackend, exportOnnx } from '../../graph/index.ts';
import { window } from '../../pattern/index.ts';
import { EncoderTensors } from '../encoder/tensors.ts';
import type { TinyWeights } from '../encoder/testing.ts';
import { LanguageModel } from '../language-model.ts';
import { checkpointOf, LETTERS } from '../testing.ts';
import { findDecoder } from './architectures.ts';
import { DecoderEngine } from './engine.ts';
import { decoderOnnxGraph } from './onnx.ts';

const CONFIG = { model_type: 'gpt2', vocab_size: 50, n_embd: 12, n_layer: 2, n_head: 3, n_positions: 20 };
const WIDTH = 12;

function tinyWeights(): TinyWeights {
  const weights: TinyWeights = new Map();
  const put = (name: string, shape: number[], shift = 0) => {
    const seed = weights.size + 1;
    const length = shape.reduce((product, side) => product * side, 1);
    const number = (i: number) => (Math.sin(12.9898 * i + 78.233 * seed) * 43758.5453) % 1;
    weights.set(name, { shape, data: Float32Array.from({ length }, (_, i) => 0.7 * number(i) + shift) });
  };
  const norm = (name: string) => {
    put(`${name}.weight`, [WIDTH], 1);
    put(`${name}.bias`, [WIDTH]);
  };
  put('transformer.wte.weight', [50, WIDTH]);
  put('transformer.wpe.weight', [20, WIDTH]);
  for (let i = 0; i < 2; i++) {
    const layer = `transformer.h.${i}`;
    norm(`${layer}.ln_1`);
    norm(`${layer}.ln_2`);
    for (const [name, into, out] of [
      ['attn.c_attn', WIDTH, 3 * WIDTH],
      ['attn.c_proj', WIDTH, WIDTH],
      ['mlp.c_fc', WIDTH, 4 * WIDTH],
      ['mlp.c_proj', 4 * WIDTH, WIDTH],
    ] as const) {
      put(`${layer}.${name}.weight`, [into, out]);
      put(`${layer}.${name}.bias`, [out]);
    }
    put(`${layer}.attn.bias`, [1, 1, 20, 20]);
  }
  norm('transformer.ln_f');
  return weights;
}

/** Logits [n][vocabulary] by definition, in float64; a query sees `left` tokens before it. */
function definition(weights: TinyWeights, ids: readonly number[], left: number): number[][] {
  const data = (name: string) => weights.get(`transformer.${name}`)?.data ?? new Float32Array();
  const linear = (x: readonly number[], name: string) =>
    Array.from(data(`${name}.bias`), (bias, j) =>
      x.reduce(
        (sum, value, i) => sum + value * (data(`${name}.weight`)[i * data(`${name}.bias`).length + j] ?? 0),
        bias,
      ),
    );
  const norm = (x: readonly number[], name: string) => {
    const mean = x.reduce((sum, value) => sum + value, 0) / x.length;
    const variance = x.reduce((sum, value) => sum + (value - mean) ** 2, 0) / x.length;
    return x.map((value, i) => {
      const normal = (value - mean) / Math.sqrt(variance + 1e-5);
      return normal * (data(`${name}.weight`)[i] ?? 0) + (data(`${name}.bias`)[i] ?? 0);
    });
  };
  const gelu = (x: number) => 0.5 * x * (1 + Math.tanh(Math.sqrt(2 / Math.PI) * (x + 0.044715 * x ** 3)));
  const row = (name: string, i: number) => [...data(name).subarray(i * WIDTH, (i + 1) * WIDTH)];
  const sum = (a: readonly number[], b: readonly number[]) => a.map((value, i) => value + (b[i] ?? 0));
  let rows = ids.map((id, i) => sum(row('wte.weight', id), row('wpe.weight', i)));
  for (let layer = 0; layer < 2; layer++) {
    const joined = rows.map((x) => linear(norm(x, `h.${layer}.ln_1`), `h.${layer}.attn.c_attn`));
    const part = (at: number, which: number, head: number) =>
      (joined[at] ?? []).slice(which * WIDTH + 4 * head, which * WIDTH + 4 * head + 4);
    rows = rows.map((x, at) => {
      const keys = ids.map((_, key) => key).filter((key) => key <= at && at - key <= left);
      const attended = [0, 1, 2].flatMap((head) => {
        const query = part(at, 0, head);
        const shares = keys.map((key) =>
          Math.exp(query.reduce((total, value, d) => total + value * (part(key, 1, head)[d] ?? 0), 0) / 2),
        );
        const total = shares.reduce((a, b) => a + b, 0);
        return [0, 1, 2, 3].map((d) =>
          keys.reduce((a, key, j) => a + ((shares[j] ?? 0) / total) * (part(key, 2, head)[d] ?? 0), 0),
        );
      });
      const middle = sum(x, linear(attended, `h.${layer}.attn.c_proj`));
      const wide = linear(norm(middle, `h.${layer}.ln_2`), `h.${layer}.mlp.c_fc`).map(gelu);
      return sum(middle, linear(wide, `h.${layer}.mlp.c_proj`));
    });
  }
  return rows.map((x) => {
    const last = norm(x, 'ln_f');
    return Array.from({ length: 50 }, (_, id) =>
      row('wte.weight', id).reduce((total, value, d) => total + value * (last[d] ?? 0), 0),
    );
  });
}

let device: WasmDevice;
beforeAll(async () => {
  device = await createDevice({ threads: 1 });
});
afterAll(() => device.dispose());

async function open(weights: TinyWeights): Promise<LanguageModel> {
  const model = findDecoder(CONFIG)?.read(CONFIG, 'config.json');
  if (model === undefined) throw new Error('gpt2 is not in the registry');
  const backend = await createNodeBackend({ threads: 1 });
  const engine = await DecoderEngine.create({
    model,
    checkpoint: checkpointOf(weights),
    source: 'tiny',
    device,
    backend,
  });
  const machine = { memoryBytes: 2 ** 40 };
  const close = async () => undefined;
  return new LanguageModel({ config: model.sizes, tokenizer: LETTERS, engine, device, weightBytes: 1, machine, close });
}

it.each([
  [undefined, 20],
  [window({ left: 3 }), 3],
])('GPT-2 gives the logits of its definition, token by token and in chunks, under %j', async (pattern, left) => {
  const weights = tinyWeights();
  await using model = await open(weights);
  const ids = Array.from({ length: 17 }, (_, i) => (i * 11 + 5) % 50);
  const want = definition(weights, ids, left);
  const stream = model.stream(pattern === undefined ? {} : { pattern });
  for (const [i, id] of ids.entries()) {
    const got = await stream.logits([id]);
    const differences = (want[i] ?? []).map((x, j) => Math.abs(x - (got[j] ?? Number.NaN)));
    expect(differences.length).toBe(50);
    expect(Math.max(...differences)).toBeLessThan(2e-5);
  }
  const chunked = model.stream({ chunk: 5, ...(pattern === undefined ? {} : { pattern }) });
  const last = await chunked.logits(ids);
  expect(Math.max(...(want.at(-1) ?? []).map((x, j) => Math.abs(x - (last[j] ?? Number.NaN))))).toBeLessThan(2e-5);
});

it.each([
  [undefined, 20],
  [window({ left: 3 }), 3],
])('GPT-2 gives as a file the logits of its definition, in a batch with padding, under %j', async (pattern, left) => {
  const weights = tinyWeights();
  const model = findDecoder(CONFIG)?.read(CONFIG, 'config.json');
  if (model === undefined) throw new Error('gpt2 is not in the registry');
  const source = { checkpoint: checkpointOf(weights), source: 'tiny', prefix: model.prefix, headNames: [] };
  const file = await exportOnnx(decoderOnnxGraph(model, new EncoderTensors(source), { pattern }));
  const session = await InferenceSession.create(file.model, { intraOpNumThreads: 1, logSeverityLevel: 3 });
  for (const lengths of [[1], [20, 9]]) {
    const longest = Math.max(...lengths);
    const texts = lengths.map((length, row) => Array.from({ length }, (_, i) => (i * 11 + 5 + row) % 50));
    const tensor = (rows: readonly (readonly number[])[]) => {
      const padded = rows.flatMap((row) => [...row, ...Array<number>(longest - row.length).fill(0)]);
      return new Tensor('int64', BigInt64Array.from(padded, BigInt), [lengths.length, longest]);
    };
    const { logits } = await session.run({
      input_ids: tensor(texts),
      attention_mask: tensor(texts.map((text) => text.map(() => 1))),
    });
    for (const [row, ids] of texts.entries()) {
      const want = definition(weights, ids, left).flat();
      const got = ((logits?.data ?? []) as Float32Array).slice(row * longest * 50);
      expect(Math.max(...want.map((x, j) => Math.abs(x - (got[j] ?? Number.NaN))))).toBeLessThan(2e-5);
    }
  }
  await session.release();
});

it('GPT-2 refuses more tokens than it has positions, and cached positions', async () => {
  await using model = await open(tinyWeights());
  const stream = model.stream({ length: 40 });
  await expect(stream.read(Array(21).fill(1))).rejects.toThrow(
    '21 tokens were given to a model that has learned 20 positions',
  );
  expect(() => model.stream({ positions: 'cached' })).toThrow('positions "cached" is not implemented');
});
