/** Writes files as torch.save does: a pickle of protocol 2 and storages in a zip archive; for tests. */
import { zipSync } from 'fflate';
import { bytes } from './test-files.ts';

/** A value of a pickle, by what writes it. */
export type Written = Uint8Array;

const ascii = (text: string): Uint8Array => new TextEncoder().encode(text);
const join = (...parts: Uint8Array[]): Uint8Array => Uint8Array.from(parts.flatMap((part) => [...part]));
const opcode = (letter: string): Uint8Array => Uint8Array.of(letter.charCodeAt(0));

export const python = {
  none: opcode('N'),
  true: Uint8Array.of(0x88),
  false: Uint8Array.of(0x89),
  text: (text: string): Written => join(opcode('X'), bytes().u32(ascii(text).length).done(), ascii(text)),
  integer: (value: number): Written => {
    if (value >= 0 && value < 256) return Uint8Array.of(0x4b, value);
    if (value < 2 ** 31) return join(opcode('J'), bytes().u32(value).done());
    return join(Uint8Array.of(0x8a, 8), bytes().u64(value).done());
  },
  tuple: (...values: Written[]): Written => join(opcode('('), ...values, opcode('t')),
  list: (...values: Written[]): Written => join(opcode(']'), opcode('('), ...values, opcode('e')),
  dictionary: (entries: Readonly<Record<string, Written>>): Written =>
    join(
      opcode('}'),
      opcode('('),
      ...Object.entries(entries).flatMap(([key, value]) => [python.text(key), value]),
      opcode('u'),
    ),
  global: (module: string, name: string): Written => join(opcode('c'), ascii(`${module}\n${name}\n`)),
  call: (called: Written, ...args: Written[]): Written => join(called, python.tuple(...args), opcode('R')),
  build: (object: Written, state: Written): Written => join(object, state, opcode('b')),
  persistent: (id: Written): Written => join(id, opcode('Q')),
  remember: (value: Written, place: number): Written => join(value, Uint8Array.of(0x71, place)),
  remembered: (place: number): Written => Uint8Array.of(0x68, place),
  ordered: (entries: Readonly<Record<string, Written>>): Written => {
    const empty = python.call(python.global('collections', 'OrderedDict'));
    const items = Object.entries(entries).flatMap(([key, value]) => [python.text(key), value]);
    return join(empty, opcode('('), ...items, opcode('u'));
  },
} as const;

/** A storage `data/<key>` of `size` elements, of a class such as FloatStorage. */
export function storage(type: string, key: string, size: number): Written {
  const { text, integer, global } = python;
  return python.persistent(python.tuple(text('storage'), global('torch', type), text(key), text('cpu'), integer(size)));
}

export function tensor(stored: Written, offset: number, shape: readonly number[], strides: readonly number[]): Written {
  const { integer, tuple, call, global } = python;
  const numbers = (values: readonly number[]): Written => tuple(...values.map(integer));
  return call(
    global('torch._utils', '_rebuild_tensor_v2'),
    ...[stored, integer(offset), numbers(shape), numbers(strides), python.false],
    call(global('collections', 'OrderedDict')),
  );
}

export interface TorchFile {
  readonly root: Written;
  readonly storages: Readonly<Record<string, ArrayBufferView>>;
  readonly byteorder?: string;
  /** Of the entries. Default 0: stored, as torch.save does. */
  readonly level?: 0 | 6;
}

export function torchFile({ root, storages, byteorder = 'little', level = 0 }: TorchFile): Uint8Array {
  const files: Record<string, Uint8Array> = {
    'model/data.pkl': join(Uint8Array.of(0x80, 2), root, opcode('.')),
    'model/byteorder': ascii(byteorder),
    'model/version': ascii('3\n'),
  };
  for (const [key, { buffer, byteOffset, byteLength }] of Object.entries(storages)) {
    files[`model/data/${key}`] = new Uint8Array(buffer, byteOffset, byteLength).slice();
  }
  return zipSync(files, { level });
}
