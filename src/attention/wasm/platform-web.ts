import { DeviceError } from '../../errors.ts';
import type { WorkerSetup } from './control.ts';
import type { Build, Platform, PoolWorker } from './platform.ts';

/** Written out one by one, in the form that bundlers recognise and copy. */
const FILES: Record<Exclude<Build, 'merged'>, () => URL> = {
  baseline: () => new URL('./build/baseline.wasm', import.meta.url),
  relaxed: () => new URL('./build/relaxed.wasm', import.meta.url),
};

export function webPlatform(): Platform {
  const inWorker = typeof document === 'undefined';
  return {
    cores: navigator.hardwareConcurrency || 1,
    callerWorks: inWorker,
    workers: globalThis.crossOriginIsolated === true && typeof Worker === 'function',
    merges: false,
    // Browsers do not tell; an array that is too long fails when it is made.
    availableBytes: () => 2 ** 32,
    compile,
    compileBytes: (bytes) => WebAssembly.compile(bytes),
    startWorker,
  };
}

async function compile(build: Build): Promise<WebAssembly.Module> {
  if (build === 'merged') throw new DeviceError('the build "merged" needs a flag that browsers do not offer');
  const url = FILES[build]();
  const response = await fetch(url);
  if (!response.ok) throw new DeviceError(`the kernel ${url} could not be fetched: status ${response.status}`);
  return WebAssembly.compile(await response.arrayBuffer());
}

function startWorker(setup: WorkerSetup): PoolWorker {
  const worker = new Worker(new URL('./worker.js', import.meta.url), { type: 'module' });
  worker.postMessage(setup);
  return {
    onMessage: (listener) => worker.addEventListener('message', (event) => listener(event.data)),
    onEnd: (listener) =>
      worker.addEventListener('error', (event) => listener(new Error(event.message || 'it could not be loaded')), {
        once: true,
      }),
    send: (message) => worker.postMessage(message),
    hold: () => {},
    terminate: async () => worker.terminate(),
  };
}
