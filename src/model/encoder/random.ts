/** Encoders with random weights, in the sizes of published ones: for measurements that need no download. */
import type { Checkpoint } from '../../checkpoint/index.ts';
import { CheckpointError } from '../../errors.ts';
import { EncoderTensors } from './tensors.ts';

const bert = {
  hidden_size: 768,
  intermediate_size: 3072,
  num_hidden_layers: 12,
  num_attention_heads: 12,
  type_vocab_size: 2,
  layer_norm_eps: 1e-12,
  hidden_act: 'gelu',
  pad_token_id: 0,
  vocab_size: 30_522,
};

const roberta = { ...bert, type_vocab_size: 1, layer_norm_eps: 1e-5, pad_token_id: 1, vocab_size: 50_265 };

/** The fields of config.json of published models, but for max_position_embeddings. */
export const GEOMETRIES = {
  'longformer-base': { ...roberta, model_type: 'longformer', attention_window: 512 },
  'roberta-base': { ...roberta, model_type: 'roberta' },
  'bert-base': { ...bert, model_type: 'bert' },
  'bigbird-base': { ...bert, model_type: 'big_bird', hidden_act: 'gelu_new', vocab_size: 50_358, block_size: 64 },
  'modernbert-base': {
    model_type: 'modernbert',
    vocab_size: 50_368,
    hidden_size: 768,
    intermediate_size: 1152,
    num_hidden_layers: 22,
    num_attention_heads: 12,
  },
  'minilm-l6': {
    ...bert,
    model_type: 'bert',
    hidden_size: 384,
    intermediate_size: 1536,
    num_hidden_layers: 6,
  },
} as const;

export type Geometry = keyof typeof GEOMETRIES;

/** config.json of a geometry with learned positions for so many tokens, and perhaps fewer layers. */
export function geometryConfig(
  geometry: Geometry,
  tokens: number,
  layers: number = GEOMETRIES[geometry].num_hidden_layers,
): Readonly<Record<string, unknown>> {
  // RoBERTa's positions begin behind the padding's.
  return { ...GEOMETRIES[geometry], max_position_embeddings: tokens + 2, num_hidden_layers: layers };
}

const EMPTY: Checkpoint = {
  names: () => [],
  has: () => false,
  info: refuse,
  read: async (name) => refuse(name),
  readRows: async (name) => refuse(name),
  close: async () => undefined,
};

function refuse(name: string): never {
  throw new CheckpointError(`${name}: a geometry has no file of weights`);
}

/** Tensors of any name and shape: norms are 1, all else is about normally distributed with deviation 0.02, as encoders are initialized. */
export class RandomTensors extends EncoderTensors {
  constructor() {
    super({ checkpoint: EMPTY, source: 'random weights', prefix: '', headNames: [] });
  }

  override ask(name: string, shape: readonly number[]) {
    const length = shape.reduce((product, side) => product * side, 1);
    const isNorm = shape.length === 1 && name.endsWith('.weight');
    const load = async () => (isNorm ? new Float32Array(length).fill(1) : randomNumbers(name, 0, length));
    return { name, load };
  }

  override askRows(name: string, [, ...others]: readonly number[]) {
    const width = others.reduce((product, side) => product * side, 1);
    return async (first: number, count: number) => randomNumbers(name, first * width, count * width);
  }

  override check(): void {}
}

/**
 * `length` of a name's numbers from number `first` on, the same on every run: sums of four uniform numbers, the bytes of the mixed
 * count (the finalizer of MurmurHash3).
 */
function randomNumbers(name: string, first: number, length: number): Float32Array {
  const seed = Array.from(name).reduce(
    (hash, letter) => Math.imul(hash ^ letter.charCodeAt(0), 0x01000193),
    0x811c9dc5,
  );
  const data = new Float32Array(length);
  for (let i = 0; i < length; i++) {
    let bits = (seed + Math.imul(first + i, 0x9e3779b1)) | 0;
    bits = Math.imul(bits ^ (bits >>> 16), 0x85ebca6b);
    bits = Math.imul(bits ^ (bits >>> 13), 0xc2b2ae35);
    bits ^= bits >>> 16;
    const sum = (bits & 255) + ((bits >>> 8) & 255) + ((bits >>> 16) & 255) + (bits >>> 24);
    // Four bytes: mean 510, deviation 147.8.
    data[i] = (0.02 * (sum - 510)) / 147.8;
  }
  return data;
}
