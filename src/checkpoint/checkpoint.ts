/** What every weight format gives: named tensors, listed at once, read one at a time. */
import { CheckpointError } from '../errors.ts';
import { type ByteSource, readExactly } from './byte-source.ts';
import type { StorageType } from './storage-type.ts';

/** A tensor as the file lists it. */
export interface TensorInfo {
  readonly name: string;
  /** Row-major, as Hugging Face writes it: a linear layer's weight is [out, in]. */
  readonly shape: readonly number[];
  readonly type: StorageType;
  /** Bytes it takes in the file. */
  readonly bytes: number;
}

/** A tensor as the file stores it. */
export interface StoredTensor {
  readonly name: string;
  readonly shape: readonly number[];
  readonly type: StorageType;
  /** Little-endian. It may share memory with the source: do not write to it. */
  readonly data: Uint8Array;
}

/** An open weight file, or a set of them. */
export interface Checkpoint {
  /** The names of all tensors, in the order of the file. */
  names(): string[];
  has(name: string): boolean;
  /** Throws CheckpointError where there is no such tensor. */
  info(name: string): TensorInfo;
  /** Reads one tensor. Throws CheckpointError where there is no such tensor. */
  read(name: string): Promise<StoredTensor>;
  /** Reads `count` rows of a tensor [rows, ...] from row `first` on; their shape is [count, ...]. Throws CheckpointError beyond its end. */
  readRows(name: string, first: number, count: number): Promise<StoredTensor>;
  close(): Promise<void>;
}

/** A tensor and the bytes of the file that hold it. */
export interface PlacedTensor extends TensorInfo {
  /** Of its first byte, from the start of the file. */
  readonly offset: number;
}

/** A checkpoint of one file whose header has been read. */
export function checkpointOf(source: ByteSource, tensors: ReadonlyMap<string, PlacedTensor>): Checkpoint {
  return {
    names: () => [...tensors.keys()],
    has: (name) => tensors.has(name),
    info: (name) => {
      const { shape, type, bytes } = findTensor(tensors, name, source.name);
      return { name, shape, type, bytes };
    },
    read: async (name) => {
      const { shape, type, bytes, offset } = findTensor(tensors, name, source.name);
      return { name, shape, type, data: await readExactly(source, offset, bytes, `tensor "${name}"`) };
    },
    readRows: async (name, first, count) => {
      const { shape, type, bytes, offset } = findTensor(tensors, name, source.name);
      const rows = placeOfRows(name, shape, bytes, first, count);
      const data = await readExactly(source, offset + rows.start, rows.bytes, `rows of tensor "${name}"`);
      return { name, shape: rows.shape, type, data };
    },
    close: async () => source.close?.(),
  };
}

/** Rows of a tensor that is in memory. */
export function storedRows(tensor: StoredTensor, first: number, count: number): StoredTensor {
  const { name, shape: whole, data } = tensor;
  const { start, bytes, shape } = placeOfRows(name, whole, data.byteLength, first, count);
  return { ...tensor, shape, data: data.subarray(start, start + bytes) };
}

/** Where `count` rows of a tensor of so many bytes lie in it, and their shape. */
function placeOfRows(name: string, shape: readonly number[], bytes: number, first: number, count: number) {
  const [rows = 0, ...rest] = checkRows(name, shape, first, count);
  const each = rows === 0 ? 0 : bytes / rows;
  return { start: first * each, bytes: count * each, shape: [count, ...rest] };
}

/** The shape, where it has these rows. */
export function checkRows(name: string, shape: readonly number[], first: number, count: number): readonly number[] {
  const [rows = 0] = shape;
  if (Number.isInteger(first) && Number.isInteger(count) && first >= 0 && count >= 0 && first + count <= rows)
    return shape;
  throw new CheckpointError(`tensor "${name}" of shape [${shape.join(', ')}] has no rows ${first} to ${first + count}`);
}

/** The entry of a tensor, or a CheckpointError that names some that exist. */
export function findTensor<T>(tensors: ReadonlyMap<string, T>, name: string, file: string): T {
  const found = tensors.get(name);
  if (found !== undefined) return found;
  const some = [...tensors.keys()].slice(0, 4).join(', ');
  throw new CheckpointError(
    `${file}: no tensor "${name}"; there are ${tensors.size}${some === '' ? '' : `, such as ${some}`}`,
  );
}

/** Throws CheckpointError where two tensors share bytes. */
export function refuseOverlap(tensors: Iterable<PlacedTensor>, file: string): void {
  const byOffset = [...tensors].filter((t) => t.bytes > 0).sort((a, b) => a.offset - b.offset);
  let previous: PlacedTensor | undefined;
  for (const tensor of byOffset) {
    if (previous !== undefined && tensor.offset < previous.offset + previous.bytes) {
      throw new CheckpointError(`${file}: tensors "${previous.name}" and "${tensor.name}" overlap`);
    }
    previous = tensor;
  }
}
