import type { InferenceSession, Tensor } from 'onnxruntime-node';
import { DeviceError } from '../errors.ts';
import type { DenseBackend } from './backend.ts';
import { GraphBuilder } from './builder.ts';
import { createRuntimeBackend, type Runtime } from './onnxruntime-session.ts';
import { relu } from './operators.ts';

export interface NodeBackendOptions {
  /** Threads of one operator. Default: ONNX Runtime's choice, one per physical core. */
  readonly threads?: number;
  /**
   * Keeps the memory of a run for the next run of the same session. Default false: thirty sessions of a 135M model, one per
   * layer, in chunks of 1024 rows then hold 335 MB instead of 1578 MB, and fresh pages do not make them slower. For training, whose
   * sessions are few and give many outputs: with an arena the copies that the package makes of outputs are freed at once, which makes a
   * step a sixth faster in the same memory; without one, memory would be in pieces afterwards (985 MiB instead of 630).
   */
  readonly memoryArena?: boolean;
}

type NodeRuntime = Runtime<Tensor, InferenceSession.SessionOptions>;

/**
 * ONNX Runtime in Node. A run blocks the thread that calls it while ONNX Runtime's own threads work. Throws DeviceError where
 * the package onnxruntime-node cannot be loaded.
 */
export async function createNodeBackend(options: NodeBackendOptions = {}): Promise<DenseBackend> {
  const runtime = await loadRuntime();
  const { memoryArena = false, threads } = options;
  const sessionOptions: InferenceSession.SessionOptions = {
    executionProviders: ['cpu'],
    graphOptimizationLevel: 'all',
    logSeverityLevel: 3,
    enableCpuMemArena: memoryArena,
    enableMemPattern: memoryArena,
    ...(threads === undefined ? {} : { intraOpNumThreads: threads }),
    // Threads that spin between operators would take the cores from the attention kernels' workers.
    extra: { session: { intra_op: { allow_spinning: '0' } } },
  };
  const { availableParallelism } = await import('node:os');
  const behaviour = {
    name: 'onnxruntime-node',
    writesInPlace: true,
    freesCopies: memoryArena,
    threads: threads ?? availableParallelism(),
  };
  sharedMemory ??= probeSharedMemory(
    createRuntimeBackend(runtime, { ...behaviour, acceptsSharedMemory: true }, sessionOptions),
  );
  return createRuntimeBackend(runtime, { ...behaviour, acceptsSharedMemory: await sharedMemory }, sessionOptions, {
    ...sessionOptions,
    intraOpNumThreads: 1,
  });
}

/** The answer of probeSharedMemory(), which is the same for every backend of a process. */
let sharedMemory: Promise<boolean> | undefined;

async function loadRuntime(): Promise<NodeRuntime> {
  try {
    const { InferenceSession, Tensor } = await import('onnxruntime-node');
    return { InferenceSession, Tensor };
  } catch (cause) {
    throw new DeviceError(
      'onnxruntime-node cannot be loaded: is it installed, and is there a build for this platform?',
      {
        cause,
      },
    );
  }
}

/** Whether a tensor over a SharedArrayBuffer is read and written in place: Node 24 does, Node 20 refuses. Tries it once. */
async function probeSharedMemory(backend: DenseBackend): Promise<boolean> {
  const graph = new GraphBuilder('shared memory probe');
  graph.output(relu(graph, graph.input('x', 'float32', [2])), 'y');
  const session = await backend.compile(graph.build());
  const tensor = (...numbers: number[]) => {
    const data = new Float32Array(new SharedArrayBuffer(8));
    data.set(numbers);
    return { type: 'float32', data, shape: [2] } as const;
  };
  const y = tensor(0, 0);
  try {
    await session.run({ x: tensor(1, 2) }, { y });
    return y.data[0] === 1 && y.data[1] === 2;
  } catch {
    return false;
  } finally {
    await session.release();
  }
}
