/** Runs the attention nodes of an encoder over packed rows. */
import type { Tensor, WasmDevice } from '../../attention/index.ts';
import type { AttentionCallback, AttentionInputs, AttentionNode } from '../../graph/index.ts';
import { type BlockMask, compileMask } from '../../mask/index.ts';
import type { ScoresOf } from './builder.ts';
import type { Layout, PairsOf, WeightedPattern } from './layout.ts';

export interface PackedAttentionOptions {
  /** By the name of a node. */
  readonly pairsOf: ReadonlyMap<string, PairsOf>;
  /** By the name of a node: what is done to its scores. */
  readonly scores?: ReadonlyMap<string, ScoresOf>;
  readonly signal?: AbortSignal | undefined;
}

/**
 * The callback for one run. Nodes of equal pairs share a compiled mask. Where a node has pairs that count several times, each weight
 * is a softmax of its own, and they are merged by their log-sum-exps, which is exact.
 */
export function packedAttention(
  device: WasmDevice,
  layout: Layout,
  { pairsOf, scores, signal }: PackedAttentionOptions,
): AttentionCallback {
  const masks = new Map<string, BlockMask>();
  const maskOf = ({ pattern }: WeightedPattern, heads: number, keys: number): BlockMask => {
    const key = `${heads} ${keys} ${JSON.stringify(pattern)}`;
    const known = masks.get(key);
    if (known !== undefined) return known;
    const made = compileMask(pattern, { queries: layout.rows, keys, heads, queryOffset: 0, length: Infinity });
    masks.set(key, made);
    return made;
  };
  return async (node, inputs) => {
    const weighted = pairsOf.get(node.name)?.(layout) ?? [{ pattern: node.pattern, weight: 1 }];
    const [first, ...others] = weighted;
    if (first === undefined) {
      inputs.output.fill(0);
      inputs.lse?.fill(-Infinity);
      return;
    }
    const { heads } = node;
    const keys = inputs.k.length / (node.keyValueHeads * node.width);
    const score = scores?.get(node.name)?.(layout);
    const attend = (pairs: WeightedPattern, output: Float32Array) =>
      device.attention({
        ...operands(node, inputs, output, keys),
        mask: maskOf(pairs, heads, keys),
        ...(score ? { score } : {}),
        ...(signal ? { signal } : {}),
      });
    const { lse } = await attend(first, inputs.output);
    shiftBy(lse, Math.log(first.weight));
    if (others.length === 0) {
      writeLse(lse, heads, inputs.lse);
      return;
    }
    const own = device.allocate(inputs.output.length);
    try {
      for (const pairs of others) {
        const result = await attend(pairs, own);
        shiftBy(result.lse, Math.log(pairs.weight));
        merge({ output: inputs.output, lse }, { output: own, lse: result.lse }, heads);
      }
      writeLse(lse, heads, inputs.lse);
    } finally {
      device.release(own);
    }
  };
}

function operands(node: AttentionNode, { rows, q, k, v }: AttentionInputs, output: Float32Array, keys: number) {
  const { heads, keyValueHeads, width, valueWidth, scale, softcap } = node;
  const tensor = (data: Float32Array, length: number, count: number, size: number): Tensor => ({
    data,
    shape: [1, length, count, size],
    layout: 'BNHD',
  });
  return {
    q: tensor(q, rows, heads, width),
    k: tensor(k, keys, keyValueHeads, width),
    v: tensor(v, keys, keyValueHeads, valueWidth),
    output: tensor(output, rows, heads, valueWidth),
    scale,
    ...(softcap === undefined ? {} : { softcap }),
  };
}

/** Every pair counted w times adds ln w to the log-sum-exp. */
function shiftBy(lse: Float32Array, amount: number): void {
  if (amount !== 0) for (let i = 0; i < lse.length; i++) lse[i] = (lse[i] ?? 0) + amount;
}

/** [H, N] to [N, H]. */
function writeLse(lse: Float32Array, heads: number, into: Float32Array | undefined): void {
  if (into === undefined) return;
  const rows = lse.length / heads;
  for (let i = 0; i < into.length; i++) into[i] = lse[(i % heads) * rows + Math.floor(i / heads)] ?? -Infinity;
}

interface Part {
  /** [N, H*E] */
  readonly output: Float32Array;
  /** [H, N] */
  readonly lse: Float32Array;
}

/** Adds the pairs of `other` to the softmax of `sum`. */
function merge(sum: Part, other: Part, heads: number): void {
  const rows = sum.lse.length / heads;
  const width = sum.output.length / rows / heads;
  for (let head = 0; head < heads; head++) {
    for (let row = 0; row < rows; row++) {
      const a = sum.lse[head * rows + row] ?? -Infinity;
      const b = other.lse[head * rows + row] ?? -Infinity;
      if (b === -Infinity) continue;
      const top = Math.max(a, b);
      const total = top + Math.log(Math.exp(a - top) + Math.exp(b - top));
      const [share, otherShare] = [Math.exp(a - total), Math.exp(b - total)];
      const at = (row * heads + head) * width;
      for (let i = at; i < at + width; i++) {
        sum.output[i] = share * (sum.output[i] ?? 0) + otherShare * (other.output[i] ?? 0);
      }
      sum.lse[head * rows + row] = total;
    }
  }
}
