import { type Build, createDevice } from '../../attention/index.ts';
import { FarfieldError } from '../../errors.ts';
import { createNodeBackend } from '../../graph/index.ts';

/** What runs the attention of this process. */
export interface AttentionEngine {
  /** The build of the kernels that was the fastest just now. */
  readonly build: Build;
  readonly threads: number;
}

/** What runs the rest of a model. */
export interface DenseEngine {
  readonly version: string;
  /** Whether its tensors may lie in memory that the attention kernels share, so that nothing is copied between them. */
  readonly sharedMemoryTensors: boolean;
}

/** Why an engine does not start here. */
export interface Failure {
  readonly failure: string;
}

/** Makes a device as attention() does. */
export async function tryAttention(): Promise<AttentionEngine | Failure> {
  return attempt(async () => {
    const device = await createDevice();
    const { build, threads } = device;
    await device.dispose();
    return { build, threads };
  });
}

/** Makes a backend as a model does. */
export async function tryOnnxRuntime(): Promise<DenseEngine | Failure> {
  return attempt(async () => {
    const { acceptsSharedMemory } = await createNodeBackend();
    const { env } = await import('onnxruntime-node');
    return { version: env.versions.node ?? env.versions.common, sharedMemoryTensors: acceptsSharedMemory };
  });
}

async function attempt<Engine>(start: () => Promise<Engine>): Promise<Engine | Failure> {
  try {
    return await start();
  } catch (error) {
    if (error instanceof FarfieldError) return { failure: error.message };
    throw error;
  }
}
