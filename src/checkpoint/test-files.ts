/** Builds small weight files byte by byte, right or wrong in one place, for the tests. */

/** Little-endian bytes, appended. */
class Bytes {
  readonly #bytes: number[] = [];
  get length(): number {
    return this.#bytes.length;
  }
  integer(value: number | bigint, bytes: number): this {
    let rest = BigInt.asUintN(8 * bytes, BigInt(value));
    for (let i = 0; i < bytes; i++, rest >>= 8n) this.#bytes.push(Number(rest & 255n));
    return this;
  }
  u32(value: number): this {
    return this.integer(value, 4);
  }
  u64(value: number | bigint): this {
    return this.integer(value, 8);
  }
  raw(bytes: Iterable<number>): this {
    for (const byte of bytes) this.#bytes.push(byte);
    return this;
  }
  string(text: string): this {
    const utf8 = new TextEncoder().encode(text);
    return this.u64(utf8.length).raw(utf8);
  }
  pad(alignment: number): this {
    while (this.#bytes.length % alignment !== 0) this.#bytes.push(0);
    return this;
  }
  done(): Uint8Array {
    return Uint8Array.from(this.#bytes);
  }
}

export function bytes(): Bytes {
  return new Bytes();
}

export interface GgufPair {
  readonly key: string;
  readonly type: number;
  /** The value as it stands in the file. */
  readonly value: Uint8Array;
}

export interface GgufTensor {
  readonly name: string;
  /** As GGUF lists them, fastest first. */
  readonly sides: readonly (number | bigint)[];
  readonly type: number;
  readonly offset: number;
}

export interface GgufParts {
  readonly magic?: string;
  readonly version?: number;
  readonly tensorCount?: number | bigint;
  readonly pairCount?: number | bigint;
  readonly pairs?: readonly GgufPair[];
  readonly tensors?: readonly GgufTensor[];
  readonly alignment?: number;
  readonly data?: Uint8Array;
}

export function ggufFile(parts: GgufParts): Uint8Array {
  const { magic = 'GGUF', version = 3, pairs = [], tensors = [], alignment = 32, data = new Uint8Array(0) } = parts;
  const file = bytes()
    .raw(new TextEncoder().encode(magic))
    .u32(version)
    .u64(parts.tensorCount ?? tensors.length)
    .u64(parts.pairCount ?? pairs.length);
  for (const { key, type, value } of pairs) file.string(key).u32(type).raw(value);
  for (const { name, sides, type, offset } of tensors) {
    file.string(name).u32(sides.length);
    for (const side of sides) file.u64(side);
    file.u32(type).u64(offset);
  }
  return file.pad(alignment).raw(data).done();
}

/** A safetensors file of a header (an object, or JSON as it is to stand) and data. */
export function safetensorsFile(header: object | string, data: Uint8Array = new Uint8Array(0)): Uint8Array {
  const json = new TextEncoder().encode(typeof header === 'string' ? header : JSON.stringify(header));
  return bytes().u64(json.length).raw(json).raw(data).done();
}
