import type { BlockMask } from '../mask/block-mask.ts';
import type { Pattern } from '../pattern/pattern.ts';
import type { Dropout } from './dropout.ts';
import type { ScoreModifier } from './score/modifier.ts';

/**
 * Shape letters, used everywhere: B batch, H query heads, G key/value heads (H % G == 0), N queries, M keys,
 * D query/key width, E value width, T block side.
 */
export interface Tensor {
  readonly data: Float32Array;
  /** [B, H, N, D], or [B, N, H, D] where `layout` says so. */
  readonly shape: readonly [number, number, number, number];
  /** Order of the axes of `shape` and `data`. Default 'BHND'. */
  readonly layout?: 'BHND' | 'BNHD';
}

export interface AttentionOptions {
  /** Queries [B, H, N, D]. */
  readonly q: Tensor;
  /** Keys [B, G, M, D]. */
  readonly k: Tensor;
  /** Values [B, G, M, E]. */
  readonly v: Tensor;
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
  readonly output?: Tensor;
  /** Cancels between blocks; the promise rejects with the signal's reason. */
  readonly signal?: AbortSignal;
}

export interface AttentionResult {
  /** [B, H, N, E], in the layout of q. */
  readonly output: Tensor;
  /** Natural-log log-sum-exp of the scores (the sink logit included) [B, H, N]; -Infinity for a row without a key. */
  readonly lse: Float32Array;
}

export interface GradientOptions extends AttentionOptions {
  /** What attention() returned for the same options. */
  readonly output: Tensor;
  readonly lse: Float32Array;
  /** Gradient of the output [B, H, N, E], in the layout of q. */
  readonly gradOutput: Tensor;
  /** Gradient of lse [B, H, N]. Default zero. */
  readonly gradLse?: Float32Array;
  /** Where to put the gradients, like q, k and v. Default: new arrays. Made by a device's allocate(), they save copies. */
  readonly gradQ?: Tensor;
  readonly gradK?: Tensor;
  readonly gradV?: Tensor;
}

export interface AttentionGradients {
  /** [B, H, N, D], in the layout of q. */
  readonly gradQ: Tensor;
  /** [B, G, M, D], in the layout of k. */
  readonly gradK: Tensor;
  /** [B, G, M, E], in the layout of v. */
  readonly gradV: Tensor;
  /** [H], where there are sink logits. */
  readonly gradSinkLogits?: Float32Array;
  /** By name and in the shape of the score modifier's parameters, where it has some. */
  readonly gradParameters?: Readonly<Record<string, Float32Array>>;
}
