import type { NumberType, Tensor, WasmDevice } from '../../attention/index.ts';
import { counted } from '../../counted.ts';
import { ArgumentError } from '../../errors.ts';
import { type BlockMask, compileMask } from '../../mask/index.ts';
import type { AttentionNode } from '../ir.ts';
import type { AttentionGradientRows, AttentionPass, AttentionRows } from './attention-pass.ts';
import type { StoredRows } from './row-storage.ts';

/** Masks that are kept: one for each pattern and length of sequence. */
const KEPT_MASKS = 64;

/** Consecutive sequences of one length: a batch of them. */
interface Run {
  readonly first: number;
  readonly length: number;
  readonly count: number;
}

/**
 * Attention of packed sequences on the wasm kernels. Each sequence is a problem of its own, with the pattern compiled for its
 * length, so sinks and global tokens are those of the sequence; neighbours of one length are a batch. Sink queries take no part:
 * training looks at sinks from the true positions.
 */
export class PackedAttention implements AttentionPass {
  readonly #device: WasmDevice;
  readonly #masks = new Map<string, BlockMask>();
  #runs: readonly Run[] = [];

  constructor(device: WasmDevice) {
    this.#device = device;
  }

  /** Sets the sequences of the next passes: the first row of each, ascending from 0, and the rows in all. */
  pack(starts: ArrayLike<number>, rows: number): void {
    const runs: Run[] = [];
    if (starts.length === 0 || starts[0] !== 0) throw new ArgumentError('starts must begin with 0');
    for (let i = 0; i < starts.length; i++) {
      const first = starts[i] as number;
      const end = i + 1 < starts.length ? (starts[i + 1] as number) : rows;
      if (!(Number.isInteger(end) && end > first)) {
        throw new ArgumentError(
          `starts[${i}] is ${first}; each must lie before the next and before the ${counted(rows, 'row')}`,
        );
      }
      const last = runs.at(-1);
      if (last?.length === end - first) runs[runs.length - 1] = { ...last, count: last.count + 1 };
      else runs.push({ first, length: end - first, count: 1 });
    }
    this.#runs = runs;
  }

  async forward(node: AttentionNode, rows: AttentionRows, signal?: AbortSignal): Promise<Float32Array[]> {
    const states: Float32Array[] = [];
    for (const run of this.#runs) {
      const { lse } = await this.#device.attention({ ...this.#problem(node, rows, run), signal });
      if (rows.lse !== undefined) byRows(lse, node.heads, run, rows.lse);
      states.push(lse);
    }
    return states;
  }

  async backward(
    node: AttentionNode,
    rows: AttentionGradientRows,
    state: unknown,
    signal?: AbortSignal,
  ): Promise<void> {
    const states = state as Float32Array[];
    const { heads, keyValueHeads, width, valueWidth } = node;
    for (const [i, run] of this.#runs.entries()) {
      const part = (data: StoredRows, count: number, size: number) => partOf(data, run, count, size, rows.type);
      const gradients = await this.#device.attentionGradients({
        ...this.#problem(node, rows, run),
        lse: states[i] as Float32Array,
        gradOutput: part(rows.gradOutput, heads, valueWidth),
        ...(rows.gradLse === undefined ? {} : { gradLse: byHeads(rows.gradLse, heads, run) }),
        gradQ: part(rows.gradQ, heads, width),
        gradK: part(rows.gradK, keyValueHeads, width),
        gradV: part(rows.gradV, keyValueHeads, valueWidth),
        signal,
      });
      const { gradSinkLogits } = rows;
      if (gradSinkLogits === undefined || gradients.gradSinkLogits === undefined) continue;
      if (i === 0) gradSinkLogits.set(gradients.gradSinkLogits);
      else for (const [h, value] of gradients.gradSinkLogits.entries()) gradSinkLogits[h] += value;
    }
  }

  #problem(node: AttentionNode, rows: AttentionRows, run: Run) {
    const { heads, keyValueHeads, width, valueWidth, scale, softcap } = node;
    return {
      q: partOf(rows.q, run, heads, width, rows.type),
      k: partOf(rows.k, run, keyValueHeads, width, rows.type),
      v: partOf(rows.v, run, keyValueHeads, valueWidth, rows.type),
      output: partOf(rows.output, run, heads, valueWidth, rows.type),
      mask: this.#mask(node, run.length),
      scale,
      ...(softcap === undefined ? {} : { softcap }),
      ...(rows.sinkLogits === undefined ? {} : { sinkLogits: rows.sinkLogits }),
    };
  }

  #mask(node: AttentionNode, length: number): BlockMask {
    const key = `${length} ${node.heads} ${JSON.stringify(node.pattern)}`;
    const known = this.#masks.get(key);
    const mask =
      known ?? compileMask(node.pattern, { queries: length, keys: length, heads: node.heads, length: Infinity });
    this.#masks.delete(key);
    this.#masks.set(key, mask);
    const [oldest] = this.#masks.keys();
    if (this.#masks.size > KEPT_MASKS && oldest !== undefined) this.#masks.delete(oldest);
    return mask;
  }
}

/** The run's rows of data [rows, heads * width] as a batch [sequences, length, heads, width]. */
function partOf(
  data: StoredRows,
  run: Run,
  heads: number,
  width: number,
  type: NumberType | undefined,
): Tensor<StoredRows> {
  const { first, length, count } = run;
  const each = heads * width;
  return {
    data: data.subarray(first * each, (first + count * length) * each),
    ...(data instanceof Uint16Array && type !== undefined ? { type } : {}),
    shape: [count, length, heads, width],
    layout: 'BNHD',
  };
}

/** Numbers of each batch entry and head [B, H, N] to the run's rows of [rows, H]. */
function byRows(values: Float32Array, heads: number, run: Run, into: Float32Array): void {
  eachPlace(heads, run, (inRows, inHeads) => {
    into[inRows] = values[inHeads] as number;
  });
}

/** The reverse of byRows(). */
function byHeads(rows: Float32Array, heads: number, run: Run): Float32Array {
  const values = new Float32Array(run.count * run.length * heads);
  eachPlace(heads, run, (inRows, inHeads) => {
    values[inHeads] = rows[inRows] as number;
  });
  return values;
}

function eachPlace(
  heads: number,
  { first, length, count }: Run,
  visit: (inRows: number, inHeads: number) => void,
): void {
  for (let b = 0; b < count; b++) {
    for (let row = 0; row < length; row++) {
      for (let h = 0; h < heads; h++) visit((first + b * length + row) * heads + h, (b * heads + h) * length + row);
    }
  }
}
