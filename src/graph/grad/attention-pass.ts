import type { NumberType } from '../../attention/index.ts';
import { ArgumentError } from '../../errors.ts';
import type { AttentionNode } from '../ir.ts';
import type { StoredRows } from './row-storage.ts';

/** Rows of a SparseAttention node: all rows of the batch. Letters as in attention/types.ts. */
export interface AttentionRows<Rows extends StoredRows = StoredRows> {
  readonly rows: number;
  /** How those arrays are stored that are Uint16Array. */
  readonly type?: NumberType;
  /** [rows, H*D] */
  readonly q: Rows;
  /** [rows, G*D] */
  readonly k: Rows;
  /** [rows, G*E] */
  readonly v: Rows;
  /** [H] */
  readonly sinkLogits?: Float32Array;
  /** [rows, H*E]: written by forward(), read by backward(). */
  readonly output: Rows;
  /** [rows, H], where the graph reads it: natural log, -Infinity for a row that sees no key. Written by forward(), read by backward(). */
  readonly lse?: Float32Array;
}

export interface AttentionGradientRows<Rows extends StoredRows = StoredRows> extends AttentionRows<Rows> {
  /** Gradient of the output [rows, H*E]. */
  readonly gradOutput: Rows;
  /** Gradient of the log-sum-exps [rows, H], where they have one. */
  readonly gradLse?: Float32Array;
  /**
   * To be written: [rows, H*D], [rows, G*D], [rows, G*E] and, where there are sink logits, [H]. Each may lie where q, k or v does, which nobody
   * reads afterwards.
   */
  readonly gradQ: Rows;
  readonly gradK: Rows;
  readonly gradV: Rows;
  readonly gradSinkLogits?: Float32Array;
}

/** Computes the attention nodes of a training step, forward and backward. */
export interface AttentionPass {
  /** Writes `output`; gives what backward() needs beside it, e.g. the log-sum-exps. */
  forward(node: AttentionNode, rows: AttentionRows, signal?: AbortSignal): Promise<unknown>;
  /** Writes the gradients; `state` is what forward() gave for the same rows. */
  backward(node: AttentionNode, rows: AttentionGradientRows, state: unknown, signal?: AbortSignal): Promise<void>;
}

/** The same rows, for a pass that computes on float32 alone. @throws ArgumentError where they are stored in 16 bits. */
export function floatRows(rows: AttentionRows): AttentionRows<Float32Array> {
  const { q, k, v, output } = rows;
  return { ...rows, q: floats('q', q), k: floats('k', k), v: floats('v', v), output: floats('output', output) };
}

/** floatRows() with the gradients. */
export function floatGradientRows(rows: AttentionGradientRows): AttentionGradientRows<Float32Array> {
  return {
    ...rows,
    ...floatRows(rows),
    gradOutput: floats('gradOutput', rows.gradOutput),
    gradQ: floats('gradQ', rows.gradQ),
    gradK: floats('gradK', rows.gradK),
    gradV: floats('gradV', rows.gradV),
  };
}

function floats(name: string, data: StoredRows): Float32Array {
  if (data instanceof Float32Array) return data;
  throw new ArgumentError(`this attention is trained in float32, ${name} is stored in 16 bits; use precision 'f32'`);
}
