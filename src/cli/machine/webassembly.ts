import { execFileSync } from 'node:child_process';
import { hasRelaxedSimd, hasSimd } from '../../attention/wasm/platform.ts';

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
    simd: hasSimd(),
    relaxedSimd: hasRelaxedSimd(),
    threads: typeof SharedArrayBuffer === 'function' && typeof Atomics === 'object' && largestMemory() > 0,
    mergeFlag: findMergeFlag(),
    largestMemoryBytes: largestMemory(),
  };
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
  let list: string;
  try {
    list = execFileSync(process.execPath, ['--v8-options'], { encoding: 'utf8', maxBuffer: 1 << 24, stdio: 'pipe' });
  } catch {
    // Not Node, or not V8.
    return null;
  }
  return ['wasm-revectorize', 'experimental-wasm-revectorize'].find((flag) => list.includes(` --${flag} `)) ?? null;
}
