/** Writes safetensors files; safetensors.ts has the format, and reads them. */
import { CheckpointError } from '../errors.ts';
import type { ScalarType } from './storage-type.ts';
import { storedBytes } from './storage-type.ts';

/** A tensor to write. */
export interface TensorToWrite {
  readonly name: string;
  readonly shape: readonly number[];
  /** Default F32. */
  readonly type?: ScalarType;
  /** Row-major, in the machine's byte order, which is little-endian wherever JavaScript runs. F16 and BF16 as their bits. */
  readonly data: ArrayBufferView;
}

/** Bytes handed on at once at most. */
const CHUNK = 2 ** 23;

/**
 * The bytes of a safetensors file, piece by piece. Pieces of tensors are views of `data`, not copies: whoever takes them has to be
 * done with them before the data changes. The header is filled up with spaces to a multiple of 8 bytes, so that the data is aligned.
 * @throws CheckpointError for a name that comes twice, and for data that is not as long as its shape says; before the first piece.
 */
export function writeSafetensors(
  tensors: readonly TensorToWrite[],
  metadata: Readonly<Record<string, string>> = {},
): Iterable<Uint8Array> {
  const header: [string, unknown][] = [];
  if (Object.keys(metadata).length > 0) header.push(['__metadata__', metadata]);
  const names = new Set(['__metadata__']);
  let offset = 0;
  for (const { name, shape, type = 'F32', data } of tensors) {
    const bytes = storedBytes(type, shape);
    if (bytes !== data.byteLength) {
      throw new CheckpointError(
        `tensor "${name}" of type ${type} and shape [${shape}] takes ${bytes ?? 'uncountably many'} bytes, but its data has ${data.byteLength}`,
      );
    }
    if (names.has(name)) throw new CheckpointError(`tensor "${name}" comes twice, or is named as the metadata is`);
    names.add(name);
    header.push([name, { dtype: type, shape, data_offsets: [offset, offset + bytes] }]);
    offset += bytes;
  }
  // Written entry by entry: an object would put names that look like numbers first, and lose one called __proto__.
  const json = `{${header.map(([name, entry]) => `${JSON.stringify(name)}:${JSON.stringify(entry)}`).join(',')}}`;
  const text = new TextEncoder().encode(json);
  const first = new Uint8Array(8 + Math.ceil(text.length / 8) * 8).fill(32);
  new DataView(first.buffer).setBigUint64(0, BigInt(first.length - 8), true);
  first.set(text, 8);
  return pieces(first, tensors);
}

function* pieces(first: Uint8Array, tensors: readonly TensorToWrite[]): Generator<Uint8Array> {
  yield first;
  for (const { data } of tensors) {
    for (let at = 0; at < data.byteLength; at += CHUNK) {
      yield new Uint8Array(data.buffer, data.byteOffset + at, Math.min(CHUNK, data.byteLength - at));
    }
  }
}
