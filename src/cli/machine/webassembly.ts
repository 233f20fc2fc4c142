import { execFileSync } from 'node:child_process';

/** What this JavaScript engine's WebAssembly offers to the attention kernels. */
export interface WebAssemblyFeatures {
  /** 128-bit vectors. */
  readonly simd: boolean;
  /** Relaxed SIMD: multiply and add in one rounding, among others. */
  readonly relaxedSimd: boolean;
  /** One memory that several workers read and write, with atomic operations. */
  readonly threads: boolean;
  /** V8's flag that merges pairs of 128-bit operations into 256-bit ones, without its dashes; null where it has none. */
  readonly mergeFlag: string | null;
  /** The largest shared memory that can be reserved, in bytes, of the 4 GiB that WebAssembly can address. */
  readonly largestMemoryBytes: number;
}

export function readWebAssemblyFeatures(): WebAssemblyFeatures {
  return {
    simd: WebAssembly.validate(vectorModule(zeros)),
    relaxedSimd: WebAssembly.validate(vectorModule([...zeros, ...zeros, ...zeros, ...relaxedMultiplyAdd])),
    threads: typeof SharedArrayBuffer === 'function' && typeof Atomics === 'object' && largestMemory() > 0,
    mergeFlag: findMergeFlag(),
    largestMemoryBytes: largestMemory(),
  };
}

/** i32.const 0, i32x4.splat: a vector of zeros. */
const zeros = [0x41, 0x00, 0xfd, 0x11];
/** f32x4.relaxed_madd (relaxed SIMD proposal, opcode 0x105). */
const relaxedMultiplyAdd = [0xfd, 0x85, 0x02];

/** A module with one function of type () -> v128 and this body. */
function vectorModule(instructions: readonly number[]): Uint8Array<ArrayBuffer> {
  const body = [0x00, ...instructions, 0x0b];
  return Uint8Array.of(
    ...[0x00, 0x61, 0x73, 0x6d, 0x01, 0x00, 0x00, 0x00],
    ...section(1, [0x01, 0x60, 0x00, 0x01, 0x7b]),
    ...section(3, [0x01, 0x00]),
    ...section(10, [0x01, body.length, ...body]),
  );
}

function section(id: number, content: readonly number[]): number[] {
  return [id, content.length, ...content];
}

const PAGE = 65536;

function largestMemory(): number {
  for (const pages of [65536, 32768, 16384, 8192, 4096]) {
    try {
      new WebAssembly.Memory({ initial: 1, maximum: pages, shared: true });
      return pages * PAGE;
    } catch (error) {
      if (!(error instanceof RangeError) && !(error instanceof TypeError)) throw error;
    }
  }
  return 0;
}

/** Asks a second process, because V8 says nothing to the caller about a flag that it does not know. */
function findMergeFlag(): string | null {
  const list = execFileSync(process.execPath, ['--v8-options'], { encoding: 'utf8', maxBuffer: 1 << 24 });
  return ['wasm-revectorize', 'experimental-wasm-revectorize'].find((flag) => list.includes(` --${flag} `)) ?? null;
}
