/** The tensors of a Llama-family checkpoint under one set of names, checked against the configuration. */
import {
  type Checkpoint,
  type QuantizedMatrix,
  type StoredTensor,
  type TensorInfo,
  toFloat32,
  toQuantizedMatrix,
} from '../checkpoint/index.ts';
import { CheckpointError } from '../errors.ts';
import type { QuantizedWeight, Weight } from '../graph/index.ts';
import type { LlamaConfig } from './llama-config.ts';

/** Suffixes of GGUF's `blk.N.` tensors (llama.cpp's names) and of Hugging Face's `model.layers.N.` tensors. */
const LAYER_NAMES = {
  'attn_norm.weight': 'input_layernorm.weight',
  'attn_q.weight': 'self_attn.q_proj.weight',
  'attn_k.weight': 'self_attn.k_proj.weight',
  'attn_v.weight': 'self_attn.v_proj.weight',
  'attn_output.weight': 'self_attn.o_proj.weight',
  'attn_q.bias': 'self_attn.q_proj.bias',
  'attn_k.bias': 'self_attn.k_proj.bias',
  'attn_v.bias': 'self_attn.v_proj.bias',
  'attn_output.bias': 'self_attn.o_proj.bias',
  'ffn_norm.weight': 'post_attention_layernorm.weight',
  'ffn_gate.weight': 'mlp.gate_proj.weight',
  'ffn_up.weight': 'mlp.up_proj.weight',
  'ffn_down.weight': 'mlp.down_proj.weight',
  'ffn_gate.bias': 'mlp.gate_proj.bias',
  'ffn_up.bias': 'mlp.up_proj.bias',
  'ffn_down.bias': 'mlp.down_proj.bias',
} as const;

const GGUF_NAMES: ReadonlyMap<string, string> = new Map([
  ['token_embd.weight', 'model.embed_tokens.weight'],
  ['output_norm.weight', 'model.norm.weight'],
  ['output.weight', 'lm_head.weight'],
]);

/** Stored by some writers beside the weights; computed here, or read apart (rope_freqs). */
const IGNORED = /(^|\.)(rotary_emb\.inv_freq|rope_freqs\.weight)$/;

/** The Hugging Face name of a GGUF tensor, or undefined where the Llama family has no such tensor. */
export function nameFromGguf(name: string): string | undefined {
  const layer = /^blk\.(\d+)\.(.+)$/.exec(name);
  if (layer === null) return GGUF_NAMES.get(name);
  const suffix = LAYER_NAMES[layer[2] as keyof typeof LAYER_NAMES];
  return suffix === undefined ? undefined : `model.layers.${layer[1]}.${suffix}`;
}

/** A checkpoint under Hugging Face names, with rows in Hugging Face order. */
export interface LlamaWeights {
  readonly tiedEmbeddings: boolean;
  /** Bytes in memory, once for the table of the embedding and once for each matrix. */
  readonly bytes: number;
  /** Whether the file has the tensor. */
  has(name: string): boolean;
  /** The tensor as it is stored: the embedding, for reading it row by row. */
  stored(name: string): Promise<StoredTensor>;
  /** A matrix [out, in] that is loaded when the graph is compiled. */
  matrix(name: string): Weight;
  /** A vector in float32: a norm's weight, a bias, `rope_freqs.weight`. */
  vector(name: string): Promise<Float32Array>;
}

/** The table of matches of Farfield's own models [sizes * vocabulary, hidden]: see latest-matches.ts. */
export const MATCH_TABLE = 'model.embed_matches.weight';

export interface LlamaWeightOptions {
  /** GGUF files have other names, and another order of rows in the query and key projections. */
  readonly format: 'gguf' | 'safetensors' | 'torch';
  /** 'quantized' keeps quantized matrices as they are; 'f32' expands them. */
  readonly weights: 'quantized' | 'f32';
  /** What errors call the file. */
  readonly source: string;
}

/** The shape that each tensor must have by the configuration. */
function expectedShapes(config: LlamaConfig, tied: boolean, hasBias: (name: string) => boolean): Map<string, number[]> {
  const { vocabularySize, hiddenSize, intermediateSize, layers, heads, keyValueHeads, headWidth } = config;
  const shapes = new Map<string, number[]>([['model.embed_tokens.weight', [vocabularySize, hiddenSize]]]);
  if (config.matches !== undefined) shapes.set(MATCH_TABLE, [config.matches.length * vocabularySize, hiddenSize]);
  const linear = (name: string, out: number, into: number, bias: boolean): void => {
    shapes.set(`${name}.weight`, [out, into]);
    if (bias || hasBias(`${name}.bias`)) shapes.set(`${name}.bias`, [out]);
  };
  for (let i = 0; i < layers; i++) {
    const layer = `model.layers.${i}`;
    shapes.set(`${layer}.input_layernorm.weight`, [hiddenSize]);
    linear(`${layer}.self_attn.q_proj`, heads * headWidth, hiddenSize, config.attentionBias);
    linear(`${layer}.self_attn.k_proj`, keyValueHeads * headWidth, hiddenSize, config.attentionBias);
    linear(`${layer}.self_attn.v_proj`, keyValueHeads * headWidth, hiddenSize, config.attentionBias);
    linear(`${layer}.self_attn.o_proj`, hiddenSize, heads * headWidth, config.attentionBias);
    shapes.set(`${layer}.post_attention_layernorm.weight`, [hiddenSize]);
    linear(`${layer}.mlp.gate_proj`, intermediateSize, hiddenSize, config.feedForwardBias);
    linear(`${layer}.mlp.up_proj`, intermediateSize, hiddenSize, config.feedForwardBias);
    linear(`${layer}.mlp.down_proj`, hiddenSize, intermediateSize, config.feedForwardBias);
  }
  shapes.set('model.norm.weight', [hiddenSize]);
  if (!tied) shapes.set('lm_head.weight', [vocabularySize, hiddenSize]);
  return shapes;
}

/**
 * Checks that a checkpoint has the tensors that the configuration asks for, all of them and no others, in the right shapes.
 * @throws CheckpointError that lists what is missing, what is unexpected, or names a tensor with both shapes.
 */
export function openLlamaWeights(
  checkpoint: Checkpoint,
  config: LlamaConfig,
  options: LlamaWeightOptions,
): LlamaWeights {
  const { format, source } = options;
  const inFile = new Map<string, string>();
  const unexpected: string[] = [];
  for (const own of checkpoint.names()) {
    const name = format === 'gguf' ? nameFromGguf(own) : own;
    if (name !== undefined) inFile.set(name, own);
    else if (!IGNORED.test(own)) unexpected.push(own);
  }
  const tied = config.tiedEmbeddings ?? !inFile.has('lm_head.weight');
  const shapes = expectedShapes(config, tied, (name) => format === 'gguf' && inFile.has(name));
  for (const [name, own] of inFile) {
    const isCopyOfEmbedding = tied && name === 'lm_head.weight';
    if (!shapes.has(name) && !IGNORED.test(own) && !isCopyOfEmbedding) unexpected.push(own);
  }
  const missing = [...shapes.keys()].filter((name) => !inFile.has(name));
  if (missing.length > 0 || unexpected.length > 0) {
    const parts = [list('are missing', missing), list('do not belong to the model', unexpected)];
    throw new CheckpointError(
      `${source}: the tensors are not those of its configuration: ${parts.filter(Boolean).join('; ')}`,
    );
  }
  for (const [name, shape] of shapes) {
    const found = checkpoint.info(inFile.get(name) ?? name).shape;
    if (found.join() !== shape.join()) {
      throw new CheckpointError(
        `${source}: tensor ${inFile.get(name)} has shape [${found.join(', ')}]; its configuration says [${shape.join(', ')}]`,
      );
    }
  }

  const stored = async (name: string): Promise<StoredTensor> => {
    const tensor = await checkpoint.read(inFile.get(name) ?? name);
    if (format !== 'gguf') return tensor;
    if (/\.q_proj\.(weight|bias)$/.test(name)) return inHalves(tensor, config.heads);
    return /\.k_proj\.(weight|bias)$/.test(name) ? inHalves(tensor, config.keyValueHeads) : tensor;
  };
  return {
    tiedEmbeddings: tied,
    bytes: bytesInMemory(
      checkpoint,
      [...shapes.keys()].map((name) => inFile.get(name) ?? name),
      tied,
      options.weights,
    ),
    has: (name) => inFile.has(name) || checkpoint.has(name),
    stored,
    vector: async (name) => toFloat32(await stored(name)),
    matrix: (name) => {
      const info = checkpoint.info(inFile.get(name) ?? name);
      const [rows = 0, columns = 0] = info.shape;
      const quantized = options.weights === 'quantized' ? quantizedWeight(info, () => stored(name)) : undefined;
      return quantized ?? { rows, columns, bits: 32, load: async () => toFloat32(await stored(name)) };
    },
  };
}

/** A quantized matrix as MatMulNBits takes it; undefined where the type is not a quantized one. */
function quantizedWeight(info: TensorInfo, read: () => Promise<StoredTensor>): QuantizedWeight | undefined {
  const [rows = 1, columns = 0] = info.shape;
  // One row of zeros tells the format of the type.
  const row = { name: info.name, type: info.type, shape: [1, columns], data: new Uint8Array(info.bytes / rows) };
  const format = toQuantizedMatrix(row);
  if (format === undefined) return undefined;
  const { bits, blockSize, zeroPoint, minimaBlock } = format;
  const middle = minimaBlock === blockSize ? 2 ** (bits - 1) : zeroPoint;
  const load = async () => {
    const matrix = toQuantizedMatrix(await read());
    if (matrix === undefined) throw new CheckpointError(`tensor "${info.name}" changed while it was read`);
    return centred(matrix, middle);
  };
  const minima = minimaBlock === undefined ? {} : { minimaBlock };
  return { rows, columns, bits, blockSize, zeroPoint: middle, ...minima, load };
}

/**
 * The same weights with another zero point: d u + m = d (u - z) + (m + d z). Multiplying integers rounds x, and an error in x
 * counts with u - z: codes around zero make it half as large as codes from zero up, and errors of one sign cancel.
 */
function centred(matrix: QuantizedMatrix, zeroPoint: number): QuantizedMatrix {
  const { minima, scales } = matrix;
  const shift = zeroPoint - matrix.zeroPoint;
  if (minima === undefined || shift === 0) return matrix;
  return { ...matrix, zeroPoint, minima: minima.map((minimum, i) => minimum + shift * (scales[i] ?? 0)) };
}

/**
 * llama.cpp's converter reorders the rows of the query and key projections, so that the two numbers that a rotation mixes
 * lie side by side: row 2i + j of a head is row j * D/2 + i of Hugging Face's. This undoes it. Whole rows move, so it is exact for
 * quantized tensors too, whose blocks lie along a row.
 */
function inHalves(tensor: StoredTensor, heads: number): StoredTensor {
  const rows = tensor.shape[0] ?? 0;
  const half = rows / heads / 2;
  const bytes = tensor.data.byteLength / rows;
  const data = new Uint8Array(tensor.data.byteLength);
  for (let head = 0; head < heads; head++) {
    for (let j = 0; j < 2; j++) {
      for (let i = 0; i < half; i++) {
        const from = (2 * half * head + 2 * i + j) * bytes;
        data.set(tensor.data.subarray(from, from + bytes), (2 * half * head + j * half + i) * bytes);
      }
    }
  }
  return { ...tensor, data };
}

/** The first name is the embedding's, of which the table is kept as stored and, where tied, the head has a copy. */
function bytesInMemory(
  checkpoint: Checkpoint,
  names: readonly string[],
  tied: boolean,
  kind: 'quantized' | 'f32',
): number {
  return names.reduce((sum, name, i) => {
    const { shape, bytes, type } = checkpoint.info(name);
    const stays = kind === 'quantized' && shape.length === 2 && !['F32', 'F16', 'BF16', 'F64'].includes(type);
    const asMatrix = stays ? bytes * 1.25 : 4 * shape.reduce((product, side) => product * side, 1);
    if (i === 0) return sum + bytes + (tied ? asMatrix : 0);
    return sum + asMatrix;
  }, 0);
}

function list(what: string, names: readonly string[]): string {
  if (names.length === 0) return '';
  const some = names.slice(0, 8).join(', ');
  return `${names.length} ${what} (${some}${names.length > 8 ? ', ...' : ''})`;
}
