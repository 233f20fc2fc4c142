import { attention, type Tensor, type WasmDevice } from '../../attention/index.ts';
import { ArgumentError } from '../../errors.ts';
import { type BlockMask, type CompileOptions, compileMask, refineMask } from '../../mask/index.ts';
import type { Pattern } from '../../pattern/pattern.ts';
import type { HostTensor } from '../backend.ts';
import type { BatchAttentionCallback } from './batch-program.ts';

/**
 * Runs the attention nodes of an imported graph by attention(), on `device` or the shared one. A mask is compiled once for a pattern
 * and its lengths, and cut by the key mask of each batch entry.
 */
export function kernelAttention(device?: WasmDevice): BatchAttentionCallback {
  const masks = new Map<string, BlockMask>();
  const maskOf = (pattern: Pattern, sizes: Pick<CompileOptions, 'heads' | 'queries' | 'keys' | 'queryOffset'>) => {
    const key = JSON.stringify([pattern, sizes]);
    const known = masks.get(key);
    if (known !== undefined) return known;
    // Texts of another length are not likely to come back.
    if (masks.size >= 64) masks.clear();
    const made = compileMask(pattern, { ...sizes, length: Infinity });
    masks.set(key, made);
    return made;
  };
  return async (node, inputs, { signal }) => {
    if (node.globals !== undefined || node.scores !== undefined || node.lse !== undefined) {
      throw new ArgumentError(
        `attention ${node.name}: tokens that are global when the graph runs, score modifiers and log-sum-exps can only be exported`,
      );
    }
    const [q, k, v] = (['q', 'k', 'v'] as const).map((name) => tensorOf(inputs[name], `${node.name}: ${name}`)) as [
      Tensor,
      Tensor,
      Tensor,
    ];
    const [heads, queries, keys] = [q.shape[1], q.shape[2], k.shape[2]];
    const { sinkLogits } = inputs;
    const attend = (own: { q: Tensor; k: Tensor; v: Tensor; mask: BlockMask; output?: Tensor }) =>
      attention({
        ...own,
        scale: node.scale,
        ...(node.softcap === undefined ? {} : { softcap: node.softcap }),
        ...(sinkLogits?.type === 'float32' ? { sinkLogits: sinkLogits.data } : {}),
        ...(device === undefined ? {} : { device }),
        ...(signal === undefined ? {} : { signal }),
      });
    const kept = keptKeys(inputs.keyMask);
    const sizes = { heads, queries, keys };
    if (kept === undefined || node.ownPasts !== true || keys <= queries) {
      const mask = maskOf(node.pattern, sizes);
      const within = kept?.map(({ pattern }) => pattern);
      const { output } = await attend({ q, k, v, mask: within === undefined ? mask : refineMask(mask, { within }) });
      return { type: 'float32', data: output.data, shape: [...output.shape] };
    }
    // Each entry by itself, its queries at the end of its own keys. Keys behind them are the future, which the pattern leaves out.
    const shape = [q.shape[0], heads, queries, v.shape[3]] as const;
    const output: Tensor = { data: new Float32Array(shape.reduce((product, side) => product * side, 1)), shape };
    for (const [b, { count }] of kept.entries()) {
      const mask = maskOf(node.pattern, { ...sizes, queryOffset: count - queries });
      await attend({ q: entryOf(q, b), k: entryOf(k, b), v: entryOf(v, b), mask, output: entryOf(output, b) });
    }
    return { type: 'float32', data: output.data, shape: [...shape] };
  };
}

/** One entry of a batch, as a batch of one. */
function entryOf({ data, shape }: Tensor, b: number): Tensor {
  const [, ...sides] = shape;
  const size = sides.reduce((product, side) => product * side, 1);
  return { data: data.subarray(b * size, (b + 1) * size), shape: [1, ...sides] };
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

interface KeptKeys {
  readonly pattern: Pattern;
  readonly count: number;
}

/** The keys of each batch entry that the mask keeps; undefined where it keeps all. */
function keptKeys(keyMask: HostTensor | undefined): KeptKeys[] | undefined {
  if (keyMask?.type !== 'bool' || !keyMask.data.includes(0)) return undefined;
  const [batch = 0, keys = 0] = keyMask.shape;
  return Array.from({ length: batch }, (_, b) => {
    const kept = keyMask.data.subarray(b * keys, (b + 1) * keys);
    return { pattern: keptColumns(kept), count: kept.reduce((sum, own) => sum + own, 0) };
  });
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
