import type { InferenceSession, Tensor } from 'onnxruntime-web';
import { DeviceError } from '../errors.ts';
import type { DenseBackend } from './backend.ts';
import { createRuntimeBackend, type Runtime } from './onnxruntime-session.ts';

export interface WebBackendOptions {
  /** 'wasm' (default) or 'webgpu'. */
  readonly provider?: 'wasm' | 'webgpu';
  /**
   * Threads of the wasm provider, set for the page at the first session. More than one needs cross-origin isolation.
   * Default: ONNX Runtime's choice.
   */
  readonly threads?: number;
  /** Where ONNX Runtime finds its .wasm files: a folder's address that ends in '/'. Default: beside its script. */
  readonly wasmPath?: string;
}

/**
 * ONNX Runtime in the browser (and in Node, for tests). It computes in memory of its own, so inputs and outputs are copied;
 * whether they are shared makes no difference. Throws DeviceError where the package onnxruntime-web cannot be loaded.
 */
export async function createWebBackend(options: WebBackendOptions = {}): Promise<DenseBackend> {
  const { provider = 'wasm', threads, wasmPath } = options;
  const runtime = await loadRuntime(provider);
  if (threads !== undefined) runtime.env.wasm.numThreads = threads;
  if (wasmPath !== undefined) runtime.env.wasm.wasmPaths = wasmPath;
  const sessionOptions: InferenceSession.SessionOptions = {
    executionProviders: [provider],
    graphOptimizationLevel: 'all',
    logSeverityLevel: 3,
  };
  return createRuntimeBackend(
    runtime,
    {
      name: `onnxruntime-web (${provider})`,
      acceptsSharedMemory: true,
      writesInPlace: false,
      // ONNX Runtime's default is half of the cores, four at most.
      threads:
        runtime.env.wasm.numThreads || Math.min(4, Math.ceil((globalThis.navigator?.hardwareConcurrency ?? 2) / 2)),
    },
    sessionOptions,
  );
}

interface WebRuntime extends Runtime<Tensor, InferenceSession.SessionOptions> {
  readonly env: { readonly wasm: { numThreads?: number; wasmPaths?: unknown } };
}

async function loadRuntime(provider: 'wasm' | 'webgpu'): Promise<WebRuntime> {
  try {
    const { InferenceSession, Tensor, env } =
      provider === 'webgpu' ? await import('onnxruntime-web/webgpu') : await import('onnxruntime-web');
    return { InferenceSession, Tensor, env };
  } catch (cause) {
    throw new DeviceError('onnxruntime-web cannot be loaded: is it installed?', { cause });
  }
}
