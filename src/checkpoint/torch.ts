/**
 * PyTorch checkpoints (torch.save, since 1.6): a zip archive with a pickle `data.pkl` that says which tensors there are, and an
 * entry `data/<key>` for each storage, in which tensors lie with an offset and strides (PyTorch documentation, "Serialization
 * semantics"). The pickle is read as data; nothing in it is run.
 */
import { counted } from '../counted.ts';
import { CheckpointError } from '../errors.ts';
import { type ByteSource, readExactly } from './byte-source.ts';
import { type Checkpoint, checkRows, findTensor, type StoredTensor } from './checkpoint.ts';
import { type PickleGlobal, type PickleValue, unpickle } from './pickle.ts';
import { blockOf, elementCount, type ScalarType } from './storage-type.ts';
import { contentOffset, readZipDirectory, readZipEntry, type ZipEntry } from './zip.ts';

/** Element types by PyTorch's names of storages and of types. */
const STORAGES: Readonly<Record<string, ScalarType>> = {
  DoubleStorage: 'F64',
  FloatStorage: 'F32',
  HalfStorage: 'F16',
  BFloat16Storage: 'BF16',
  LongStorage: 'I64',
  IntStorage: 'I32',
  ShortStorage: 'I16',
  CharStorage: 'I8',
  ByteStorage: 'U8',
  BoolStorage: 'BOOL',
};

/** The pickle of a model of thousands of tensors has less than a megabyte. */
const LARGEST_PICKLE = 256 * 2 ** 20;

/** A storage: elements in one entry of the archive. */
class Storage {
  readonly type: ScalarType;
  readonly key: string;
  /** Elements. */
  readonly size: number;
  constructor(type: ScalarType, key: string, size: number) {
    this.type = type;
    this.key = key;
    this.size = size;
  }
}

/** A tensor: elements of a storage at an offset, with strides, all counted in elements. */
class StridedTensor {
  readonly storage: Storage;
  readonly offset: number;
  readonly shape: readonly number[];
  readonly strides: readonly number[];
  constructor(storage: Storage, offset: number, shape: readonly number[], strides: readonly number[]) {
    this.storage = storage;
    this.offset = offset;
    this.shape = shape;
    this.strides = strides;
  }
}

/** What the pickle may import, beside the types of storages. */
function globalsFor(fail: (why: string) => never): Map<string, PickleGlobal> {
  const rebuild = (args: readonly PickleValue[]): StridedTensor => {
    const [storage, offset, shape, strides] = args;
    if (!(storage instanceof Storage) || !isCount(offset) || !isCounts(shape) || !isCounts(strides)) {
      return fail('a tensor is not made of a storage, an offset, a shape and strides');
    }
    return strided(storage, offset, shape, strides, fail);
  };
  const dictionary = ([pairs]: readonly PickleValue[]): Map<PickleValue, PickleValue> => {
    const entries = Array.isArray(pairs) ? pairs : [];
    return new Map(
      entries.map((pair) => (Array.isArray(pair) ? [pair[0], pair[1]] : fail('a dictionary is not made of pairs'))),
    );
  };
  return new Map<string, PickleGlobal>([
    ['collections.OrderedDict', { call: dictionary }],
    ['torch._utils._rebuild_tensor', { call: rebuild }],
    ['torch._utils._rebuild_tensor_v2', { call: rebuild }],
    ['torch._utils._rebuild_parameter', { call: ([tensor]) => tensor }],
    ['torch.Size', { call: ([sizes]) => sizes }],
    ...Object.entries(STORAGES).map(([name, type]) => [`torch.${name}`, { value: type }] as const),
  ]);
}

/** The tensor, after a check that all its elements lie inside the storage and are not more than those. */
function strided(
  storage: Storage,
  offset: number,
  shape: readonly number[],
  strides: readonly number[],
  fail: (why: string) => never,
): StridedTensor {
  const count = elementCount(shape);
  if (count === undefined || shape.length !== strides.length)
    return fail(`a tensor has shape [${shape}] and strides [${strides}]`);
  const last = shape.reduce((sum, side, axis) => sum + (side - 1) * (strides[axis] ?? 0), offset);
  if (count > 0 && last >= storage.size) {
    fail(
      `a tensor of shape [${shape}] and strides [${strides}] at ${offset} reaches beyond the ${counted(storage.size, 'element')} of storage "${storage.key}"`,
    );
  }
  // Strides of 0 repeat elements: a small file could ask for any amount of memory.
  if (count > storage.size)
    fail(`a tensor of shape [${shape}] repeats the ${counted(storage.size, 'element')} of storage "${storage.key}"`);
  return new StridedTensor(storage, offset, shape, strides);
}

/**
 * Opens a .bin, .pt or .pth file: reads its directory and its pickle, and tensors on demand. Tensors inside of dictionaries and lists
 * get names with dots. Throws CheckpointError where the file is not well formed or imports anything but tensors.
 */
export async function openTorch(source: ByteSource): Promise<Checkpoint> {
  const fail = (why: string): never => {
    throw new CheckpointError(`${source.name}: ${why}`);
  };
  await refuseLegacy(source, fail);
  const entries = await readZipDirectory(source);
  const pickle = [...entries.values()].find(({ name }) => name === 'data.pkl' || name.endsWith('/data.pkl'));
  if (pickle === undefined) return fail('the archive has no data.pkl: it was not written by torch.save');
  const prefix = pickle.name.slice(0, -'data.pkl'.length);
  const order = entries.get(`${prefix}byteorder`);
  if (order !== undefined && new TextDecoder().decode(await readZipEntry(source, order, 16)) !== 'little') {
    fail('its numbers are big-endian; save it again on another machine');
  }
  const entryOf = (storage: Storage): ZipEntry =>
    entries.get(`${prefix}data/${storage.key}`) ?? fail(`storage "${storage.key}" is not in the archive`);
  const load = (id: PickleValue): Storage => {
    const [kind, type, key, , size] = Array.isArray(id) ? id : [];
    if (kind !== 'storage' || !isStorageType(type) || typeof key !== 'string' || !isCount(size)) {
      return fail('a persistent id is no storage');
    }
    const storage = new Storage(type, key, size);
    const { size: bytes } = entryOf(storage);
    if (bytes < size * blockOf(type).bytes)
      fail(`storage "${key}" has ${counted(bytes, 'byte')} for ${counted(size, 'element')} of ${type}`);
    return storage;
  };
  const root = unpickle(await readZipEntry(source, pickle, LARGEST_PICKLE), {
    name: `${source.name}: ${pickle.name}`,
    globals: globalsFor(fail),
    load,
  });
  const tensors = new Map<string, StridedTensor>();
  collect(root, '', tensors, new Set(), fail);
  const found = (name: string): StridedTensor => findTensor(tensors, name, source.name);
  return {
    names: () => [...tensors.keys()],
    has: (name) => tensors.has(name),
    info: (name) => {
      const { shape, storage } = found(name);
      return { name, shape, type: storage.type, bytes: (elementCount(shape) ?? 0) * blockOf(storage.type).bytes };
    },
    read: async (name) => readStrided(source, name, found(name), entryOf),
    readRows: async (name, first, count) => {
      const { storage, offset, shape, strides } = found(name);
      const [, ...rest] = checkRows(name, shape, first, count);
      const rows = new StridedTensor(storage, offset + first * (strides[0] ?? 0), [count, ...rest], strides);
      return readStrided(source, name, rows, entryOf);
    },
    close: async () => source.close?.(),
  };
}

/** All tensors below a value, by their path. */
function collect(
  value: PickleValue,
  path: string,
  tensors: Map<string, StridedTensor>,
  seen: Set<PickleValue>,
  fail: (why: string) => never,
): void {
  if (value instanceof StridedTensor) {
    if (tensors.has(path)) fail(`two tensors have the name "${path}"`);
    tensors.set(path, value);
    return;
  }
  if (!(value instanceof Map) && !Array.isArray(value)) return;
  // A pickle may refer to one value from many places, even from inside of itself.
  if (seen.has(value)) return;
  seen.add(value);
  for (const [key, inner] of value.entries()) {
    if (typeof key === 'string' || typeof key === 'number') {
      collect(inner, path === '' ? String(key) : `${path}.${key}`, tensors, seen, fail);
    }
  }
}

/** The elements in row-major order: a range of the file where they lie so, else gathered. */
async function readStrided(
  source: ByteSource,
  name: string,
  { storage, offset, shape, strides }: StridedTensor,
  entryOf: (storage: Storage) => ZipEntry,
): Promise<StoredTensor> {
  const { type } = storage;
  const { bytes: size } = blockOf(type);
  const count = elementCount(shape) ?? 0;
  const common = { name, shape, type };
  if (count === 0) return { ...common, data: new Uint8Array() };
  const span = 1 + shape.reduce((sum, side, axis) => sum + (side - 1) * (strides[axis] ?? 0), 0);
  const entry = entryOf(storage);
  const stored = entry.method === 0;
  const whole = stored ? undefined : await readZipEntry(source, entry, entry.size);
  const from = offset * size;
  const bytes =
    whole?.subarray(from, from + span * size) ??
    (await readExactly(source, (await contentOffset(source, entry)) + from, span * size, `tensor "${name}"`));
  if (isRowMajor(shape, strides)) return { ...common, data: bytes };
  const data = new Uint8Array(count * size);
  const index = shape.map(() => 0);
  for (let i = 0, place = 0; i < count; i++) {
    data.set(bytes.subarray(place * size, (place + 1) * size), i * size);
    for (let axis = shape.length - 1; axis >= 0; axis--) {
      index[axis]++;
      place += strides[axis];
      if (index[axis] < shape[axis]) break;
      place -= strides[axis] * shape[axis];
      index[axis] = 0;
    }
  }
  return { ...common, data };
}

function isRowMajor(shape: readonly number[], strides: readonly number[]): boolean {
  let expected = 1;
  for (let axis = shape.length - 1; axis >= 0; axis--) {
    if (shape[axis] !== 1 && strides[axis] !== expected) return false;
    expected *= shape[axis];
  }
  return true;
}

/** The format before PyTorch 1.6: pickles one after the other, the first one a number that names the format. */
async function refuseLegacy(source: ByteSource, fail: (why: string) => never): Promise<void> {
  const head = await readExactly(source, 0, Math.min(4, source.size), 'start');
  if (head[0] === 0x80 && head[1] !== undefined && head[1] <= 5) {
    fail('is in the format of PyTorch before 1.6; load it and save it again with torch.save, or as safetensors');
  }
}

function isStorageType(value: PickleValue): value is ScalarType {
  return Object.values(STORAGES).some((type) => type === value);
}

function isCount(value: PickleValue): value is number {
  return typeof value === 'number' && Number.isSafeInteger(value) && value >= 0;
}

function isCounts(value: PickleValue): value is number[] {
  return Array.isArray(value) && value.every(isCount);
}
