/** TensorProto (onnx.proto): a constant of a graph, with its elements inside, or in a file beside the model. */
import { counted } from '../../counted.ts';
import { CheckpointError } from '../../errors.ts';
import { elementType } from '../element-type.ts';
import type { ConstantTensor, ElementType, TensorData } from '../ir.ts';
import { createData, ELEMENT_BYTES } from '../tensor-data.ts';
import { type ByteRange, type FileField, type FileReader, type MessageReader, readRange } from './protobuf.ts';

/** Opens the file that external data names, a plain path that lies beside the model or below it. */
export type OpenExternal = (location: string) => Promise<ByteRange>;

/** A constant of which the elements may still lie in a file. */
export interface StoredTensor {
  readonly name: string;
  readonly type: ElementType;
  readonly shape: readonly number[];
  readonly load: () => TensorData | Promise<TensorData>;
}

/** The fields of a TensorProto, before they are checked against each other. */
interface Parts {
  dims: number[];
  type: number;
  name: string;
  isExternal: boolean;
  external: Map<string, string>;
  /** The one field of typed data that has elements: its number and its values, as numbers or bits. */
  typed: { readonly field: number; readonly values: (number | bigint)[] } | undefined;
}

/** Fields of typed data, by number: float, int32, int64, double, uint64. */
const TYPED = new Set([4, 5, 7, 10, 11]);
const RAW = 9;

/** Reads a TensorProto that is in memory, e.g. in an attribute. Throws CheckpointError where it is not well formed. */
export function parseTensor(message: MessageReader): ConstantTensor & { readonly name: string } {
  const parts = emptyParts();
  let raw: Uint8Array | undefined;
  while (message.next()) {
    if (message.number === RAW) raw = message.content();
    else readField(message, parts);
  }
  const fail = (why: string): never => message.fail(why);
  const { type, shape } = header(parts, fail);
  if (parts.isExternal) return fail('an attribute’s tensor has external data');
  const bytes = byteLength(type, shape, fail);
  if (raw !== undefined) {
    if (raw.byteLength !== bytes)
      fail(`raw_data has ${counted(raw.byteLength, 'byte')}, ${describe(type, shape)} needs ${bytes}`);
    return { name: parts.name, type, shape, data: typedArray(type, raw) };
  }
  return { name: parts.name, type, shape, data: fromTyped(type, shape, parts, fail) };
}

/**
 * Reads an initializer of a file without its raw data: that is read when it is loaded, as a view where the file is in memory.
 * Throws CheckpointError where it is not well formed, or its data not as long as its shape says.
 */
export async function readInitializer(
  file: FileReader,
  field: FileField,
  what: string,
  openExternal: OpenExternal | undefined,
): Promise<StoredTensor> {
  const parts = emptyParts();
  let raw: FileField | undefined;
  let place = what;
  for await (const inner of file.fields(field.start, field.end, what)) {
    if (inner.number === RAW) {
      raw = inner;
      continue;
    }
    const reader = await file.reader(inner, place);
    readField(reader, parts);
    if (inner.number === 8) place = `initializer "${parts.name}"`;
  }
  const fail = (why: string): never => {
    throw new CheckpointError(`${file.source.name}: ${place}: ${why}`);
  };
  const { type, shape } = header(parts, fail);
  const bytes = byteLength(type, shape, fail);
  const { name } = parts;
  if (parts.isExternal) {
    const { location, offset } = externalPlace(parts.external, bytes, fail);
    if (openExternal === undefined) return fail(`its data is in the file "${location}", and none was given`);
    const load = async () => typedArray(type, await readRange(await openExternal(location), offset, bytes, place));
    return { name, type, shape, load };
  }
  if (raw !== undefined) {
    const { start, end, wire } = raw;
    if (wire !== 2 || end - start !== bytes) {
      fail(`raw_data has ${counted(end - start, 'byte')}, ${describe(type, shape)} needs ${bytes}`);
    }
    return { name, type, shape, load: async () => typedArray(type, await readRange(file.source, start, bytes, place)) };
  }
  const data = fromTyped(type, shape, parts, fail);
  return { name, type, shape, load: () => data };
}

function emptyParts(): Parts {
  return { dims: [], type: 0, name: '', isExternal: false, external: new Map(), typed: undefined };
}

function readField(message: MessageReader, parts: Parts): void {
  const { number } = message;
  if (number === 1) {
    message.integers((value) => {
      if (value < 0n || value > Number.MAX_SAFE_INTEGER) message.fail(`dimension ${value} is out of range`);
      parts.dims.push(Number(value));
    });
  } else if (number === 2) parts.type = message.integer();
  else if (number === 8) parts.name = message.text();
  else if (number === 13) {
    const entry = message.message('external_data');
    let key = '';
    let value = '';
    while (entry.next()) {
      if (entry.number === 1) key = entry.text();
      else if (entry.number === 2) value = entry.text();
    }
    parts.external.set(key, value);
  } else if (number === 14) parts.isExternal = message.integer() === 1;
  else if (number === 3) message.fail('it is a segment of a tensor, which Farfield does not read');
  else if (TYPED.has(number)) {
    if (parts.typed !== undefined && parts.typed.field !== number) message.fail('it has two fields of data');
    parts.typed ??= { field: number, values: [] };
    const { values } = parts.typed;
    if (number === 4) message.fixed(4, (view) => values.push(view.getFloat32(0, true)));
    else if (number === 10) message.fixed(8, (view) => values.push(view.getFloat64(0, true)));
    else message.integers((value) => values.push(value));
  }
}

function header(parts: Parts, fail: (why: string) => never): { type: ElementType; shape: readonly number[] } {
  const type = elementType(parts.type);
  if (type === undefined)
    return fail(`its elements have type ${parts.type} of TensorProto.DataType, which Farfield does not read`);
  return { type, shape: parts.dims };
}

function byteLength(type: ElementType, shape: readonly number[], fail: (why: string) => never): number {
  const elements = shape.reduce((product, side) => product * side, 1);
  const bytes = elements * ELEMENT_BYTES[type];
  return Number.isSafeInteger(bytes) ? bytes : fail(`${describe(type, shape)} is too large`);
}

/** The values of a typed field, which has to be the one for the type (onnx.proto, TensorProto). */
function fromTyped(
  type: ElementType,
  shape: readonly number[],
  { typed }: Parts,
  fail: (why: string) => never,
): TensorData {
  const values = typed?.values ?? [];
  const elements = shape.reduce((product, side) => product * side, 1);
  if (values.length !== elements)
    fail(`it has ${counted(values.length, 'element')}, ${describe(type, shape)} needs ${elements}`);
  const wanted = fieldOf(type);
  if (typed !== undefined && typed.field !== wanted)
    fail(`${type} elements in field ${typed.field}, expected ${wanted}`);
  const data = createData(type, elements);
  // Arrays of integers wrap their elements around, so that a negative int32 gives the bits of a half as well.
  if (data instanceof BigInt64Array || data instanceof BigUint64Array) {
    for (const [i, value] of values.entries()) data[i] = BigInt(value);
  } else {
    for (const [i, value] of values.entries()) data[i] = Number(value);
  }
  return data;
}

function fieldOf(type: ElementType): number {
  switch (type) {
    case 'float32':
      return 4;
    case 'float64':
      return 10;
    case 'int64':
      return 7;
    case 'uint32':
    case 'uint64':
      return 11;
    default:
      return 5;
  }
}

/** The bytes as elements: a view where they are aligned, else a copy. */
export function typedArray(type: ElementType, bytes: Uint8Array): TensorData {
  const size = ELEMENT_BYTES[type];
  // Not slice(): that of Node's Buffer is a view.
  const aligned = bytes.byteOffset % size === 0 ? bytes : new Uint8Array(bytes);
  const make = createData(type, 0).constructor as new (
    buffer: ArrayBufferLike,
    offset: number,
    length: number,
  ) => TensorData;
  return new make(aligned.buffer, aligned.byteOffset, aligned.byteLength / size);
}

function externalPlace(
  external: ReadonlyMap<string, string>,
  bytes: number,
  fail: (why: string) => never,
): { location: string; offset: number } {
  const location = external.get('location') ?? fail('its external data has no location');
  const isInside =
    location !== '' && !/^[/\\]|[\\:\0]|^[A-Za-z]:/.test(location) && !location.split('/').includes('..');
  if (!isInside) fail(`its external data is at ${JSON.stringify(location)}, which does not lie beside the model`);
  const number = (key: string, otherwise: number): number => {
    const text = external.get(key);
    if (text === undefined) return otherwise;
    return /^\d{1,15}$/.test(text) ? Number(text) : fail(`its external data has the ${key} ${JSON.stringify(text)}`);
  };
  const length = number('length', bytes);
  if (length !== bytes) fail(`its external data has ${counted(length, 'byte')}, its shape needs ${bytes}`);
  return { location, offset: number('offset', 0) };
}

function describe(type: ElementType, shape: readonly number[]): string {
  return `${type} [${shape.join(', ')}]`;
}
