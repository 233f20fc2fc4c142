/**
 * GGUF, the weight format of llama.cpp, versions 2 and 3 (they differ only in that 3 may be big-endian, which nobody
 * writes and this reader refuses). The layout is described in gguf-metadata.ts.
 */
import { CheckpointError } from '../errors.ts';
import { type ByteSource, readExactly } from './byte-source.ts';
import { type Checkpoint, checkpointOf, type PlacedTensor, refuseOverlap } from './checkpoint.ts';
import { type GgufMetadata, type GgufValue, HeaderCursor, HeaderGoesOn } from './gguf-metadata.ts';
import { blockOf, type StorageType, storedBytes } from './storage-type.ts';

/** An open GGUF file. */
export interface GgufCheckpoint extends Checkpoint {
  readonly version: number;
  readonly metadata: GgufMetadata;
}

/** GGML's numbers for the types that are read here (enum ggml_type in ggml.h). */
const TYPES: ReadonlyMap<number, StorageType> = new Map([
  [0, 'F32'],
  [1, 'F16'],
  [2, 'Q4_0'],
  [3, 'Q4_1'],
  [6, 'Q5_0'],
  [7, 'Q5_1'],
  [8, 'Q8_0'],
  [10, 'Q2_K'],
  [11, 'Q3_K'],
  [12, 'Q4_K'],
  [13, 'Q5_K'],
  [14, 'Q6_K'],
  [20, 'IQ4_NL'],
  [23, 'IQ4_XS'],
  [24, 'I8'],
  [25, 'I16'],
  [26, 'I32'],
  [27, 'I64'],
  [28, 'F64'],
  [30, 'BF16'],
  [39, 'MXFP4'],
]);

/** Types that exist but are not read, so that the message can name them. */
const OTHER_TYPES: ReadonlyMap<number, string> = new Map([
  [9, 'Q8_1'],
  [15, 'Q8_K'],
  [16, 'IQ2_XXS'],
  [17, 'IQ2_XS'],
  [18, 'IQ3_XXS'],
  [19, 'IQ1_S'],
  [21, 'IQ3_S'],
  [22, 'IQ2_S'],
  [29, 'IQ1_M'],
  [34, 'TQ1_0'],
  [35, 'TQ2_0'],
]);

const MAGIC = 0x46554747; // "GGUF" as a little-endian u32
const DEFAULT_ALIGNMENT = 32;
const LARGEST_RANK = 4;
/** Read at once at the start; a header with a vocabulary is a few MiB, and longer ones are read in doubling steps. */
const FIRST_READ = 4 * 2 ** 20;

/** Opens a GGUF file: reads its header, and the tensors on demand. Throws CheckpointError where it is not well formed. */
export async function openGguf(source: ByteSource): Promise<GgufCheckpoint> {
  const { version, metadata, tensors } = await readHeader(source);
  return { ...checkpointOf(source, tensors), version, metadata };
}

interface GgufHeader {
  readonly version: number;
  readonly metadata: GgufMetadata;
  readonly tensors: ReadonlyMap<string, PlacedTensor>;
}

/** Parses a prefix of the file, and a longer one while the header does not end in it: at most twice the work. */
async function readHeader(source: ByteSource): Promise<GgufHeader> {
  for (let length = FIRST_READ; ; ) {
    const bytes = await readExactly(source, 0, Math.min(length, source.size), 'the header');
    try {
      return parseHeader(bytes, source);
    } catch (error) {
      if (!(error instanceof HeaderGoesOn)) throw error;
      length = Math.max(2 * length, error.neededBytes);
    }
  }
}

function parseHeader(bytes: Uint8Array, source: ByteSource): GgufHeader {
  const cursor = new HeaderCursor(bytes, source.size, source.name);
  if (cursor.u32('the magic number') !== MAGIC) cursor.fail('is no GGUF file: it does not start with "GGUF"');
  const version = cursor.u32('the version');
  if (version !== 2 && version !== 3) {
    const bigEndian = (version & 0xffff) === 0 && version !== 0;
    cursor.fail(
      bigEndian
        ? 'is a big-endian GGUF file; only little-endian ones are read'
        : `is of GGUF version ${version}; versions 2 and 3 are read`,
    );
  }
  const tensorCount = cursor.countOf('the number of tensors', 24);
  const pairCount = cursor.countOf('the number of metadata pairs', 13);
  const metadata = parseMetadata(cursor, pairCount);
  const alignment = alignmentOf(metadata, cursor);
  const tensors = parseTensors(cursor, tensorCount);
  const dataStart = Math.ceil(cursor.position / alignment) * alignment;
  return { version, metadata, tensors: place(tensors, dataStart, alignment, source) };
}

function parseMetadata(cursor: HeaderCursor, count: number): GgufMetadata {
  const metadata = new Map<string, GgufValue>();
  for (let i = 0; i < count; i++) {
    const key = cursor.string(`the key of metadata pair ${i}`);
    if (metadata.has(key)) cursor.fail(`has the metadata key "${key}" twice`);
    metadata.set(key, cursor.value(cursor.u32(`the type of "${key}"`), `"${key}"`));
  }
  return metadata;
}

function alignmentOf(metadata: GgufMetadata, cursor: HeaderCursor): number {
  const alignment = metadata.get('general.alignment') ?? DEFAULT_ALIGNMENT;
  const valid = typeof alignment === 'number' && alignment >= 1 && Number.isInteger(Math.log2(alignment));
  return valid ? alignment : cursor.fail(`general.alignment is ${String(alignment)}, not a power of two`);
}

/** Tensors as listed: offsets still count from the start of the data. */
function parseTensors(cursor: HeaderCursor, count: number): Map<string, PlacedTensor> {
  const tensors = new Map<string, PlacedTensor>();
  for (let i = 0; i < count; i++) {
    const name = cursor.string(`the name of tensor ${i}`);
    if (tensors.has(name)) cursor.fail(`lists tensor "${name}" twice`);
    const rank = cursor.u32(`the rank of tensor "${name}"`);
    if (rank > LARGEST_RANK) cursor.fail(`tensor "${name}" has rank ${rank}; GGUF has at most ${LARGEST_RANK}`);
    const shape: number[] = [];
    for (let axis = 0; axis < rank; axis++) shape.unshift(cursor.count(`side ${axis} of tensor "${name}"`));
    const type = typeOf(cursor, name);
    const offset = cursor.count(`the offset of tensor "${name}"`);
    const bytes = storedBytes(type, shape);
    if (bytes === undefined) {
      return cursor.fail(
        `tensor "${name}" of type ${type} has the shape [${shape}]; rows must be blocks of ${blockOf(type).elements} numbers and the size countable`,
      );
    }
    tensors.set(name, { name, shape, type, bytes, offset });
  }
  return tensors;
}

function typeOf(cursor: HeaderCursor, name: string): StorageType {
  const id = cursor.u32(`the type of tensor "${name}"`);
  const type = TYPES.get(id);
  if (type !== undefined) return type;
  const known = OTHER_TYPES.get(id);
  return cursor.fail(
    `tensor "${name}" has the type ${known ?? `number ${id}`}, which Farfield does not read; it reads ${[...TYPES.values()].join(', ')}`,
  );
}

/** Turns offsets into the data into offsets into the file, and checks that every tensor lies in it, aligned, alone. */
function place(
  listed: ReadonlyMap<string, PlacedTensor>,
  dataStart: number,
  alignment: number,
  source: ByteSource,
): Map<string, PlacedTensor> {
  const placed = new Map<string, PlacedTensor>();
  for (const tensor of listed.values()) {
    if (tensor.offset % alignment !== 0) {
      throw new CheckpointError(
        `${source.name}: tensor "${tensor.name}" is misaligned: its offset ${tensor.offset} is no multiple of ${alignment}`,
      );
    }
    const offset = dataStart + tensor.offset;
    if (offset + tensor.bytes > source.size) {
      throw new CheckpointError(
        `${source.name}: tensor "${tensor.name}" ends at byte ${offset + tensor.bytes}, but the file has ${source.size}: it is truncated`,
      );
    }
    placed.set(tensor.name, { ...tensor, offset });
  }
  refuseOverlap(placed.values(), source.name);
  return placed;
}
