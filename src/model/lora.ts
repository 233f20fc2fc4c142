/**
 * Low-rank adapters (Hu et al., "LoRA: Low-Rank Adaptation of Large Language Models", section 4.1): a linear layer W [out, in] that is
 * left as it is computes W x + alpha / rank * B A x, with A [rank, in] and B [out, rank] trained instead.
 */
import { type Checkpoint, toFloat32 } from '../checkpoint/index.ts';
import { ArgumentError, CheckpointError } from '../errors.ts';
import { add, type GraphBuilder, gemm, type Value } from '../graph/index.ts';
import { normal } from './initialize.ts';
import type { AdaptLinear } from './llama.ts';
import type { LlamaWeights } from './llama-weights.ts';
import type { Parameter } from './trainable.ts';

/** The linear layers of a Llama: those of attention and of the feed-forward part. */
export const LORA_TARGETS = ['q_proj', 'k_proj', 'v_proj', 'o_proj', 'gate_proj', 'up_proj', 'down_proj'] as const;

export interface LoraOptions {
  /** Columns of B and rows of A, at least 1. */
  readonly rank: number;
  /** The product counts alpha / rank. Default: twice the rank. */
  readonly alpha?: number;
  /** Last parts of the names of the layers. Default LORA_TARGETS. */
  readonly targets?: readonly string[];
}

/** Adapters by the names of Hugging Face PEFT: `base_model.model.${layer}.lora_A.weight` [rank, in] and `lora_B` [out, rank]. */
export interface LoraAdapter {
  readonly rank: number;
  readonly alpha: number;
  readonly targets: readonly string[];
  readonly matrices: readonly Parameter[];
}

/** The options with their defaults. @throws ArgumentError for a rank, an alpha or targets that cannot be. */
export function loraSettings(options: LoraOptions): Required<LoraOptions> {
  const { rank, alpha = 2 * rank, targets = LORA_TARGETS } = options;
  if (!(Number.isSafeInteger(rank) && rank >= 1)) {
    throw new ArgumentError(`lora: rank is ${rank}; it must be a whole number from 1`);
  }
  if (!(Number.isFinite(alpha) && alpha > 0)) {
    throw new ArgumentError(`lora: alpha is ${alpha}; it must be a number above 0`);
  }
  const unknown = targets.find((target) => !LORA_TARGETS.some((known) => known === target));
  if (unknown !== undefined || targets.length === 0) {
    throw new ArgumentError(`lora: targets are [${targets}]; they must be some of ${LORA_TARGETS.join(', ')}`);
  }
  return { rank, alpha, targets };
}

/** PEFT's name of a layer's A or B. */
export function loraName(layer: string, which: 'A' | 'B'): string {
  return `base_model.model.${layer}.lora_${which}.weight`;
}

/**
 * Adapters to be trained: their matrices are inputs of the graph and come to be in `matrices`, in the order of the layers. A is normal with
 * deviation 1 / sqrt(in), drawn from the seed and the layer's name; B is zero, so that training begins at the model itself.
 */
export function newLora(
  options: LoraOptions,
  seed: number,
): { readonly adapt: AdaptLinear; readonly lora: LoraAdapter } {
  const { rank, alpha, targets } = loraSettings(options);
  const matrices: Parameter[] = [];
  const adapt: AdaptLinear = (graph, x, product, { name, rows, columns }) => {
    if (!isTarget(name, targets)) return product;
    const [a, b] = [loraName(name, 'A'), loraName(name, 'B')];
    matrices.push({ name: a, shape: [rank, columns], data: normal(rank * columns, columns ** -0.5, seed, a) });
    matrices.push({ name: b, shape: [rows, rank], data: new Float32Array(rows * rank) });
    const [valueA, valueB] = [graph.input(a, 'float32', [rank, columns]), graph.input(b, 'float32', [rows, rank])];
    return adapted(graph, x, product, valueA, valueB, alpha / rank);
  };
  return { adapt, lora: { rank, alpha, targets, matrices } };
}

/** Computes with adapters beside the weights, which may be quantized. */
export function applyLora({ rank, alpha, matrices }: LoraAdapter): AdaptLinear {
  const byName = new Map(matrices.map((matrix) => [matrix.name, matrix]));
  return (graph, x, product, { name }) => {
    const [a, b] = [byName.get(loraName(name, 'A')), byName.get(loraName(name, 'B'))];
    if (a === undefined || b === undefined) return product;
    const value = ({ name: own, shape, data }: Parameter) => graph.initializer(own, 'float32', [...shape], () => data);
    return adapted(graph, x, product, value(a), value(b), alpha / rank);
  };
}

/** The weights with adapters added to them, W + alpha / rank * B A, in float32. */
export function mergeLora(weights: LlamaWeights, { rank, alpha, matrices }: LoraAdapter): LlamaWeights {
  const byName = new Map(matrices.map((matrix) => [matrix.name, matrix]));
  return {
    ...weights,
    matrix: (name) => {
      const own = weights.matrix(name);
      const layer = name.replace(/\.weight$/, '');
      const [a, b] = [byName.get(loraName(layer, 'A')), byName.get(loraName(layer, 'B'))];
      if (a === undefined || b === undefined) return own;
      const { rows, columns } = own;
      const load = async () =>
        withProduct(toFloat32(await weights.stored(name)), a.data, b.data, { rank, columns, scale: alpha / rank });
      return { rows, columns, bits: 32, load };
    },
  };
}

/**
 * Reads adapters that PEFT or a training wrote: `config` is what adapter_config.json has.
 * @throws CheckpointError for a kind of adapter that is not implemented and for matrices that are missing or do not fit the weights.
 */
export async function readLora(
  checkpoint: Checkpoint,
  config: Readonly<Record<string, unknown>>,
  weights: LlamaWeights,
  source: string,
): Promise<LoraAdapter> {
  const { peft_type: kind, r: rank, lora_alpha: alpha } = config;
  if (kind !== 'LORA' || typeof rank !== 'number' || typeof alpha !== 'number') {
    throw new CheckpointError(`${source}: adapter_config.json must have peft_type "LORA" and numbers r and lora_alpha`);
  }
  for (const field of ['use_dora', 'use_rslora', 'fan_in_fan_out', 'lora_bias', 'modules_to_save'] as const) {
    if (config[field])
      throw new CheckpointError(`${source}: adapter_config.json has ${field}, which is not implemented`);
  }
  for (const field of ['rank_pattern', 'alpha_pattern'] as const) {
    if (Object.keys(config[field] ?? {}).length > 0) {
      throw new CheckpointError(`${source}: adapter_config.json has ${field}, which is not implemented`);
    }
  }
  const matrices: Parameter[] = [];
  const targets = new Set<string>();
  const layers = new Set<string>();
  for (const name of checkpoint.names()) {
    const layer = /^base_model\.model\.(.+)\.lora_[AB]\.weight$/.exec(name)?.[1];
    if (layer === undefined || !weights.has(`${layer}.weight`) || !isTarget(layer, LORA_TARGETS)) {
      throw new CheckpointError(`${source}: ${name} is not an adapter of a linear layer of this model`);
    }
    targets.add(layer.slice(layer.lastIndexOf('.') + 1));
    layers.add(layer);
  }
  for (const layer of layers) {
    const { rows, columns } = weights.matrix(`${layer}.weight`);
    for (const [which, shape] of [
      ['A', [rank, columns]],
      ['B', [rows, rank]],
    ] as const) {
      const name = loraName(layer, which);
      const found = checkpoint.has(name) ? checkpoint.info(name).shape.join() : 'none';
      if (found !== shape.join()) {
        throw new CheckpointError(`${source}: ${name} has shape [${found}]; rank and model say [${shape}]`);
      }
      matrices.push({ name, shape, data: Float32Array.from(toFloat32(await checkpoint.read(name))) });
    }
  }
  return { rank, alpha, targets: [...targets], matrices };
}

/** What stands in adapter_config.json, by PEFT's names. */
export function loraConfigJson(options: LoraOptions, base: string): Record<string, unknown> {
  const { rank, alpha, targets } = loraSettings(options);
  return {
    peft_type: 'LORA',
    task_type: 'CAUSAL_LM',
    base_model_name_or_path: base,
    r: rank,
    lora_alpha: alpha,
    lora_dropout: 0,
    target_modules: targets,
    bias: 'none',
    fan_in_fan_out: false,
    inference_mode: true,
  };
}

function isTarget(layer: string, targets: readonly string[]): boolean {
  return targets.includes(layer.slice(layer.lastIndexOf('.') + 1));
}

function adapted(graph: GraphBuilder, x: Value, product: Value, a: Value, b: Value, scale: number): Value {
  const low = gemm(graph, x, a, undefined, { transB: true }); // [rows, rank]
  return add(graph, product, gemm(graph, low, b, undefined, { transB: true, alpha: scale }));
}

/** W + scale * B A, with sums in float64. */
function withProduct(
  weight: Float32Array,
  a: Float32Array,
  b: Float32Array,
  { rank, columns, scale }: { readonly rank: number; readonly columns: number; readonly scale: number },
): Float32Array {
  const sum = new Float64Array(columns);
  const result = new Float32Array(weight.length);
  for (let row = 0; row * columns < weight.length; row++) {
    sum.fill(0);
    for (let i = 0; i < rank; i++) {
      const factor = scale * (b[row * rank + i] ?? 0);
      for (let c = 0; c < columns; c++) sum[c] = (sum[c] ?? 0) + factor * (a[i * columns + c] ?? 0);
    }
    for (let c = 0; c < columns; c++) result[row * columns + c] = (weight[row * columns + c] ?? 0) + (sum[c] ?? 0);
  }
  return result;
}
