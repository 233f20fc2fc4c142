import { ONNX_TYPE } from '../element-type.ts';
import type { GraphEdit } from '../graph-edit.ts';
import type { Node } from '../ir.ts';
import type { AttentionMatch } from './attention-match.ts';
import type { KeyTerm } from './mask-terms.ts';

/** Adds the nodes that turn masks of keys into one bool [B, M]. */
export function keyMaskOf(
  edit: GraphEdit,
  nodes: Node[],
  terms: readonly KeyTerm[],
  lengths: AttentionMatch['keyLengths'],
  { q, k }: { readonly q: string; readonly k: string },
): string | undefined {
  const names = terms.map((term) => {
    const key = `key mask of ${JSON.stringify(term)}`;
    return edit.once(key, () => oneKeyMask(edit, nodes, term, q));
  });
  if (lengths !== undefined)
    names.push(edit.once(`key lengths ${lengths.value}`, () => firstKeys(edit, nodes, lengths, k)));
  const [first, ...others] = new Set(names);
  return others.reduce(
    (a, b) => edit.add(nodes, 'And', [a ?? b, b], { type: 'bool', shape: ['batch', 'keys'] }),
    first,
  );
}

/** Keys before the number that each entry has. */
function firstKeys(
  edit: GraphEdit,
  nodes: Node[],
  { value, missing }: NonNullable<AttentionMatch['keyLengths']>,
  k: string,
): string {
  const int64 = { type: 'int64', shape: undefined } as const;
  const shape = edit.add(nodes, 'Shape', [k], int64);
  const keys = edit.add(nodes, 'Gather', [shape, edit.constant('int64', BigInt64Array.of(2n), [])], int64);
  const number = (each: bigint): string => edit.constant('int64', BigInt64Array.of(each), []);
  const places = edit.add(nodes, 'Range', [number(0n), keys, number(1n)], int64);
  const given = edit.add(nodes, 'Add', [edit.cast(nodes, value, 'int64'), edit.integers([missing])], int64);
  const lengths = edit.add(nodes, 'Reshape', [given, edit.integers([-1, 1])], int64);
  return edit.add(nodes, 'Less', [places, lengths], { type: 'bool', shape: ['batch', 'keys'] });
}

function oneKeyMask(edit: GraphEdit, nodes: Node[], term: KeyTerm, q: string): string {
  const output = { type: 'bool', shape: ['batch', 'keys'] } as const;
  const isBool = edit.values.get(term.value)?.type === 'bool';
  const bool = { to: { type: 'int', value: ONNX_TYPE.bool } } as const;
  let name = isBool ? term.value : edit.add(nodes, 'Cast', [term.value], { type: 'bool', shape: undefined }, bool);
  if (term.isInverted) name = edit.add(nodes, 'Not', [name], { type: 'bool', shape: undefined });
  const others = Array.from({ length: term.rank }, (_, axis) => axis).filter(
    (axis) => axis !== term.batchAxis && axis !== term.keyAxis,
  );
  if (others.length > 0)
    name = edit.add(nodes, 'Squeeze', [name, edit.integers(others)], { type: 'bool', shape: undefined });
  if (term.batchAxis !== undefined) return edit.add(nodes, 'Identity', [name], output);
  // The same keys for every entry of the batch: [M] to [B, M].
  const shape = edit.add(nodes, 'Shape', [q], { type: 'int64', shape: [4] });
  const batch = edit.add(nodes, 'Gather', [shape, edit.integers([0])], { type: 'int64', shape: [1] });
  const sides = edit.add(
    nodes,
    'Concat',
    [batch, edit.integers([1])],
    { type: 'int64', shape: [2] },
    { axis: { type: 'int', value: 0 } },
  );
  return edit.add(nodes, 'Expand', [name, sides], output);
}
