import type { AttentionNode } from '../ir.ts';

/** Rows of a SparseAttention node: all rows of the batch. Letters as in attention/types.ts. */
export interface AttentionRows {
  readonly rows: number;
  /** [rows, H*D] */
  readonly q: Float32Array;
  /** [rows, G*D] */
  readonly k: Float32Array;
  /** [rows, G*E] */
  readonly v: Float32Array;
  /** [H] */
  readonly sinkLogits?: Float32Array;
  /** [rows, H*E]: written by forward(), read by backward(). */
  readonly output: Float32Array;
  /** [rows, H], where the graph reads it: natural log, -Infinity for a row that sees no key. Written by forward(), read by backward(). */
  readonly lse?: Float32Array;
}

export interface AttentionGradientRows extends AttentionRows {
  /** Gradient of the output [rows, H*E]. */
  readonly gradOutput: Float32Array;
  /** Gradient of the log-sum-exps [rows, H], where they have one. */
  readonly gradLse?: Float32Array;
  /** To be written: [rows, H*D], [rows, G*D], [rows, G*E] and, where there are sink logits, [H]. */
  readonly gradQ: Float32Array;
  readonly gradK: Float32Array;
  readonly gradV: Float32Array;
  readonly gradSinkLogits?: Float32Array;
}

/** Computes the attention nodes of a training step, forward and backward. */
export interface AttentionPass {
  /** Writes `output`; gives what backward() needs beside it, e.g. the log-sum-exps. */
  forward(node: AttentionNode, rows: AttentionRows, signal?: AbortSignal): Promise<unknown>;
  /** Writes the gradients; `state` is what forward() gave for the same rows. */
  backward(node: AttentionNode, rows: AttentionGradientRows, state: unknown, signal?: AbortSignal): Promise<void>;
}
