import type { InferenceSession, Tensor } from 'onnxruntime-node';
import type { DenseBackend } from './backend.ts';
import { createRuntimeBackend, type Runtime } from './onnxruntime-session.ts';

export interface NodeBackendOptions {
  /** Threads of one operator. Default: ONNX Runtime's choice, one per physical core. */
  readonly threads?: number;
  /** Keeps freed memory for the next run. Default true: see the figures at the session's options. */
  readonly memoryArena?: boolean;
}

/** ONNX Runtime in Node. Runs on the thread that calls it: a run blocks the event loop while its threads work. */
export async function createNodeBackend(options: NodeBackendOptions = {}): Promise<DenseBackend> {
  const ort = await import('onnxruntime-node');
  const runtime = ort as unknown as Runtime<Tensor, InferenceSession.SessionOptions>;
  const sessionOptions: InferenceSession.SessionOptions = {
    executionProviders: ['cpu'],
    graphOptimizationLevel: 'all',
    logSeverityLevel: 3,
    enableCpuMemArena: options.memoryArena ?? true,
    ...(options.threads === undefined ? {} : { intraOpNumThreads: options.threads }),
    // Threads that spin between operators would take the cores from the attention kernels' workers.
    extra: { session: { intra_op: { allow_spinning: '0' } } },
  };
  return createRuntimeBackend(
    runtime,
    { name: 'onnxruntime-node', acceptsSharedMemory: false, writesInPlace: true },
    sessionOptions,
  );
}
