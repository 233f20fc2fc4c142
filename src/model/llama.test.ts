/** A tiny Llama against its definition in float64, and what the layers of model/ refuse. */
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { createDevice, type NumberType, type WasmDevice } from '../attention/index.ts';
import { ArgumentError, CheckpointError, DeviceError, MemoryError, ModelError } from '../errors.ts';
import { causal, dense, intersect, type Pattern, sinks, union, window } from '../pattern/index.ts';
import type { LlamaConfig } from './llama-config.ts';
import { nameFromGguf, openLlamaWeights } from './llama-weights.ts';
import { checkpointOf, definition, openTiny, TINY, tinyWeights } from './testing.ts';

const weights = tinyWeights(TINY);
const ids = Array.from({ length: 150 }, (_, i) => (i * 31 + (i >> 2) * 7) % 50);

let device: WasmDevice;
beforeAll(async () => {
  device = await createDevice({ threads: 2 });
});
afterAll(async () => device.dispose());

const open = (config: LlamaConfig = TINY, memoryBytes?: number) => openTiny(device, config, memoryBytes);

function worst(got: ArrayLike<number>, want: readonly number[]): number {
  expect(got.length).toBe(want.length);
  return Math.max(...want.map((value, i) => Math.abs(value - (got[i] ?? Number.NaN))));
}

describe('a tiny Llama', () => {
  const streaming = union(sinks(3), window(20));
  const mistral: LlamaConfig = { ...TINY, architecture: 'mistral', slidingWindow: 9 };
  it.each([
    ['dense', TINY, dense(), 'given', causal(), undefined],
    ['sinks and window', TINY, streaming, 'given', intersect(causal(), streaming), undefined],
    ['cached positions', TINY, streaming, 'cached', intersect(causal(), streaming), { sinks: 3, left: 20 }],
    ['Mistral', mistral, dense(), 'given', window({ left: 8 }), undefined],
    ['Mistral, narrower', mistral, window(4), 'given', window({ left: 4 }), undefined],
  ] as const)('computes its definition: %s', async (_, config, pattern, positions, seen, cached) => {
    const want = definition(config, weights, ids, seen, cached);
    await using model = await open(config);
    for (const chunk of [1024, 41]) {
      const stream = model.stream({ pattern, positions, chunk, length: ids.length });
      await stream.read(ids.slice(0, 100));
      expect(worst(await stream.logits(ids.slice(100, 120)), want[119] ?? [])).toBeLessThan(1e-4);
      expect(worst(await stream.logits(ids.slice(120, 121)), want[120] ?? [])).toBeLessThan(1e-4);
      const losses = await stream.losses(ids.slice(121, 149), ids.slice(122));
      const wanted = want.slice(121, 149).map((row, i) => {
        const largest = Math.max(...row);
        const sum = row.reduce((total, logit) => total + Math.exp(logit - largest), 0);
        return largest + Math.log(sum) - (row[ids[122 + i] ?? 0] ?? 0);
      });
      expect(worst(losses, wanted)).toBeLessThan(1e-4);
      expect(stream.length).toBe(149);
    }
  });

  it('keeps keys and values in half the memory, with the error of their rounding', async () => {
    await using model = await open();
    const read = async (storage: NumberType) => {
      const stream = model.stream({ storage, pattern: streaming });
      const logits = await stream.logits(ids.slice(0, 90));
      return { logits, bytes: stream.bytes };
    };
    const [f32, f16, bf16] = [await read('f32'), await read('f16'), await read('bf16')];
    expect([f16.bytes, bf16.bytes]).toEqual([f32.bytes / 2, f32.bytes / 2]);
    // Half a unit in the last of 11 or 8 bits, in a few layers, relative to the greatest logit.
    const greatest = Math.max(...f32.logits.map(Math.abs));
    for (const [{ logits }, bits] of [
      [f16, 11],
      [bf16, 8],
    ] as const) {
      const error = worst(logits, [...f32.logits]) / greatest;
      expect(error).toBeGreaterThan(0);
      expect(error).toBeLessThan(4 * 2 ** -bits);
    }
  });

  it('takes cached positions by itself beyond the context, where the pattern has their form', async () => {
    await using model = await open();
    const positions = (pattern: Pattern, length: number) => model.stream({ pattern, length }).positions;
    expect(positions(streaming, 100)).toBe('given');
    expect(positions(streaming, 101)).toBe('cached');
    expect(positions(intersect(causal(), streaming), 101)).toBe('cached');
    expect(positions(window(20), 101)).toBe('given');
    expect(() => model.stream({ pattern: window(20), positions: 'cached' })).toThrow(ModelError);
  });

  it('serves several streams in turn, and ends them with itself', async () => {
    const model = await open();
    const [a, b] = [model.stream(), model.stream({ chunk: 7 })];
    const [first, second] = await Promise.all([a.logits(ids.slice(0, 50)), b.logits(ids.slice(0, 50))]);
    expect(worst(first, [...second])).toBeLessThan(1e-5);
    a.close();
    await expect(a.read([1])).rejects.toThrow(DeviceError);
    await model.dispose();
    await expect(b.read([1])).rejects.toThrow(DeviceError);
    expect(() => model.stream()).toThrow(DeviceError);
  });

  it('refuses bad ids, targets and chunks by name, and reads nothing of them', async () => {
    await using model = await open();
    const stream = model.stream();
    await expect(stream.read([1, 50])).rejects.toThrow(
      'read: ids[1] is 50; token ids of this model are integers from 0 to 49',
    );
    await expect(stream.read([1.5])).rejects.toThrow(ArgumentError);
    await expect(stream.losses([1, 2], [3])).rejects.toThrow('1 target for 2 ids');
    await expect(stream.losses([1], [-1])).rejects.toThrow('losses: targets[0] is -1');
    await expect(stream.logits([])).rejects.toThrow('at least one id');
    expect(() => model.stream({ chunk: 0 })).toThrow('chunk must be a positive integer');
    expect(stream.length).toBe(0);
  });

  it('says before reading how much memory a length needs', async () => {
    await using model = await open(TINY, 300 * 2 ** 20);
    model.stream({ length: 10_000 });
    model.stream({ length: 100_000_000, pattern: streaming });
    expect(() => model.stream({ length: 1_000_000 })).toThrow(MemoryError);
    expect(() => model.stream({ length: 1_000_000 })).toThrow(
      /1000000 tokens .* needs [\d,]+ MiB .* there are 300 MiB/,
    );
    await using large = await open();
    expect(() => large.stream({ length: 100_000_000 })).toThrow("the kernels' memory holds 4,096 MiB");
  });
});

describe('openLlamaWeights', () => {
  const openWith = (change: (own: typeof weights) => void, config = TINY) => {
    const changed = new Map(weights);
    change(changed);
    const options = { format: 'safetensors', weights: 'f32', source: 'x' } as const;
    return () => openLlamaWeights(checkpointOf(changed), config, options);
  };
  it.each<[string, () => unknown, string]>([
    ['missing', openWith((own) => own.delete('model.norm.weight')), '1 are missing (model.norm.weight)'],
    [
      'unexpected',
      openWith((own) => own.set('model.layers.0.self_attn.q_norm.weight', { shape: [8], data: new Float32Array(8) })),
      '1 do not belong to the model (model.layers.0.self_attn.q_norm.weight)',
    ],
    [
      'wrong shapes',
      openWith((own) => own.set('model.norm.weight', { shape: [31], data: new Float32Array(31) })),
      'tensor model.norm.weight has shape [31]; its configuration says [32]',
    ],
    ['more layers', openWith(() => undefined, { ...TINY, layers: 3 }), '13 are missing'],
  ])('refuses tensors that are wrong: %s', (_, open, message) => {
    expect(open).toThrow(CheckpointError);
    expect(open).toThrow(message);
  });

  it('knows the names of GGUF', () => {
    expect(nameFromGguf('blk.12.ffn_gate.weight')).toBe('model.layers.12.mlp.gate_proj.weight');
    expect(nameFromGguf('output_norm.weight')).toBe('model.norm.weight');
    expect(nameFromGguf('blk.0.attn_q_norm.weight')).toBeUndefined();
  });
});
