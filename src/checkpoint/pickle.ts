/**
 * Python's pickle format (CPython, Lib/pickletools.py; protocols 2 to 5), for data alone: lists, dictionaries, text and numbers.
 * A pickle is a program that may import and call anything; here it can import only what `globals` lists, and call only what is listed
 * as a function. Whatever else it asks for is refused by name.
 */
import { CheckpointError } from '../errors.ts';

/** A value of a pickle; what `globals` and `load` make is their own. */
export type PickleValue = unknown;

/** What a pickle may import: a function that it may call, or a value. */
export type PickleGlobal =
  | { readonly call: (args: readonly PickleValue[]) => PickleValue }
  | { readonly value: PickleValue };

export interface UnpickleOptions {
  /** What error messages call the pickle. */
  readonly name: string;
  /** What it may import, by "module.name". */
  readonly globals: ReadonlyMap<string, PickleGlobal>;
  /** Makes the object of a persistent id, which is how a pickle refers to what lies outside of it. */
  readonly load: (id: PickleValue) => PickleValue;
}

/** A place on the stack from which a tuple, list or dictionary is made. */
const MARK = Symbol('mark');

/** An import that has not been called. */
class Imported {
  readonly path: string;
  readonly global: PickleGlobal;
  constructor(path: string, global: PickleGlobal) {
    this.path = path;
    this.global = global;
  }
}

/** The value of a pickle. Dictionaries are Maps, tuples and lists arrays. Throws CheckpointError. */
export function unpickle(bytes: Uint8Array, options: UnpickleOptions): PickleValue {
  return new Unpickler(bytes, options).run();
}

class Unpickler {
  readonly #bytes: Uint8Array;
  readonly #view: DataView;
  readonly #options: UnpickleOptions;
  readonly #stack: PickleValue[] = [];
  readonly #memo = new Map<number, PickleValue>();
  #at = 0;

  constructor(bytes: Uint8Array, options: UnpickleOptions) {
    this.#bytes = bytes;
    this.#view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
    this.#options = options;
  }

  run(): PickleValue {
    for (;;) {
      const opcode = this.#byte();
      if (opcode === 0x2e) return plain(this.#pop());
      this.#step(opcode);
    }
  }

  #step(opcode: number): void {
    const stack = this.#stack;
    switch (opcode) {
      case 0x80: {
        const protocol = this.#byte();
        if (protocol < 2 || protocol > 5) this.#fail(`protocol ${protocol}; 2 to 5 are read`);
        return;
      }
      case 0x95: // FRAME: only a hint for reading.
        this.#take(8);
        return;
      case 0x28:
        stack.push(MARK);
        return;
      case 0x30:
        this.#pop();
        return;
      case 0x31:
        this.#toMark();
        return;
      case 0x32: {
        const top = this.#pop();
        stack.push(top, top);
        return;
      }
      case 0x4e:
        stack.push(null);
        return;
      case 0x88:
      case 0x89:
        stack.push(opcode === 0x88);
        return;
      case 0x4b:
        stack.push(this.#byte());
        return;
      case 0x4d:
        stack.push(this.#view.getUint16(this.#take(2), true));
        return;
      case 0x4a:
        stack.push(this.#view.getInt32(this.#take(4), true));
        return;
      case 0x8a:
        stack.push(this.#long(this.#byte()));
        return;
      case 0x8b:
        stack.push(this.#long(this.#view.getInt32(this.#take(4), true)));
        return;
      case 0x47:
        stack.push(this.#view.getFloat64(this.#take(8), false));
        return;
      case 0x58:
        stack.push(this.#text(this.#uint32()));
        return;
      case 0x8c:
        stack.push(this.#text(this.#byte()));
        return;
      case 0x8d:
        stack.push(this.#text(this.#uint64()));
        return;
      case 0x55:
        stack.push(this.#text(this.#byte()));
        return;
      case 0x54:
        stack.push(this.#text(this.#uint32()));
        return;
      case 0x43:
        stack.push(this.#binary(this.#byte()));
        return;
      case 0x42:
        stack.push(this.#binary(this.#uint32()));
        return;
      case 0x8e:
        stack.push(this.#binary(this.#uint64()));
        return;
      case 0x5d:
      case 0x29:
      case 0x8f:
        stack.push([]);
        return;
      case 0x7d:
        stack.push(new Map());
        return;
      case 0x85:
      case 0x86:
      case 0x87:
        stack.push(this.#popMany(opcode - 0x84));
        return;
      case 0x74:
      case 0x6c:
        stack.push(this.#toMark());
        return;
      case 0x64:
        stack.push(this.#fill(new Map(), this.#toMark()));
        return;
      case 0x61:
        this.#append([this.#pop()]);
        return;
      case 0x65:
      case 0x90:
        this.#append(this.#toMark());
        return;
      case 0x73:
        this.#setItems(this.#popMany(2));
        return;
      case 0x75:
        this.#setItems(this.#toMark());
        return;
      case 0x63:
        stack.push(this.#import(this.#line(), this.#line()));
        return;
      case 0x93: {
        const [module, name] = this.#popMany(2);
        if (typeof module !== 'string' || typeof name !== 'string') throw this.#error('an import without a name');
        stack.push(this.#import(module, name));
        return;
      }
      case 0x52:
      case 0x81: {
        const [called, args] = this.#popMany(2);
        stack.push(this.#call(called, args));
        return;
      }
      case 0x62: // BUILD: attributes of an object, of which data has none that count.
        this.#pop();
        return;
      case 0x51:
        stack.push(this.#options.load(plain(this.#pop())));
        return;
      case 0x71:
        this.#memo.set(this.#byte(), this.#top());
        return;
      case 0x72:
        this.#memo.set(this.#uint32(), this.#top());
        return;
      case 0x94:
        this.#memo.set(this.#memo.size, this.#top());
        return;
      case 0x68:
        stack.push(this.#remembered(this.#byte()));
        return;
      case 0x6a:
        stack.push(this.#remembered(this.#uint32()));
        return;
      default:
        this.#fail(`opcode 0x${opcode.toString(16)} at byte ${this.#at - 1}, which data does not need`);
    }
  }

  #import(module: string, name: string): Imported {
    const path = `${module}.${name}`;
    const global = this.#options.globals.get(path);
    if (global === undefined) {
      throw new CheckpointError(
        `${this.#options.name}: imports ${path}; only tensors are read, and nothing else is run. Save the state_dict alone, or as safetensors.`,
      );
    }
    return new Imported(path, global);
  }

  #call(called: PickleValue, args: PickleValue): PickleValue {
    if (!(called instanceof Imported) || !('call' in called.global)) return this.#fail('a call of what is no function');
    if (!Array.isArray(args)) return this.#fail(`${called.path} is called without a tuple`);
    return called.global.call(args.map(plain));
  }

  #append(values: readonly PickleValue[]): void {
    const list = this.#top();
    if (!Array.isArray(list)) throw this.#error('an append to what is no list');
    for (const value of values) list.push(plain(value));
  }

  #setItems(pairs: readonly PickleValue[]): void {
    const map = this.#top();
    if (!(map instanceof Map)) throw this.#error('an item of what is no dictionary');
    this.#fill(map, pairs);
  }

  #fill(map: Map<PickleValue, PickleValue>, pairs: readonly PickleValue[]): Map<PickleValue, PickleValue> {
    if (pairs.length % 2 !== 0) this.#fail('a key without a value');
    for (let i = 0; i < pairs.length; i += 2) map.set(plain(pairs[i]), plain(pairs[i + 1]));
    return map;
  }

  #toMark(): PickleValue[] {
    const at = this.#stack.lastIndexOf(MARK);
    if (at === -1) return this.#fail('no mark on the stack');
    const values = this.#stack.splice(at);
    return values.slice(1).map(plain);
  }

  #pop(): PickleValue {
    if (this.#stack.length === 0 || this.#stack.at(-1) === MARK) this.#fail('an empty stack');
    return this.#stack.pop();
  }

  #popMany(count: number): PickleValue[] {
    const values: PickleValue[] = [];
    for (let i = 0; i < count; i++) values.unshift(this.#pop());
    return values;
  }

  #top(): PickleValue {
    if (this.#stack.length === 0 || this.#stack.at(-1) === MARK) this.#fail('an empty stack');
    return this.#stack.at(-1);
  }

  #remembered(index: number): PickleValue {
    if (!this.#memo.has(index)) this.#fail(`no value was put at ${index}`);
    return this.#memo.get(index);
  }

  /** Little-endian two's complement. */
  #long(length: number): number | bigint {
    if (length < 0 || length > 64) this.#fail(`an integer of ${length} bytes`);
    let value = 0n;
    const start = this.#take(length);
    for (let i = length - 1; i >= 0; i--) value = (value << 8n) | BigInt(this.#bytes[start + i]);
    if (length > 0 && this.#bytes[start + length - 1] >= 128) value -= 1n << BigInt(8 * length);
    const number = Number(value);
    return Number.isSafeInteger(number) ? number : value;
  }

  #text(length: number): string {
    const start = this.#take(length);
    return new TextDecoder().decode(this.#bytes.subarray(start, start + length));
  }

  #binary(length: number): Uint8Array {
    const start = this.#take(length);
    return this.#bytes.subarray(start, start + length);
  }

  #line(): string {
    const end = this.#bytes.indexOf(10, this.#at);
    if (end === -1) return this.#fail('a line without an end');
    const text = this.#text(end - this.#at);
    this.#at = end + 1;
    return text;
  }

  #byte(): number {
    return this.#bytes[this.#take(1)];
  }

  #uint32(): number {
    return this.#view.getUint32(this.#take(4), true);
  }

  #uint64(): number {
    return Number(this.#view.getBigUint64(this.#take(8), true));
  }

  /** Moves past some bytes; gives where they start. */
  #take(length: number): number {
    if (length > this.#bytes.length - this.#at)
      this.#fail(`it ends at byte ${this.#bytes.length}, where ${length} more are needed`);
    this.#at += length;
    return this.#at - length;
  }

  #fail(what: string): never {
    throw this.#error(what);
  }

  #error(what: string): CheckpointError {
    return new CheckpointError(`${this.#options.name}: ${what}: not a pickle of tensors, truncated, or corrupt`);
  }
}

/** The value of an import that is no function. */
function plain(value: PickleValue): PickleValue {
  return value instanceof Imported && 'value' in value.global ? value.global.value : value;
}
