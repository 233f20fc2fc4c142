/** A tiny Llama with random weights, and its definition in float64, for tests. */
import type { WasmDevice } from '../attention/index.ts';
import { storedRows } from '../checkpoint/checkpoint.ts';
import type { Checkpoint, StoredTensor } from '../checkpoint/index.ts';
import { createNodeBackend } from '../graph/index.ts';
import { allows, type Pattern } from '../pattern/index.ts';
import type { Tokenizer } from '../text/index.ts';
import { LanguageModel } from './language-model.ts';
import type { LlamaConfig } from './llama-config.ts';
import { LlamaEngine } from './llama-engine.ts';
import { MATCH_TABLE, openLlamaWeights } from './llama-weights.ts';

export const TINY: LlamaConfig = {
  architecture: 'llama',
  vocabularySize: 50,
  hiddenSize: 32,
  intermediateSize: 48,
  layers: 2,
  heads: 4,
  keyValueHeads: 2,
  headWidth: 8,
  context: 100,
  normEpsilon: 1e-5,
  rotaryBase: 100,
  rotaryScaling: { type: 'default' },
  attentionBias: true,
  feedForwardBias: false,
  tiedEmbeddings: false,
};

/** One letter for each id. */
export const LETTERS: Tokenizer = {
  vocabularySize: 50,
  eosToken: 49,
  encode: (text) => Int32Array.from(text, (letter) => letter.charCodeAt(0) - 48),
  encodeInPieces: async (text) => LETTERS.encode(text),
  decode: (ids) => String.fromCharCode(...Array.from(ids, (id) => id + 48)),
  streamDecoder: () => ({ push: (id) => LETTERS.decode([id]), flush: () => '' }),
};

type Weights = ReadonlyMap<string, { readonly shape: readonly number[]; readonly data: Float32Array }>;

/** The tiny model on a device; `memoryBytes` is what the machine is said to have. */
export async function openTiny(
  device: WasmDevice,
  config: LlamaConfig = TINY,
  memoryBytes = 2 ** 40,
): Promise<LanguageModel> {
  const options = { format: 'safetensors', weights: 'f32', source: 'tiny' } as const;
  const tensors = openLlamaWeights(checkpointOf(tinyWeights(config)), config, options);
  const backend = await createNodeBackend({ threads: 1 });
  const engine = await LlamaEngine.create(config, tensors, device, backend, { accuracyLevel: 4 });
  const machine = { memoryBytes };
  const close = async () => undefined;
  return new LanguageModel({ config, tokenizer: LETTERS, engine, device, weightBytes: tensors.bytes, machine, close });
}

/** Weights drawn so that attention is peaked; the same on every run (mulberry32). */
export function tinyWeights(config: LlamaConfig): Map<string, { shape: number[]; data: Float32Array }> {
  const weights = new Map<string, { shape: number[]; data: Float32Array }>();
  let state = 1;
  const random = () => {
    state = (state + 0x6d2b79f5) | 0;
    let t = Math.imul(state ^ (state >>> 15), 1 | state);
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
    return ((t ^ (t >>> 14)) >>> 0) / 2 ** 31 - 1;
  };
  const put = (name: string, shape: number[], scale: number, shift = 0) => {
    const length = shape.reduce((product, side) => product * side, 1);
    weights.set(name, { shape, data: Float32Array.from({ length }, () => scale * random() + shift) });
  };
  const { hiddenSize: width, intermediateSize: inner, headWidth, heads, keyValueHeads, vocabularySize } = config;
  put('model.embed_tokens.weight', [vocabularySize, width], 1);
  if (config.matches !== undefined) put(MATCH_TABLE, [config.matches.length * vocabularySize, width], 1);
  for (let i = 0; i < config.layers; i++) {
    const layer = `model.layers.${i}`;
    put(`${layer}.input_layernorm.weight`, [width], 0.3, 1);
    put(`${layer}.post_attention_layernorm.weight`, [width], 0.3, 1);
    for (const [name, rows, columns] of [
      ['self_attn.q_proj', heads * headWidth, width],
      ['self_attn.k_proj', keyValueHeads * headWidth, width],
      ['self_attn.v_proj', keyValueHeads * headWidth, width],
      ['self_attn.o_proj', width, heads * headWidth],
    ] as const) {
      put(`${layer}.${name}.weight`, [rows, columns], 0.5);
      put(`${layer}.${name}.bias`, [rows], 0.5);
    }
    put(`${layer}.mlp.gate_proj.weight`, [inner, width], 0.3);
    put(`${layer}.mlp.up_proj.weight`, [inner, width], 0.3);
    put(`${layer}.mlp.down_proj.weight`, [width, inner], 0.3);
  }
  put('model.norm.weight', [width], 0.3, 1);
  put('lm_head.weight', [vocabularySize, width], 0.5);
  return weights;
}

/** A checkpoint in memory. */
export function checkpointOf(weights: Weights): Checkpoint {
  const stored = (name: string): StoredTensor => {
    const { shape, data } = weights.get(name) ?? { shape: [0], data: new Float32Array() };
    return { name, shape, type: 'F32', data: new Uint8Array(data.buffer, data.byteOffset, data.byteLength) };
  };
  return {
    names: () => [...weights.keys()],
    has: (name) => weights.has(name),
    info: (name) => ({ ...stored(name), bytes: stored(name).data.byteLength }),
    read: async (name) => stored(name),
    readRows: async (name, first, count) => storedRows(stored(name), first, count),
    close: async () => undefined,
  };
}

/** What followed the latest earlier place of the n tokens that end at `at`, by comparing all places. */
export function latestMatch(ids: readonly number[], at: number, size: number): number | undefined {
  if (at + 1 < size) return undefined;
  for (let place = at - 1; place + 1 >= size; place--) {
    if (Array.from({ length: size }, (_, i) => i).every((i) => ids[place - i] === ids[at - i])) return ids[place + 1];
  }
  return undefined;
}

/**
 * Logits [n, vocabulary] of a Llama by its definition, in float64, pair by pair: a query at q sees k where `pattern` allows it. Pairs that
 * only `sinks` keys outside a window of `left` make are scored from position min(q, left + sinks), where `cached` is given.
 */
export function definition(
  config: LlamaConfig,
  weights: Weights,
  ids: readonly number[],
  pattern: Pattern,
  cached?: { readonly sinks: number; readonly left: number },
): number[][] {
  const { heads, keyValueHeads, headWidth, hiddenSize } = config;
  const data = (name: string) => weights.get(name)?.data ?? new Float32Array();
  const linear = (x: number[], name: string): number[] => {
    const [matrix, bias] = [data(`${name}.weight`), data(`${name}.bias`)];
    return Array.from({ length: matrix.length / x.length }, (_, row) =>
      x.reduce((sum, value, i) => sum + value * (matrix[row * x.length + i] ?? 0), bias[row] ?? 0),
    );
  };
  const norm = (x: number[], name: string): number[] => {
    const root = Math.sqrt(x.reduce((sum, value) => sum + value * value, 0) / x.length + config.normEpsilon);
    return x.map((value, i) => (value / root) * (data(`${name}.weight`)[i] ?? 0));
  };
  const rotate = (head: number[], position: number): number[] => {
    const half = headWidth / 2;
    return head.map((value, i) => {
      const angle = position * config.rotaryBase ** (-(i % half) / half);
      const other = i < half ? -(head[i + half] ?? 0) : (head[i - half] ?? 0);
      return value * Math.cos(angle) + other * Math.sin(angle);
    });
  };
  const headOf = (x: number[], head: number) => x.slice(head * headWidth, (head + 1) * headWidth);
  const dot = (a: number[], b: number[]) => a.reduce((sum, value, i) => sum + value * (b[i] ?? 0), 0);

  const rowOf = (name: string, row: number) => [...data(name).subarray(row * hiddenSize, (row + 1) * hiddenSize)];
  let rows = ids.map((id, at) => {
    const row = rowOf('model.embed_tokens.weight', id);
    for (const [i, size] of (config.matches ?? []).entries()) {
      const next = latestMatch(ids, at, size);
      if (next === undefined) continue;
      for (const [d, value] of rowOf(MATCH_TABLE, i * config.vocabularySize + next).entries()) row[d] += value;
    }
    return row;
  });
  for (let i = 0; i < config.layers; i++) {
    const layer = `model.layers.${i}`;
    const normed = rows.map((row) => norm(row, `${layer}.input_layernorm`));
    const [q, k, v] = (['q_proj', 'k_proj', 'v_proj'] as const).map((name) =>
      normed.map((row) => linear(row, `${layer}.self_attn.${name}`)),
    ) as [number[][], number[][], number[][]];
    rows = rows.map((row, at) => {
      const attended = Array.from({ length: heads }, (_, head) => {
        const group = Math.floor(head / (heads / keyValueHeads));
        const seen = ids.map((_, key) => key).filter((key) => allows(pattern, { head, q: at, k: key }));
        const scores = seen.map((key) => {
          const isSink = cached !== undefined && key < cached.sinks && at - key > cached.left;
          const from = isSink ? Math.min(at, cached.left + cached.sinks) : at;
          const query = rotate(headOf(q[at] ?? [], head), from);
          return dot(query, rotate(headOf(k[key] ?? [], group), key)) / Math.sqrt(headWidth);
        });
        const largest = Math.max(...scores);
        const shares = scores.map((score) => Math.exp(score - largest));
        const total = shares.reduce((sum, share) => sum + share, 0);
        return Array.from({ length: headWidth }, (_, d) =>
          seen.reduce((sum, key, j) => sum + ((shares[j] ?? 0) / total) * (headOf(v[key] ?? [], group)[d] ?? 0), 0),
        );
      }).flat();
      const middle = linear(attended, `${layer}.self_attn.o_proj`).map((value, d) => value + (row[d] ?? 0));
      const second = norm(middle, `${layer}.post_attention_layernorm`);
      const gate = linear(second, `${layer}.mlp.gate_proj`);
      const up = linear(second, `${layer}.mlp.up_proj`);
      const inner = gate.map((value, d) => (value / (1 + Math.exp(-value))) * (up[d] ?? 0));
      return linear(inner, `${layer}.mlp.down_proj`).map((value, d) => value + (middle[d] ?? 0));
    });
  }
  return rows.map((row) => linear(norm(row, 'model.norm'), 'lm_head'));
}
