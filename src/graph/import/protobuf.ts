/**
 * Reads the Protocol Buffers wire format (Protocol Buffers documentation, "Encoding"). A field is a key (number * 8 + wire type) and
 * a value: wire type 0 a varint, 1 eight bytes, 2 a length and that many bytes, 5 four bytes.
 */
import { counted } from '../../counted.ts';
import { CheckpointError } from '../../errors.ts';

/** Random access to a file; checkpoint/'s ByteSource is one. */
export interface ByteRange {
  /** What error messages call it. */
  readonly name: string;
  /** Bytes in all. */
  readonly size: number;
  /** Bytes `offset` to `offset + length`; they may be shared and are not written to. */
  read(offset: number, length: number): Promise<Uint8Array>;
}

/** A varint takes 7 bits of a 64-bit number per byte. */
const LONGEST_VARINT = 10;

/** Steps through the fields of one message that is in memory. Its methods throw CheckpointError where the bytes end early. */
export class MessageReader {
  readonly bytes: Uint8Array;
  /** Names the message in errors, e.g. "model.onnx: node 3". */
  readonly what: string;
  number = 0;
  wire = 0;
  #at = 0;
  #valueStart = 0;

  constructor(bytes: Uint8Array, what: string) {
    this.bytes = bytes;
    this.what = what;
  }

  /** Moves to the next field, past a value that was not read. False at the end. */
  next(): boolean {
    if (this.#valueStart === this.#at && this.#at > 0) this.#skip();
    if (this.#at === this.bytes.length) return false;
    const key = Number(this.#varint());
    this.number = Math.floor(key / 8);
    this.wire = key % 8;
    if (this.number < 1 || this.number >= 2 ** 29) this.fail(`field number ${this.number} does not exist`);
    this.#valueStart = this.#at;
    return true;
  }

  /** A varint as a signed 64-bit integer. */
  bigint(): bigint {
    this.#want(0);
    return BigInt.asIntN(64, this.#varint());
  }

  /** A varint that must be a whole number that JavaScript holds exactly. */
  integer(): number {
    const value = Number(this.bigint());
    return Number.isSafeInteger(value) ? value : this.fail(`field ${this.number} is ${value}, which is out of range`);
  }

  float(): number {
    this.#want(5);
    return this.#view(4).getFloat32(0, true);
  }

  /** The bytes of a length-delimited field; a view. */
  content(): Uint8Array {
    this.#want(2);
    const length = Number(this.#varint());
    return this.#take(length);
  }

  text(): string {
    return decodeText(this.content(), () => this.fail(`field ${this.number} is not UTF-8 text`));
  }

  message(what: string): MessageReader {
    return new MessageReader(this.content(), `${this.what}: ${what}`);
  }

  /** Integers of a repeated field, of which this is one value, or all of them packed. */
  integers(push: (value: bigint) => void): void {
    if (this.wire === 2) {
      const packed = new MessageReader(this.content(), this.what);
      while (packed.#at < packed.bytes.length) push(BigInt.asIntN(64, packed.#varint()));
    } else push(this.bigint());
  }

  /** The same for numbers of a fixed number of bytes. */
  fixed(bytes: 4 | 8, push: (view: DataView) => void): void {
    if (this.wire !== 2) {
      this.#want(bytes === 4 ? 5 : 1);
      push(this.#view(bytes));
      return;
    }
    const content = this.content();
    if (content.length % bytes !== 0)
      this.fail(`field ${this.number} has ${counted(content.length, 'byte')}, not whole numbers of ${bytes}`);
    for (let at = 0; at < content.length; at += bytes) {
      push(new DataView(content.buffer, content.byteOffset + at, bytes));
    }
  }

  fail(why: string): never {
    throw new CheckpointError(`${this.what}: ${why}: not ONNX, or corrupt`);
  }

  #want(wire: number): void {
    if (this.wire !== wire) this.fail(`field ${this.number} has wire type ${this.wire}, expected ${wire}`);
  }

  #skip(): void {
    if (this.wire === 0) this.#varint();
    else if (this.wire === 1) this.#take(8);
    else if (this.wire === 2) this.content();
    else if (this.wire === 5) this.#take(4);
    else this.fail(`field ${this.number} has wire type ${this.wire}`);
  }

  #varint(): bigint {
    const { value, end } = decodeVarint(this.bytes, this.#at, () => this.fail('a varint does not end'));
    this.#at = end;
    return value;
  }

  #view(bytes: number): DataView {
    const taken = this.#take(bytes);
    return new DataView(taken.buffer, taken.byteOffset, bytes);
  }

  #take(length: number): Uint8Array {
    const left = this.bytes.length - this.#at;
    if (length > left) this.fail(`field ${this.number} needs ${counted(length, 'byte')}, ${left} are left`);
    this.#at += length;
    return this.bytes.subarray(this.#at - length, this.#at);
  }
}

/** A field of a message in a file; `start` to `end` is the content of a length-delimited one. */
export interface FileField {
  readonly number: number;
  readonly wire: number;
  /** Of a varint. */
  readonly value: bigint;
  /** Of its key. */
  readonly at: number;
  readonly start: number;
  readonly end: number;
}

/** Bytes that are read at once while small fields are stepped through. */
const WINDOW = 2 ** 16;

/** Steps through messages in a file without reading the long fields: those are given as ranges. */
export class FileReader {
  readonly source: ByteRange;
  #window: { readonly start: number; readonly bytes: Uint8Array } = { start: 0, bytes: new Uint8Array() };

  constructor(source: ByteRange) {
    this.source = source;
  }

  /** The fields of the message at bytes start..end - 1. */
  async *fields(start: number, end: number, what: string): AsyncGenerator<FileField> {
    let at = start;
    while (at < end) {
      const head = await this.read(at, Math.min(2 * LONGEST_VARINT, end - at), what);
      const fail = (why: string): never => {
        throw new CheckpointError(`${this.source.name}: ${what} at byte ${at}: ${why}: not ONNX, or corrupt`);
      };
      const key = decodeVarint(head, 0, () => fail('a varint does not end'));
      const number = Number(key.value >> 3n);
      const wire = Number(key.value & 7n);
      if (number < 1 || number >= 2 ** 29) fail(`field number ${number} does not exist`);
      let value = 0n;
      let from = at + key.end;
      let length = wire === 1 ? 8 : 4;
      if (wire === 0 || wire === 2) {
        const varint = decodeVarint(head, key.end, () => fail('a varint does not end'));
        value = BigInt.asIntN(64, varint.value);
        from = at + varint.end;
        length = wire === 0 ? 0 : Number(varint.value);
      } else if (wire !== 1 && wire !== 5) fail(`field ${number} has wire type ${wire}`);
      if (length > end - from) fail(`field ${number} needs ${counted(length, 'byte')}, ${end - from} are left`);
      yield { number, wire, value, at, start: from, end: from + length };
      at = from + length;
    }
  }

  /** Exactly `length` bytes at `offset`; through the window where they are few. */
  async read(offset: number, length: number, what: string): Promise<Uint8Array> {
    const { start, bytes } = this.#window;
    if (offset >= start && offset + length <= start + bytes.length) {
      return bytes.subarray(offset - start, offset - start + length);
    }
    if (length > WINDOW / 4) return readRange(this.source, offset, length, what);
    const window = await readRange(this.source, offset, Math.min(WINDOW, this.source.size - offset), what);
    this.#window = { start: offset, bytes: window };
    return window.subarray(0, length);
  }

  /** A reader that stands on this field, as if it were a message of its own. */
  async reader(field: FileField, what: string): Promise<MessageReader> {
    const bytes = await this.read(field.at, field.end - field.at, what);
    const reader = new MessageReader(bytes, `${this.source.name}: ${what}`);
    reader.next();
    return reader;
  }

  /** The content of a length-delimited field. */
  async content(field: FileField, what: string): Promise<Uint8Array> {
    if (field.wire !== 2) {
      throw new CheckpointError(
        `${this.source.name}: ${what}: field ${field.number} has wire type ${field.wire}: not ONNX, or corrupt`,
      );
    }
    return this.read(field.start, field.end - field.start, what);
  }

  async text(field: FileField, what: string): Promise<string> {
    return decodeText(await this.content(field, what), () => {
      throw new CheckpointError(
        `${this.source.name}: ${what}: field ${field.number} is not UTF-8 text: not ONNX, or corrupt`,
      );
    });
  }
}

/** Exactly `length` bytes at `offset`. The range is checked against the size before anything is allocated. */
export async function readRange(source: ByteRange, offset: number, length: number, what: string): Promise<Uint8Array> {
  if (!(offset >= 0 && length >= 0 && offset + length <= source.size)) {
    throw new CheckpointError(
      `${source.name}: ${what} needs bytes ${offset} to ${offset + length}, but the file has ${source.size}: it is truncated or corrupt`,
    );
  }
  const bytes = await source.read(offset, length);
  if (bytes.byteLength !== length) {
    throw new CheckpointError(
      `${source.name}: ${what}: asked for ${counted(length, 'byte')} at ${offset}, got ${bytes.byteLength}`,
    );
  }
  return bytes;
}

function decodeVarint(bytes: Uint8Array, start: number, fail: () => never): { value: bigint; end: number } {
  let low = 0;
  let at = start;
  // Five bytes hold 35 bits, which a number holds exactly; longer ones are rare.
  for (let shift = 1; at < bytes.length && at - start < 5; shift *= 128) {
    const byte = bytes[at++];
    low += (byte & 127) * shift;
    if (byte < 128) return { value: BigInt(low), end: at };
  }
  let value = BigInt(low);
  for (let shift = 35n; at < bytes.length && at - start < LONGEST_VARINT; shift += 7n) {
    const byte = bytes[at++];
    value |= BigInt(byte & 127) << shift;
    if (byte < 128) return { value: BigInt.asUintN(64, value), end: at };
  }
  return fail();
}

function decodeText(bytes: Uint8Array, fail: () => never): string {
  try {
    return new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(bytes);
  } catch {
    return fail();
  }
}
