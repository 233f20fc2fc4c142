/** Trains the attention nodes of an encoder over packed rows. */
import type { Tensor, WasmDevice } from '../../attention/index.ts';
import {
  type AttentionGradientRows,
  type AttentionNode,
  type AttentionPass,
  type AttentionRows,
  floatGradientRows,
  floatRows,
} from '../../graph/index.ts';
import { type BlockMask, compileMask } from '../../mask/index.ts';
import { packedAttention } from './attend.ts';
import type { Layout, PairsOf, WeightedPattern } from './layout.ts';

/**
 * The pass for one batch, with the pairs of packedAttention(). Where pairs count several times, the merged softmax has the probability
 * w exp(score - lse) for a pair of weight w: each weight's pairs give their share of the gradients from the merged output and
 * lse - ln w.
 */
export class EncoderGradientPass implements AttentionPass {
  readonly #device: WasmDevice;
  readonly #layout: Layout;
  readonly #pairsOf: ReadonlyMap<string, PairsOf>;
  readonly #masks = new Map<string, BlockMask>();

  constructor(device: WasmDevice, layout: Layout, pairsOf: ReadonlyMap<string, PairsOf>) {
    this.#device = device;
    this.#layout = layout;
    this.#pairsOf = pairsOf;
  }

  /** Gives the log-sum-exps [rows, H]. */
  async forward(node: AttentionNode, given: AttentionRows, signal?: AbortSignal): Promise<Float32Array> {
    const rows = floatRows(given);
    const lse = rows.lse ?? new Float32Array(rows.rows * node.heads);
    const attend = packedAttention(this.#device, this.#layout, { pairsOf: this.#pairsOf, signal });
    await attend(node, { ...rows, lse });
    // The buffer of rows.lse is another's by the time of the backward pass, where this pass is not computed again.
    return lse === rows.lse ? Float32Array.from(lse) : lse;
  }

  async backward(
    node: AttentionNode,
    given: AttentionGradientRows,
    state: unknown,
    signal?: AbortSignal,
  ): Promise<void> {
    const rows = floatGradientRows(given);
    const { heads, keyValueHeads, width, valueWidth, scale, softcap } = node;
    const merged = byHeads(state as Float32Array, heads);
    const gradLse = rows.gradLse === undefined ? undefined : byHeads(rows.gradLse, heads);
    const tensor = (data: Float32Array, count: number, size: number): Tensor => ({
      data,
      shape: [1, rows.rows, count, size],
      layout: 'BNHD',
    });
    // Not yet where they go: that may be the memory of q, k and v, which each of the patterns reads.
    const sums = [rows.gradQ, rows.gradK, rows.gradV].map(({ length }) => new Float32Array(length));
    for (const pairs of this.#pairsOf.get(node.name)?.(this.#layout) ?? [{ pattern: node.pattern, weight: 1 }]) {
      const shift = Math.log(pairs.weight);
      const { gradQ, gradK, gradV } = await this.#device.attentionGradients({
        q: tensor(rows.q, heads, width),
        k: tensor(rows.k, keyValueHeads, width),
        v: tensor(rows.v, keyValueHeads, valueWidth),
        output: tensor(rows.output, heads, valueWidth),
        gradOutput: tensor(rows.gradOutput, heads, valueWidth),
        lse: shift === 0 ? merged : merged.map((value) => value - shift),
        mask: this.#mask(pairs, heads),
        scale,
        ...(softcap === undefined ? {} : { softcap }),
        ...(gradLse === undefined ? {} : { gradLse }),
        signal,
      });
      for (const [i, { data }] of [gradQ, gradK, gradV].entries()) addTo(sums[i] as Float32Array, data);
    }
    for (const [i, gradient] of [rows.gradQ, rows.gradK, rows.gradV].entries()) gradient.set(sums[i] as Float32Array);
  }

  #mask({ pattern }: WeightedPattern, heads: number): BlockMask {
    const key = `${heads} ${JSON.stringify(pattern)}`;
    const { rows } = this.#layout;
    const mask =
      this.#masks.get(key) ??
      compileMask(pattern, { queries: rows, keys: rows, heads, queryOffset: 0, length: Number.POSITIVE_INFINITY });
    this.#masks.set(key, mask);
    return mask;
  }
}

/** [N, H] to [H, N]. */
function byHeads(values: Float32Array, heads: number): Float32Array {
  const rows = values.length / heads;
  return Float32Array.from(values, (_, i) => values[(i % rows) * heads + Math.floor(i / rows)] as number);
}

function addTo(sum: Float32Array, part: Float32Array): void {
  for (let i = 0; i < sum.length; i++) sum[i] += part[i] as number;
}
