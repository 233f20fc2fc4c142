import { attention, type Tensor, type WasmDevice } from '../../attention/index.ts';
import { ArgumentError } from '../../errors.ts';
import { type BlockMask, compileMask, refineMask } from '../../mask/index.ts';
import type { Pattern } from '../../pattern/pattern.ts';
import type { HostTensor } from '../backend.ts';
import type { BatchAttentionCallback } from './batch-program.ts';

/**
 * Runs the attention nodes of an imported graph by attention(), on `device` or the shared one. A mask is compiled once for a pattern
 * and its lengths, and cut by the key mask of each batch entry.
 */
export function kernelAttention(device?: WasmDevice): BatchAttentionCallback {
  const masks = new Map<string, BlockMask>();
  return async (node, inputs, { signal }) => {
    if (node.globals !== undefined) {
      throw new ArgumentError(
        `attention ${node.name}: tokens that are global when the graph runs can only be exported`,
      );
    }
    const [q, k, v] = (['q', 'k', 'v'] as const).map((name) => tensorOf(inputs[name], `${node.name}: ${name}`)) as [
      Tensor,
      Tensor,
      Tensor,
    ];
    const [heads, queries, keys] = [q.shape[1], q.shape[2], k.shape[2]];
    const key = JSON.stringify([node.pattern, heads, queries, keys]);
    let mask = masks.get(key);
    if (mask === undefined) {
      // Texts of another length are not likely to come back.
      if (masks.size >= 64) masks.clear();
      mask = compileMask(node.pattern, { heads, queries, keys, length: Infinity });
      masks.set(key, mask);
    }
    const within = keyPatterns(inputs.keyMask);
    if (within !== undefined && node.equalPasts && keys > queries) {
      throw new ArgumentError(
        `attention ${node.name}: the entries of this batch have pasts of different lengths; run them one by one`,
      );
    }
    const { sinkLogits } = inputs;
    const { output } = await attention({
      q,
      k,
      v,
      mask: within === undefined ? mask : refineMask(mask, { within }),
      scale: node.scale,
      ...(node.softcap === undefined ? {} : { softcap: node.softcap }),
      ...(sinkLogits?.type === 'float32' ? { sinkLogits: sinkLogits.data } : {}),
      ...(device === undefined ? {} : { device }),
      ...(signal === undefined ? {} : { signal }),
    });
    return { type: 'float32', data: output.data, shape: [...output.shape] };
  };
}

function tensorOf(tensor: HostTensor, what: string): Tensor {
  const [batch = 0, heads = 0, rows = 0, width = 0] = tensor.shape;
  if (tensor.type !== 'float32' || tensor.shape.length !== 4) {
    throw new ArgumentError(
      `SparseAttention ${what} must be float32 [B, H, N, D], got ${tensor.type} [${tensor.shape.join(', ')}]`,
    );
  }
  return { data: tensor.data, shape: [batch, heads, rows, width] };
}

/** The keys of each batch entry that the mask keeps, as patterns; undefined where it keeps all. */
function keyPatterns(keyMask: HostTensor | undefined): Pattern[] | undefined {
  if (keyMask?.type !== 'bool' || !keyMask.data.includes(0)) return undefined;
  const [batch = 0, keys = 0] = keyMask.shape;
  return Array.from({ length: batch }, (_, b) => keptColumns(keyMask.data.subarray(b * keys, (b + 1) * keys)));
}

/** One run of columns for each run of keys that are kept: padding leaves one. */
function keptColumns(kept: Uint8Array): Pattern {
  const runs: Pattern[] = [];
  for (let start = kept.indexOf(1); start !== -1; ) {
    const end = kept.indexOf(0, start) === -1 ? kept.length : kept.indexOf(0, start);
    runs.push({ kind: 'columns', start, count: end - start });
    start = kept.indexOf(1, end);
  }
  const [only] = runs;
  return runs.length === 1 && only !== undefined ? only : { kind: 'union', of: runs };
}
