/** A tiny BERT with random weights, and its definition in float64, for tests. */
import type { WasmDevice } from '../../attention/index.ts';
import { createNodeBackend } from '../../graph/index.ts';
import type { Pattern } from '../../pattern/index.ts';
import type { Tokenizer } from '../../text/index.ts';
import { checkpointOf } from '../testing.ts';
import type { Task } from './architecture.ts';
import { findEncoder } from './architectures.ts';
import { Encoder } from './encoder.ts';
import { EncoderTensors } from './tensors.ts';

/** As config.json has it. */
export const TINY_BERT = {
  model_type: 'bert',
  architectures: ['BertModel'],
  vocab_size: 40,
  hidden_size: 16,
  intermediate_size: 24,
  num_hidden_layers: 2,
  num_attention_heads: 2,
  max_position_embeddings: 12,
  type_vocab_size: 2,
  layer_norm_eps: 1e-5,
  hidden_act: 'gelu_new',
  pad_token_id: 0,
};

export type TinyWeights = Map<string, { shape: number[]; data: Float32Array }>;

/** The tensors of a BertModel, or of a RobertaModel, with a pooler; the same on every run (mulberry32). */
export function tinyBertWeights(config: typeof TINY_BERT = TINY_BERT): TinyWeights {
  const weights: TinyWeights = new Map();
  let state = 3;
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
  const linear = (name: string, out: number, into: number) => {
    put(`${name}.weight`, [out, into], 0.6);
    put(`${name}.bias`, [out], 0.3);
  };
  const norm = (name: string) => {
    put(`${name}.weight`, [config.hidden_size], 0.3, 1);
    put(`${name}.bias`, [config.hidden_size], 0.3);
  };
  const { hidden_size: width, intermediate_size: inner } = config;
  put('embeddings.word_embeddings.weight', [config.vocab_size, width], 1);
  put('embeddings.position_embeddings.weight', [config.max_position_embeddings, width], 1);
  put('embeddings.token_type_embeddings.weight', [config.type_vocab_size, width], 1);
  norm('embeddings.LayerNorm');
  for (let i = 0; i < config.num_hidden_layers; i++) {
    const layer = `encoder.layer.${i}`;
    for (const name of ['query', 'key', 'value']) linear(`${layer}.attention.self.${name}`, width, width);
    linear(`${layer}.attention.output.dense`, width, width);
    norm(`${layer}.attention.output.LayerNorm`);
    linear(`${layer}.intermediate.dense`, inner, width);
    linear(`${layer}.output.dense`, width, inner);
    norm(`${layer}.output.LayerNorm`);
  }
  linear('pooler.dense', width, width);
  return weights;
}

export interface TinyOptions {
  readonly config?: Readonly<Record<string, unknown>>;
  readonly weights?: TinyWeights;
  readonly task?: Task;
  readonly tokenizer?: Tokenizer;
  readonly pattern?: Pattern;
  readonly positions?: 'given' | 'repeat';
}

/** The tiny model on a device. */
export async function openTinyEncoder(device: WasmDevice, options: TinyOptions = {}): Promise<Encoder> {
  const { config = TINY_BERT, weights = tinyBertWeights(), pattern, positions = 'given' } = options;
  const source = 'tiny';
  const { architecture, task } = findEncoder(config, source, options.task);
  const { prefix, headNames } = architecture;
  const tensors = new EncoderTensors({ checkpoint: checkpointOf(weights), source, prefix, headNames });
  const model = architecture.read(config, { source, task, tensors, pattern, positions });
  const backend = await createNodeBackend({ threads: 1 });
  return Encoder.create({
    model,
    task,
    config,
    tokenizer: options.tokenizer,
    tensors,
    device,
    backend,
    close: async () => undefined,
  });
}

export interface DefinedSequence {
  readonly ids: readonly number[];
  readonly tokenTypes?: readonly number[];
  /** Row of the table of positions for each token. Default: counted from 0. */
  readonly positions?: readonly number[];
  /** Whether a query sees a key. Default: always. */
  readonly sees?: (q: number, k: number) => boolean;
}

/** The last hidden state [n][hidden] by definition, in float64, pair by pair. */
export function bertDefinition(weights: TinyWeights, sequence: DefinedSequence, config = TINY_BERT): number[][] {
  const { num_attention_heads: heads, layer_norm_eps: epsilon } = config;
  const { ids, tokenTypes, positions, sees = () => true } = sequence;
  const data = (name: string) => weights.get(name)?.data ?? new Float32Array();
  const width = config.hidden_size;
  const linear = (x: readonly number[], name: string): number[] => {
    const matrix = data(`${name}.weight`);
    return Array.from(data(`${name}.bias`), (bias, row) =>
      x.reduce((sum, value, i) => sum + value * (matrix[row * x.length + i] ?? 0), bias),
    );
  };
  const norm = (x: readonly number[], name: string): number[] => {
    const mean = x.reduce((sum, value) => sum + value, 0) / x.length;
    const variance = x.reduce((sum, value) => sum + (value - mean) ** 2, 0) / x.length;
    const [weight, bias] = [data(`${name}.weight`), data(`${name}.bias`)];
    return x.map((value, i) => ((value - mean) / Math.sqrt(variance + epsilon)) * (weight[i] ?? 0) + (bias[i] ?? 0));
  };
  const gelu = (x: number) => 0.5 * x * (1 + Math.tanh(Math.sqrt(2 / Math.PI) * (x + 0.044715 * x ** 3)));
  const sum = (a: readonly number[], b: readonly number[]) => a.map((value, i) => value + (b[i] ?? 0));
  const row = (name: string, index: number) => [...data(`${name}.weight`).subarray(index * width, (index + 1) * width)];
  const size = width / heads;
  const part = (x: readonly number[] | undefined, head: number) => (x ?? []).slice(head * size, (head + 1) * size);

  let rows = ids.map((id, i) => {
    const place = row('embeddings.position_embeddings', positions?.[i] ?? i);
    const kind = row('embeddings.token_type_embeddings', tokenTypes?.[i] ?? 0);
    return norm(sum(sum(row('embeddings.word_embeddings', id), place), kind), 'embeddings.LayerNorm');
  });
  for (let i = 0; i < config.num_hidden_layers; i++) {
    const layer = `encoder.layer.${i}`;
    const [q, k, v] = (['query', 'key', 'value'] as const).map((name) =>
      rows.map((x) => linear(x, `${layer}.attention.self.${name}`)),
    ) as [number[][], number[][], number[][]];
    rows = rows.map((x, at) => {
      const keys = ids.map((_, key) => key).filter((key) => sees(at, key));
      const attended = Array.from({ length: heads }, (_, head) => {
        const query = part(q[at], head);
        const scores = keys.map((key) => {
          const other = part(k[key], head);
          return query.reduce((total, value, d) => total + value * (other[d] ?? 0), 0) / Math.sqrt(size);
        });
        const largest = Math.max(...scores);
        const shares = scores.map((score) => Math.exp(score - largest));
        const total = shares.reduce((a, b) => a + b, 0);
        return Array.from({ length: size }, (_, d) =>
          keys.reduce((a, key, j) => a + ((shares[j] ?? 0) / total) * (part(v[key], head)[d] ?? 0), 0),
        );
      }).flat();
      const middle = norm(
        sum(linear(attended, `${layer}.attention.output.dense`), x),
        `${layer}.attention.output.LayerNorm`,
      );
      const wide = linear(middle, `${layer}.intermediate.dense`).map(gelu);
      return norm(sum(linear(wide, `${layer}.output.dense`), middle), `${layer}.output.LayerNorm`);
    });
  }
  return rows;
}
