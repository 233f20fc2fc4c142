/** Pasts that are not of one length in a batch: where each entry's new keys stand. */
import type { GraphEdit } from '../graph-edit.ts';
import type { Node } from '../ir.ts';
import type { AttentionMatch } from './attention-match.ts';

const INT64 = { type: 'int64', shape: undefined } as const;

export interface PastLengths {
  /** How many keys each entry has with its new ones. */
  readonly lengths: NonNullable<AttentionMatch['keyLengths']>;
  /** The buffer of past keys [B, G, P, D]. */
  readonly past: string;
  /** A value [B, N, ...]. */
  readonly rows: string;
}

/** int64 [B, N]: the position of each new token, behind the past of its entry. An entry of a first prompt, which has no past, begins at 0. */
export function newPositions(edit: GraphEdit, into: Node[], { lengths, past, rows }: PastLengths): string {
  return edit.once(`new positions by ${lengths.value}`, () => {
    const number = (value: number): string => edit.constant('int64', BigInt64Array.of(BigInt(value)), []);
    const count = side(edit, into, rows, 1);
    const all = edit.add(into, 'Add', [edit.cast(into, lengths.value, 'int64'), number(lengths.missing)], INT64);
    const before = edit.add(
      into,
      'Sub',
      [edit.add(into, 'Reshape', [all, edit.integers([-1, 1])], INT64), count],
      INT64,
    );
    const least = edit.add(into, 'Max', [before, number(0)], INT64);
    const first = edit.add(into, 'Min', [least, side(edit, into, past, 2)], INT64);
    const places = edit.add(into, 'Range', [number(0), count, number(1)], INT64);
    return edit.add(into, 'Add', [first, places], { type: 'int64', shape: ['batch', 'rows'] });
  });
}

/**
 * Past and new keys (or values) of each entry one behind the other: [B, G, P + N, D], with what is left at the end. `joined` is
 * [past, new] of one length for all, whose new rows are written again at their own places.
 */
export function placeNewKeys(
  edit: GraphEdit,
  into: Node[],
  of: PastLengths & { readonly joined: string; readonly added: string },
  output: string | undefined,
): string {
  const positions = newPositions(edit, into, of);
  const indices = edit.once(`places by ${of.lengths.value}`, () => {
    const shape = edit.add(into, 'Shape', [of.added], { type: 'int64', shape: [4] });
    const three = edit.add(into, 'Slice', [shape, edit.integers([0]), edit.integers([3]), edit.integers([0])], INT64);
    const whole = edit.add(
      into,
      'Concat',
      [three, edit.integers([1])],
      { type: 'int64', shape: [4] },
      { axis: { type: 'int', value: 0 } },
    );
    const range = (axis: number, form: number[]): string => {
      const ends = [edit.constant('int64', BigInt64Array.of(0n), []), side(edit, into, of.added, axis)];
      const counted = edit.add(into, 'Range', [...ends, edit.constant('int64', BigInt64Array.of(1n), [])], INT64);
      return edit.add(into, 'Reshape', [counted, edit.integers(form)], INT64);
    };
    const own = edit.add(into, 'Unsqueeze', [positions, edit.integers([1, 3])], INT64);
    const axes = [range(0, [-1, 1, 1, 1]), range(1, [1, -1, 1, 1]), own].map((axis) =>
      edit.add(into, 'Expand', [axis, whole], INT64),
    );
    return edit.add(
      into,
      'Concat',
      axes,
      { type: 'int64', shape: ['batch', 'heads', 'rows', 3] },
      { axis: { type: 'int', value: -1 } },
    );
  });
  const { type = 'float32', shape } = edit.values.get(of.joined) ?? {};
  return edit.add(into, 'ScatterND', [of.joined, indices, of.added], { type, shape }, {}, output);
}

/** One side of a value, as an int64 without axes. */
function side(edit: GraphEdit, into: Node[], name: string, axis: number): string {
  return edit.once(`side ${axis} of ${name}`, () => {
    const shape = edit.add(into, 'Shape', [name], INT64);
    return edit.add(into, 'Gather', [shape, edit.constant('int64', BigInt64Array.of(BigInt(axis)), [])], INT64);
  });
}
