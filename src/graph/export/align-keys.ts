import type { BatchAttentionNode } from '../import/batch-attention.ts';
import type { Emitter } from './emitter.ts';

/**
 * The node with each entry's keys moved to the end of their buffer, so that the last query of every entry stands at the last key, as the
 * lowering takes it. Distances of queries and keys stay; places of keys do not, so a pattern that names places (sinks) sees other keys in
 * entries whose past is shorter. A first prompt, which has as many keys as queries, stays as it is.
 */
export function alignKeys(emitter: Emitter, node: BatchAttentionNode): BatchAttentionNode {
  const { q, k, v, keyMask } = node.inputs;
  if (node.ownPasts !== true || keyMask === undefined) return node;
  const { edit } = emitter;
  const made = (what: string, make: () => string): string => edit.once(`aligned ${what} of ${keyMask}`, make);
  const keys = emitter.side(k, 2);
  const places = emitter.range(emitter.int64(0), keys);
  /** int64 [B, 1]: keys that an entry lacks. */
  const missing = made('steps', () => {
    const counted = emitter.op('ReduceSum', [emitter.cast(keyMask, 'int64'), emitter.int64(1)], 'int64');
    const hasPast = emitter.op('Greater', [keys, emitter.side(q, 2)], 'bool');
    return emitter.op('Where', [hasPast, emitter.op('Sub', [keys, counted], 'int64'), emitter.int64(0)], 'int64');
  });
  const indices = made('places', () => {
    const from = emitter.op('Max', [emitter.op('Sub', [places, missing], 'int64'), emitter.int64(0)], 'int64');
    return emitter.op('Unsqueeze', [from, emitter.int64(-1)], 'int64'); // [B, M, 1]
  });
  const mask = made('mask', () => {
    const isOwn = emitter.op('GreaterOrEqual', [places, missing], 'bool');
    const isFirst = emitter.op('Equal', [keys, emitter.side(q, 2)], 'bool');
    const both = (a: string, b: string) => emitter.op('And', [a, b], 'bool');
    const others = both(emitter.op('Not', [isFirst], 'bool'), isOwn);
    return emitter.op('Or', [both(isFirst, keyMask), others], 'bool');
  });
  const moved = (name: string): string => {
    const byKey = emitter.transpose(name, [0, 2, 1, 3]); // [B, M, G, D]
    const batch = { batch_dims: { type: 'int', value: 1 } } as const;
    const output = emitter.transpose(emitter.op('GatherND', [byKey, indices], 'float32', batch), [0, 2, 1, 3]);
    const value = edit.values.get(name);
    if (value !== undefined) edit.values.set(output, { ...value, name: output });
    return output;
  };
  return { ...node, inputs: { ...node.inputs, k: moved(k), v: moved(v), keyMask: mask } };
}
