/** Writes the bytes of a small WebAssembly module: one memory, imported functions, functions with bodies. */

export const I32 = 0x7f;
export const F64 = 0x7c;
export const V128 = 0x7b;
export type Type = typeof I32 | typeof F64 | typeof V128;

/** 128-bit operations, by their number after the prefix 0xfd. */
export const SIMD = {
  load: 0x00,
  loadSplat: 0x09,
  store: 0x0b,
  const: 0x0c,
  shuffle: 0x0d,
  i32Splat: 0x11,
  f32Splat: 0x13,
  i32Lane: 0x1b,
  f32Lane: 0x1f,
  f64Lane: 0x21,
  i32Equal: 0x37,
  equal: 0x41,
  notEqual: 0x42,
  less: 0x43,
  greater: 0x44,
  lessEqual: 0x45,
  greaterEqual: 0x46,
  and: 0x4e,
  bitselect: 0x52,
  loadLane: 0x56,
  loadZero: 0x5c,
  promoteLow: 0x5f,
  floor: 0x68,
  i32Negate: 0xa1,
  i32AllTrue: 0xa3,
  i32Shl: 0xab,
  i32Add: 0xae,
  i32Mul: 0xb5,
  i32Min: 0xb6,
  i32Max: 0xb8,
  abs: 0xe0,
  neg: 0xe1,
  add: 0xe4,
  sub: 0xe5,
  mul: 0xe6,
  div: 0xe7,
  min: 0xe8,
  max: 0xe9,
  f64Add: 0xf0,
  truncate: 0xf8,
  convert: 0xfa,
  /** Of relaxed SIMD. */
  multiplyAdd: 0x105,
} as const;

/** A function: parameters and result. */
export interface Signature {
  readonly parameters: readonly Type[];
  readonly results: readonly Type[];
}

/** The body of a function; every method adds an instruction. */
export class Body {
  readonly signature: Signature;
  readonly #locals: Type[] = [];
  readonly #bytes: number[] = [];

  constructor(signature: Signature) {
    this.signature = signature;
  }

  /** A new local, zero at first. */
  local(type: Type): number {
    return this.signature.parameters.length + this.#locals.push(type) - 1;
  }

  get(local: number): void {
    this.#op(0x20, local);
  }

  set(local: number): void {
    this.#op(0x21, local);
  }

  tee(local: number): void {
    this.#op(0x22, local);
  }

  i32(value: number): void {
    this.#bytes.push(0x41, ...signed(value | 0));
  }

  i32Add(): void {
    this.#bytes.push(0x6a);
  }

  i32Sub(): void {
    this.#bytes.push(0x6b);
  }

  i32Mul(): void {
    this.#bytes.push(0x6c);
  }

  i32Shl(): void {
    this.#bytes.push(0x74);
  }

  i32LessUnsigned(): void {
    this.#bytes.push(0x49);
  }

  i32Load(offset: number): void {
    this.#bytes.push(0x28, 2, ...unsigned(offset));
  }

  f32Load(offset: number): void {
    this.#bytes.push(0x2a, 2, ...unsigned(offset));
  }

  f32Store(offset: number): void {
    this.#bytes.push(0x38, 2, ...unsigned(offset));
  }

  f32Add(): void {
    this.#bytes.push(0x92);
  }

  f64Add(): void {
    this.#bytes.push(0xa0);
  }

  f64Load(): void {
    this.#bytes.push(0x2b, 3, 0);
  }

  f64Store(): void {
    this.#bytes.push(0x39, 3, 0);
  }

  f64Promote(): void {
    this.#bytes.push(0xbb);
  }

  f32Convert(): void {
    this.#bytes.push(0xb2);
  }

  call(index: number): void {
    this.#op(0x10, index);
  }

  simd(operation: number, ...immediate: number[]): void {
    this.#bytes.push(0xfd, ...unsigned(operation), ...immediate);
  }

  load(offset: number): void {
    this.simd(SIMD.load, 2, ...unsigned(offset));
  }

  store(offset: number): void {
    this.simd(SIMD.store, 2, ...unsigned(offset));
  }

  floats(...lanes: [number, number, number, number]): void {
    this.simd(SIMD.const, ...new Uint8Array(new Float32Array(lanes).buffer));
  }

  integers(...lanes: [number, number, number, number]): void {
    this.simd(SIMD.const, ...new Uint8Array(new Int32Array(lanes).buffer));
  }

  /** Lanes 0 to 3 are the first operand's, 4 to 7 the second's. */
  shuffle(...lanes: [number, number, number, number]): void {
    this.simd(SIMD.shuffle, ...lanes.flatMap((lane) => [4 * lane, 4 * lane + 1, 4 * lane + 2, 4 * lane + 3]));
  }

  /** Repeats `body` while it leaves a truth on the stack. */
  loop(body: () => void): void {
    this.#bytes.push(0x03, 0x40);
    body();
    this.#bytes.push(0x0d, 0, 0x0b);
  }

  /** Takes a truth; both branches leave a value of `result`, or nothing. */
  branch(result: Type | undefined, then: () => void, otherwise: () => void): void {
    this.#bytes.push(0x04, result ?? 0x40);
    then();
    this.#bytes.push(0x05);
    otherwise();
    this.#bytes.push(0x0b);
  }

  encode(): number[] {
    const locals = this.#locals.flatMap((type) => [1, type]);
    const bytes = [...unsigned(this.#locals.length), ...locals, ...this.#bytes, 0x0b];
    return [...unsigned(bytes.length), ...bytes];
  }

  #op(code: number, immediate: number): void {
    this.#bytes.push(code, ...unsigned(immediate));
  }
}

export interface ModuleParts {
  /** Numbered from 0 in this order; the functions follow. */
  readonly imports: readonly { readonly module: string; readonly name: string; readonly signature: Signature }[];
  readonly functions: readonly { readonly name: string; readonly body: Body }[];
}

/** The module's bytes. Its memory, shared and of any size, is imported as env.memory. */
export function encodeModule({ imports, functions }: ModuleParts): Uint8Array<ArrayBuffer> {
  const types: string[] = [];
  const typeOf = ({ parameters, results }: Signature) => {
    const bytes = [0x60, ...vector(parameters.map((type) => [type])), ...vector(results.map((type) => [type]))].join();
    if (!types.includes(bytes)) types.push(bytes);
    return types.indexOf(bytes);
  };
  const importEntries = [
    [...name('env'), ...name('memory'), 0x02, 0x03, ...unsigned(1), ...unsigned(65536)],
    ...imports.map((item) => [...name(item.module), ...name(item.name), 0x00, typeOf(item.signature)]),
  ];
  const declared = functions.map(({ body }) => [typeOf(body.signature)]);
  const sections = [
    section(1, vector(types.map((type) => type.split(',').map(Number)))),
    section(2, vector(importEntries)),
    section(3, vector(declared)),
    section(7, vector(functions.map((item, i) => [...name(item.name), 0x00, imports.length + i]))),
    section(10, vector(functions.map(({ body }) => body.encode()))),
  ];
  return new Uint8Array([0, 0x61, 0x73, 0x6d, 1, 0, 0, 0, ...sections.flat()]);
}

function section(id: number, bytes: number[]): number[] {
  return [id, ...unsigned(bytes.length), ...bytes];
}

function vector(items: readonly number[][]): number[] {
  return [...unsigned(items.length), ...items.flat()];
}

function name(text: string): number[] {
  const bytes = new TextEncoder().encode(text);
  return [...unsigned(bytes.length), ...bytes];
}

/** LEB128. */
function unsigned(value: number): number[] {
  const bytes: number[] = [];
  let rest = value;
  do {
    const low = rest % 128;
    rest = Math.floor(rest / 128);
    bytes.push(rest > 0 ? low | 0x80 : low);
  } while (rest > 0);
  return bytes;
}

function signed(value: number): number[] {
  const bytes: number[] = [];
  let rest = value;
  for (;;) {
    const low = rest & 0x7f;
    rest >>= 7;
    if ((rest === 0 && (low & 0x40) === 0) || (rest === -1 && (low & 0x40) !== 0)) return [...bytes, low];
    bytes.push(low | 0x80);
  }
}
