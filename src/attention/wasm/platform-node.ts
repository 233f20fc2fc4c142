import { DeviceError } from '../../errors.ts';
import type { WorkerSetup } from './control.ts';
import { type Build, hasRelaxedSimd, type Platform, type PoolWorker } from './platform.ts';

const V8_MAJOR = Number(process.versions.v8?.split('.')[0] ?? 0);

/**
 * What is switched around a compilation: everything is compiled at once and optimized; and micro-kernels are not inlined, which
 * costs them the merge, and which V8 14 cannot do without the call counts that its baseline compiler would have gathered.
 * Each is set to the opposite afterwards, V8's default since the version given. V8 only complains about a name it does not know.
 *
 * Inlining is left alone where functions do not call each other: switched off while V8 optimizes another library's module in the
 * background it can end the process ("Check failed: v8_flags.wasm_inlining"), seen once in many runs of tests that compile score
 * expressions one after the other. Off for good is no way out: modules that were compiled before then end the process.
 */
function compileFlags(build: Build, hasCalls: boolean): string[] {
  const flags = ['--no-liftoff', '--no-wasm-lazy-compilation'];
  if (V8_MAJOR >= 13 && hasCalls) flags.push('--no-wasm-inlining');
  if (build === 'merged') flags.push(V8_MAJOR >= 15 ? '--wasm-revectorize' : '--experimental-wasm-revectorize');
  return flags;
}

/** Node's own modules are asked for at run time, so that a bundler for browsers never meets them. */
export function nodePlatform(): Platform {
  const { availableParallelism } = process.getBuiltinModule('node:os');
  return {
    cores: availableParallelism(),
    callerWorks: true,
    workers: true,
    merges: hasRelaxedSimd() && process.arch === 'x64' && V8_MAJOR >= 12,
    availableBytes: () => process.availableMemory(),
    compile,
    // Without the merge: V8's is experimental, and ends the process on some score expressions.
    compileBytes: async (bytes) => compileBytes('relaxed', bytes, { hasCalls: false }),
    startWorker,
  };
}

/**
 * Compiles optimized at once, and for 'merged' with V8's merge turned on. The flags hold around this synchronous compilation
 * only; workers that are handed the module keep the code. V8 keeps compiled code by the module's bytes, and each build has its own.
 */
export function compileBytes(
  build: Build,
  bytes: Uint8Array<ArrayBuffer>,
  { hasCalls = true } = {},
): WebAssembly.Module {
  const v8 = process.getBuiltinModule('node:v8');
  const flags = compileFlags(build, hasCalls);
  for (const flag of flags) v8.setFlagsFromString(flag);
  try {
    return new WebAssembly.Module(bytes);
  } finally {
    for (const flag of flags) {
      v8.setFlagsFromString(flag.startsWith('--no-') ? flag.replace('--no-', '--') : flag.replace('--', '--no-'));
    }
  }
}

async function compile(build: Build): Promise<WebAssembly.Module> {
  const { readFileSync } = process.getBuiltinModule('node:fs');
  const url = new URL(`./build/${build}.wasm`, import.meta.url);
  let bytes: Uint8Array<ArrayBuffer>;
  try {
    bytes = new Uint8Array(readFileSync(url));
  } catch (cause) {
    throw new DeviceError(`the kernel ${url.pathname} is missing; in a checkout, run npm run build:wasm`, { cause });
  }
  return compileBytes(build, bytes);
}

function startWorker(setup: WorkerSetup): PoolWorker {
  const { Worker } = process.getBuiltinModule('node:worker_threads');
  const file = import.meta.url.endsWith('.ts') ? './worker.ts' : './worker.js';
  const worker = new Worker(new URL(file, import.meta.url), { workerData: setup, execArgv: [] });
  return {
    onMessage: (listener) => worker.on('message', listener),
    onEnd: (listener) => {
      worker.once('error', (error) => listener(error instanceof Error ? error : new Error(String(error))));
      worker.once('exit', (code) => listener(new Error(`it exited with code ${code}`)));
    },
    send: (message) => worker.postMessage(message),
    hold: (alive) => (alive ? worker.ref() : worker.unref()),
    terminate: async () => {
      await worker.terminate();
    },
  };
}
