/** Keys and values of a decoder's outputs, several of one length side by side. */
import type { Tensor, WasmDevice } from '../../attention/index.ts';
import type { AttentionInputs, AttentionNode } from '../../graph/index.ts';
import { type BlockMask, compileMask } from '../../mask/index.ts';
import { causal } from '../../pattern/index.ts';
import type { Scores } from './decode.ts';

/** By layer: [beams, length, H*D] each. */
interface LayerCache {
  k: Float32Array;
  v: Float32Array;
}

/**
 * Each step appends the same number of tokens to every output. Outputs are a batch of the attention, so that none sees another. select()
 * says which outputs go on, and how often: it copies what they have, a few megabytes for outputs of a few hundred tokens.
 */
export class BeamCache {
  readonly #device: WasmDevice;
  readonly #layers: LayerCache[];
  #beams = 1;
  #length = 0;
  #mask: BlockMask | undefined;

  constructor(device: WasmDevice, layers: number) {
    this.#device = device;
    this.#layers = Array.from({ length: layers }, () => ({ k: new Float32Array(), v: new Float32Array() }));
  }

  /** Tokens of each output. */
  get length(): number {
    return this.#length;
  }

  /** Goes on with these outputs: output i is then what output `parents[i]` was. */
  select(parents: readonly number[]): void {
    if (parents.length === this.#beams && parents.every((parent, i) => parent === i)) return;
    for (const layer of this.#layers) {
      layer.k = pick(layer.k, this.#beams, parents);
      layer.v = pick(layer.v, this.#beams, parents);
    }
    this.#beams = parents.length;
  }

  /** Causal attention of `rows` new tokens of each output, [beams * rows, H*D] each. Every layer is called once before end(). */
  async attend(
    layer: number,
    node: AttentionNode,
    { q, k, v, output }: AttentionInputs,
    { score, signal }: { readonly score: ReturnType<Scores> | undefined; readonly signal: AbortSignal | undefined },
  ): Promise<void> {
    const { heads, keyValueHeads, width, valueWidth, scale } = node;
    const beams = this.#beams;
    const rows = q.length / (beams * heads * width);
    const keys = this.#length + rows;
    const own = this.#layers[layer];
    if (own === undefined) throw new TypeError(`there is no layer ${layer}`);
    own.k = append(own.k, k, beams);
    own.v = append(own.v, v, beams);
    if (this.#mask?.queries !== rows || this.#mask.keys !== keys) {
      this.#mask = compileMask(causal(), { queries: rows, keys, heads });
    }
    const tensor = (data: Float32Array, length: number, count: number, size: number): Tensor => ({
      data,
      shape: [beams, length, count, size],
      layout: 'BNHD',
    });
    await this.#device.attention({
      q: tensor(q, rows, heads, width),
      k: tensor(own.k, keys, keyValueHeads, width),
      v: tensor(own.v, keys, keyValueHeads, valueWidth),
      output: tensor(output, rows, heads, valueWidth),
      mask: this.#mask,
      scale,
      ...(score === undefined ? {} : { score }),
      ...(signal === undefined ? {} : { signal }),
    });
  }

  /** The tokens of this step belong to the outputs. */
  end(rows: number): void {
    this.#length += rows;
  }
}

function pick(data: Float32Array, beams: number, parents: readonly number[]): Float32Array {
  const size = data.length / beams;
  const result = new Float32Array(parents.length * size);
  for (const [i, parent] of parents.entries()) result.set(data.subarray(parent * size, (parent + 1) * size), i * size);
  return result;
}

function append(data: Float32Array, more: Float32Array, beams: number): Float32Array {
  const [old, added] = [data.length / beams, more.length / beams];
  const result = new Float32Array(data.length + more.length);
  for (let i = 0; i < beams; i++) {
    result.set(data.subarray(i * old, (i + 1) * old), i * (old + added));
    result.set(more.subarray(i * added, (i + 1) * added), i * (old + added) + old);
  }
  return result;
}
