/**
 * safetensors, Hugging Face's weight format (https://huggingface.co/docs/safetensors, section "Format"):
 *
 *     u64 (little-endian) bytes of the header, header, data
 *
 * The header is a JSON object: name -> { dtype, shape, data_offsets: [begin, end] } with offsets from the start of the data, and
 * `__metadata__`, a map from strings to strings. The specification forbids duplicate names and bytes of the data that
 * belong to no tensor; both are checked.
 */
import { CheckpointError } from '../errors.ts';
import { type ByteSource, readExactly } from './byte-source.ts';
import { type Checkpoint, checkpointOf, type PlacedTensor, refuseOverlap } from './checkpoint.ts';
import { duplicateKey } from './json-keys.ts';
import { type StorageType, storedBytes } from './storage-type.ts';

/** An open safetensors file, or the shards of one. */
export interface SafetensorsCheckpoint extends Checkpoint {
  /** The header's `__metadata__`, of the first shard where there are several. */
  readonly metadata: ReadonlyMap<string, string>;
}

const TYPES: ReadonlySet<string> = new Set<StorageType>([
  'F64',
  'F32',
  'F16',
  'BF16',
  'F8_E4M3',
  'F8_E5M2',
  'I64',
  'I32',
  'I16',
  'I8',
  'U64',
  'U32',
  'U16',
  'U8',
  'BOOL',
]);

/** The limit of the reference implementation. */
const LARGEST_HEADER = 100_000_000;

/** Opens one safetensors file: reads its header, and the tensors on demand. Throws CheckpointError where it is not well formed. */
export async function openSafetensors(source: ByteSource): Promise<SafetensorsCheckpoint> {
  const { metadata, tensors } = await readHeader(source);
  return { ...checkpointOf(source, tensors), metadata };
}

interface SafetensorsHeader {
  readonly metadata: ReadonlyMap<string, string>;
  readonly tensors: ReadonlyMap<string, PlacedTensor>;
}

async function readHeader(source: ByteSource): Promise<SafetensorsHeader> {
  const first = await readExactly(source, 0, 8, 'the length of the header');
  const length = new DataView(first.buffer, first.byteOffset, 8).getBigUint64(0, true);
  if (length > BigInt(source.size - 8) || length > BigInt(LARGEST_HEADER)) {
    throw new CheckpointError(
      `${source.name}: the header is to take ${length} bytes, but after its length the file has ${source.size - 8} (and the limit is ${LARGEST_HEADER}): truncated, or no safetensors file`,
    );
  }
  const bytes = await readExactly(source, 8, Number(length), 'the header');
  return parseHeader(bytes, 8 + Number(length), source);
}

function parseHeader(bytes: Uint8Array, dataStart: number, source: ByteSource): SafetensorsHeader {
  const fail = (message: string, cause?: unknown): never => {
    throw new CheckpointError(`${source.name}: ${message}`, { cause });
  };
  const { text, header } = parseJson(bytes, fail);
  if (!isObject(header)) return fail('the header is JSON, but not an object');
  const duplicate = duplicateKey(text);
  if (duplicate !== undefined) fail(`lists tensor "${duplicate}" twice`);

  const metadata = new Map<string, string>();
  const tensors = new Map<string, PlacedTensor>();
  for (const [name, entry] of Object.entries(header)) {
    if (name === '__metadata__') {
      if (!isObject(entry)) return fail('__metadata__ is not an object');
      for (const [key, value] of Object.entries(entry)) {
        metadata.set(key, typeof value === 'string' ? value : fail(`__metadata__ "${key}" is not a string`));
      }
    } else {
      tensors.set(name, parseEntry(name, entry, dataStart, source.size - dataStart, fail));
    }
  }
  refuseOverlap(tensors.values(), source.name);
  let used = 0;
  for (const tensor of tensors.values()) used += tensor.bytes;
  if (dataStart + used !== source.size) {
    fail(`the tensors take ${used} bytes, but ${source.size - dataStart} follow the header: bytes that belong to none`);
  }
  return { metadata, tensors };
}

function parseJson(
  bytes: Uint8Array,
  fail: (message: string, cause?: unknown) => never,
): { text: string; header: unknown } {
  try {
    const text = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(bytes);
    return { text, header: JSON.parse(text) };
  } catch (cause) {
    return fail('the header is not JSON: no safetensors file, or corrupt', cause);
  }
}

function parseEntry(
  name: string,
  entry: unknown,
  dataStart: number,
  dataBytes: number,
  fail: (message: string) => never,
): PlacedTensor {
  if (!isObject(entry)) return fail(`tensor "${name}" is not described by an object`);
  const { dtype, shape, data_offsets: offsets } = entry;
  if (typeof dtype !== 'string' || !isStorageType(dtype)) {
    return fail(`tensor "${name}" has the type ${JSON.stringify(dtype)}; Farfield reads ${[...TYPES].join(', ')}`);
  }
  if (!isNumbers(shape)) return fail(`tensor "${name}" has the shape ${JSON.stringify(shape)}`);
  if (!isNumbers(offsets) || offsets.length !== 2) {
    return fail(`tensor "${name}" has the offsets ${JSON.stringify(offsets)}; two numbers are needed`);
  }
  const [begin = 0, end = 0] = offsets;
  if (begin > end || end > dataBytes) {
    return fail(
      `tensor "${name}" lies at bytes ${begin} to ${end} of data that has ${dataBytes}: truncated or corrupt`,
    );
  }
  const bytes = storedBytes(dtype, shape);
  if (bytes !== end - begin) {
    return fail(
      `tensor "${name}" of type ${dtype} and shape [${shape}] takes ${bytes ?? 'uncountably many'} bytes, but its offsets span ${end - begin}`,
    );
  }
  return { name, shape, type: dtype, bytes, offset: dataStart + begin };
}

function isStorageType(name: string): name is StorageType {
  return TYPES.has(name);
}

/** An array of whole numbers that are not negative. */
function isNumbers(value: unknown): value is number[] {
  return Array.isArray(value) && value.every((side) => Number.isSafeInteger(side) && side >= 0);
}

function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}
