/**
 * The header of a GGUF file: typed key-value metadata and the list of tensors.
 * Source: "GGUF", https://github.com/ggml-org/ggml/blob/master/docs/gguf.md. All numbers are little-endian:
 *
 *     magic "GGUF", u32 version, u64 tensor count, u64 pair count,
 *     pairs:   string key, u32 value type, value
 *     tensors: string name, u32 rank, u64 sides[rank] (fastest first), u32 type, u64 offset into the data
 *     padding to a multiple of `general.alignment` (32), data
 *
 * where a string is u64 bytes and UTF-8, and an array is u32 element type, u64 count and the elements.
 */
import { counted } from '../counted.ts';
import { CheckpointError } from '../errors.ts';

/** u64 and i64 values are numbers where a number holds them exactly, bigints otherwise. */
export type GgufValue = number | bigint | boolean | string | GgufValue[];

/** The metadata of a GGUF file by key. */
export type GgufMetadata = ReadonlyMap<string, GgufValue>;

/** Thrown by the cursor when the header goes on beyond the bytes read so far: read more and parse again. */
export class HeaderGoesOn extends Error {
  readonly neededBytes: number;
  constructor(neededBytes: number) {
    super('the header goes on');
    this.neededBytes = neededBytes;
  }
}

const STRING = 8;
const ARRAY = 9;
/** Arrays inside arrays are legal; nobody writes more than two, and a corrupt file must not exhaust the stack. */
const DEEPEST_ARRAY = 16;

/** Bytes of the value types of a fixed size, by their number in the file. */
const FIXED_BYTES: Readonly<Record<number, number>> = {
  0: 1, // u8
  1: 1, // i8
  2: 2, // u16
  3: 2, // i16
  4: 4, // u32
  5: 4, // i32
  6: 4, // f32
  7: 1, // bool
  10: 8, // u64
  11: 8, // i64
  12: 8, // f64
};

/** Reads the header's values one after another from its first `bytes.length` of `fileSize` bytes. */
export class HeaderCursor {
  position = 0;
  readonly #bytes: Uint8Array;
  readonly #view: DataView;
  readonly #fileSize: number;
  readonly #file: string;
  readonly #utf8 = new TextDecoder('utf-8', { ignoreBOM: true });

  constructor(bytes: Uint8Array, fileSize: number, file: string) {
    this.#bytes = bytes;
    this.#view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
    this.#fileSize = fileSize;
    this.#file = file;
  }

  fail(message: string): never {
    throw new CheckpointError(`${this.#file}: ${message}`);
  }

  /** Advances over `length` bytes and returns where they start. */
  take(length: number, what: string): number {
    const start = this.position;
    const end = start + length;
    if (end > this.#fileSize) {
      this.fail(
        `${what} at byte ${start} needs ${counted(length, 'byte')}, but only ${this.#fileSize - start} are left`,
      );
    }
    if (end > this.#bytes.byteLength) throw new HeaderGoesOn(end);
    this.position = end;
    return start;
  }

  u32(what: string): number {
    return this.#view.getUint32(this.take(4, what), true);
  }

  /** A u64 that counts or measures something in the file. */
  count(what: string): number {
    const value = this.#view.getBigUint64(this.take(8, what), true);
    if (value > BigInt(Number.MAX_SAFE_INTEGER)) {
      this.fail(`${what} is ${value}, more than any file holds: the file is corrupt`);
    }
    return Number(value);
  }

  /** A count of things that take at least `least` bytes each, checked against the bytes that are left. */
  countOf(what: string, least: number): number {
    const count = this.count(what);
    const left = this.#fileSize - this.position;
    if (count * least > left) {
      this.fail(
        `${what} is ${count}, which needs at least ${counted(count * least, 'byte')}, but only ${left} are left`,
      );
    }
    return count;
  }

  string(what: string): string {
    const length = this.count(`the length of ${what}`);
    const start = this.take(length, what);
    // Most strings are tokens of a few ASCII letters, for which a decoder call costs more than the work.
    if (length <= 24) {
      let text = '';
      let at = start;
      for (; at < start + length; at++) {
        const byte = this.#bytes[at] ?? 0;
        if (byte >= 0x80) break;
        text += String.fromCharCode(byte);
      }
      if (at === start + length) return text;
    }
    return this.#utf8.decode(this.#bytes.subarray(start, start + length));
  }

  value(type: number, what: string, depth = 0): GgufValue {
    if (type === STRING) return this.string(what);
    if (type === ARRAY) return this.#array(what, depth);
    const bytes = FIXED_BYTES[type];
    if (bytes === undefined) return this.fail(`${what} has the unknown value type ${type}`);
    return this.#fixed(type, this.take(bytes, what), what);
  }

  #fixed(type: number, at: number, what: string): number | bigint | boolean {
    const view = this.#view;
    switch (type) {
      case 0:
        return view.getUint8(at);
      case 1:
        return view.getInt8(at);
      case 2:
        return view.getUint16(at, true);
      case 3:
        return view.getInt16(at, true);
      case 4:
        return view.getUint32(at, true);
      case 5:
        return view.getInt32(at, true);
      case 6:
        return view.getFloat32(at, true);
      case 7:
        return this.#bool(view.getUint8(at), what);
      case 10:
        return exactNumber(view.getBigUint64(at, true));
      case 11:
        return exactNumber(view.getBigInt64(at, true));
      default:
        return view.getFloat64(at, true);
    }
  }

  #bool(byte: number, what: string): boolean {
    if (byte > 1) this.fail(`${what} is a boolean, but its byte is ${byte}, neither 0 nor 1`);
    return byte === 1;
  }

  #array(what: string, depth: number): GgufValue[] {
    if (depth === DEEPEST_ARRAY) this.fail(`${what} has arrays nested deeper than ${DEEPEST_ARRAY}`);
    const type = this.u32(`the element type of ${what}`);
    const bytes = type === STRING ? 8 : type === ARRAY ? 12 : FIXED_BYTES[type];
    if (bytes === undefined) return this.fail(`${what} has the unknown element type ${type}`);
    const count = this.countOf(`the length of ${what}`, bytes);
    const values: GgufValue[] = [];
    if (type === STRING) {
      for (let i = 0; i < count; i++) values.push(this.string(what));
    } else if (type === ARRAY) {
      for (let i = 0; i < count; i++) values.push(this.#array(what, depth + 1));
    } else {
      const start = this.take(count * bytes, what);
      for (let i = 0; i < count; i++) values.push(this.#fixed(type, start + i * bytes, what));
    }
    return values;
  }
}

function exactNumber(value: bigint): number | bigint {
  const number = Number(value);
  return Number.isSafeInteger(number) ? number : value;
}
