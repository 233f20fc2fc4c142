/** What differs between Node and browsers: finding files, compiling, starting workers, counting cores. */
import type { LinkMessage, WorkerSetup } from './control.ts';

/** The builds of the kernel; kernel/README.md says what each is for. */
export type Build = 'baseline' | 'relaxed' | 'merged';

/** P of each build, the queries in a panel; scripts/build-wasm.ts sets it. */
export const PANELS: Readonly<Record<Build, number>> = { baseline: 8, relaxed: 8, merged: 16 };

export interface PoolWorker {
  onMessage(listener: (message: unknown) => void): void;
  /** Called once, when the worker has failed or ended, with the reason. */
  onEnd(listener: (reason: Error) => void): void;
  /** Whether this worker keeps the process alive. */
  hold(alive: boolean): void;
  send(message: LinkMessage): void;
  terminate(): Promise<void>;
}

export interface Platform {
  readonly cores: number;
  /** False where the calling thread must not wait or compute for long, such as a page's main thread. */
  readonly callerWorks: boolean;
  /** Threads other than the caller's can be had. */
  readonly workers: boolean;
  /** True if V8 can be asked to merge 128-bit operations into 256-bit ones. */
  readonly merges: boolean;
  /** Memory that is left for results, in bytes, as far as one can know. */
  availableBytes(): number;
  compile(build: Build): Promise<WebAssembly.Module>;
  /** Compiles a module made at run time. */
  compileBytes(bytes: Uint8Array<ArrayBuffer>): Promise<WebAssembly.Module>;
  startWorker(setup: WorkerSetup): PoolWorker;
}

export async function findPlatform(): Promise<Platform> {
  const inNode = typeof process !== 'undefined' && typeof process.getBuiltinModule === 'function';
  return inNode
    ? (await import('./platform-node.ts')).nodePlatform()
    : (await import('./platform-web.ts')).webPlatform();
}

/** A module with one function of type () -> v128: `code` is its body. */
function moduleOf(code: number[]): Uint8Array<ArrayBuffer> {
  const body = [0, ...code, 11];
  const header = [0, 97, 115, 109, 1, 0, 0, 0];
  const types = [1, 5, 1, 96, 0, 1, 123];
  return new Uint8Array([...header, ...types, 3, 2, 1, 0, 10, body.length + 2, 1, body.length, ...body]);
}

/** i32.const 0, i32x4.splat */
const SPLAT = [65, 0, 253, 17];

/** True if this engine has 128-bit SIMD, which the kernels need. */
export function hasSimd(): boolean {
  return WebAssembly.validate(moduleOf(SPLAT));
}

/** True if this engine has relaxed SIMD: f32x4.relaxed_madd, a fused multiply-add. */
export function hasRelaxedSimd(): boolean {
  return WebAssembly.validate(moduleOf([...SPLAT, ...SPLAT, ...SPLAT, 253, 0x85, 2]));
}
