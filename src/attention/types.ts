import type { BlockMask } from '../mask/block-mask.ts';
import type { Pattern } from '../pattern/pattern.ts';
import type { Dropout } from './dropout.ts';
import type { ScoreModifier } from './score/modifier.ts';

/** How numbers are stored: IEEE 754 binary32 or binary16, or bfloat16, the upper half of a binary32. Sums are f32 always. */
export type NumberType = 'f32' | 'f16' | 'bf16';

/** What is used of Float16Array (ES2025), which older engines and TypeScript's older libraries do not have. */
export interface Float16Numbers {
  readonly [Symbol.toStringTag]: 'Float16Array';
  readonly BYTES_PER_ELEMENT: number;
  readonly buffer: ArrayBufferLike;
  readonly byteOffset: number;
  readonly byteLength: number;
  readonly length: number;
  [index: number]: number;
}

/** A Uint16Array holds the bits of f16 or bf16: toStorage() and fromStorage() convert. */
export type NumberArray = Float32Array | Uint16Array | Float16Numbers;

/**
 * Shape letters, used everywhere: B batch, H query heads, G key/value heads (H % G == 0), N queries, M keys,
 * D query/key width, E value width, T block side.
 */
export interface Tensor<Data extends NumberArray = Float32Array> {
  readonly data: Data;
  /** How `data` is stored. Default: 'f32' of a Float32Array, 'f16' of a Float16Array; needed with a Uint16Array. */
  readonly type?: NumberType;
  /** [B, H, N, D], or [B, N, H, D] where `layout` says so. */
  readonly shape: readonly [number, number, number, number];
  /** Order of the axes of `shape` and `data`. Default 'BHND'. */
  readonly layout?: 'BHND' | 'BNHD';
}

/** q, k and v may each be stored in a type of their own; so may the output, which is by default stored as q is. */
export interface AttentionOptions<
  Q extends NumberArray = Float32Array,
  K extends NumberArray = Q,
  V extends NumberArray = K,
  O extends NumberArray = Q,
> {
  /** Queries [B, H, N, D]. */
  readonly q: Tensor<Q>;
  /** Keys [B, G, M, D]. */
  readonly k: Tensor<K>;
  /** Values [B, G, M, E]. */
  readonly v: Tensor<V>;
  /** Which pairs attend: a compiled mask, or a pattern that is compiled for these lengths, and must be meant for them. Default: every pair. */
  readonly mask?: BlockMask;
  readonly pattern?: Pattern;
  /** Factor on q . k. Default 1 / sqrt(D). */
  readonly scale?: number;
  /** Soft cap c on scaled scores: c tanh(s / c) (Gemma 2, section 2). Default none. */
  readonly softcap?: number;
  /** What is done to the scaled, soft-capped scores before the softmax: alibi(), relativePositions(), ... or one's own expression. */
  readonly score?: ScoreModifier;
  /** Drops some of the probabilities, in training. Default none. */
  readonly dropout?: Dropout;
  /** One extra logit per head [H] in the softmax's denominator, with no value (gpt-oss). */
  readonly sinkLogits?: Float32Array;
  /** Where to put the result, in the layout of q. Default: a new array. Made by a device's allocate(), it saves a copy. */
  readonly output?: Tensor<O>;
  /** Cancels between blocks; the promise rejects with the signal's reason. */
  readonly signal?: AbortSignal;
}

/** Options with tensors of any type. */
export type AnyAttentionOptions = AttentionOptions<NumberArray, NumberArray, NumberArray, NumberArray>;

export interface AttentionResult<O extends NumberArray = Float32Array> {
  /** [B, H, N, E], in the layout of q. */
  readonly output: Tensor<O>;
  /** Natural-log log-sum-exp of the scores (the sink logit included) [B, H, N]; -Infinity for a row without a key. */
  readonly lse: Float32Array;
}

export interface GradientOptions<
  Q extends NumberArray = Float32Array,
  K extends NumberArray = Q,
  V extends NumberArray = K,
  O extends NumberArray = Q,
  GradO extends NumberArray = O,
> extends AttentionOptions<Q, K, V, O> {
  /** What attention() returned for the same options. */
  readonly output: Tensor<O>;
  readonly lse: Float32Array;
  /** Gradient of the output [B, H, N, E], in the layout of q. */
  readonly gradOutput: Tensor<GradO>;
  /** Gradient of lse [B, H, N]. Default zero. */
  readonly gradLse?: Float32Array;
  /**
   * Where to put the gradients, like q, k and v. Default: new arrays. Made by a device's allocate(), they save copies. gradQ may be q
   * itself where no other of the inputs is, likewise gradK and gradV: then it is written over.
   */
  readonly gradQ?: Tensor<Q>;
  readonly gradK?: Tensor<K>;
  readonly gradV?: Tensor<V>;
}

/** Options with tensors of any type. */
export type AnyGradientOptions = GradientOptions<NumberArray, NumberArray, NumberArray, NumberArray, NumberArray>;

/** Each gradient is summed in f32, and stored as what it is the gradient of. */
export interface AttentionGradients<
  Q extends NumberArray = Float32Array,
  K extends NumberArray = Q,
  V extends NumberArray = K,
> {
  /** [B, H, N, D], in the layout of q. */
  readonly gradQ: Tensor<Q>;
  /** [B, G, M, D], in the layout of k. */
  readonly gradK: Tensor<K>;
  /** [B, G, M, E], in the layout of v. */
  readonly gradV: Tensor<V>;
  /** [H], where there are sink logits. */
  readonly gradSinkLogits?: Float32Array;
  /** By name and in the shape of the score modifier's parameters, where it has some. */
  readonly gradParameters?: Readonly<Record<string, Float32Array>>;
}
