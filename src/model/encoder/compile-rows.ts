/** Compiles a graph over rows. */
import type { WasmDevice } from '../../attention/index.ts';
import { type CompileProgramOptions, compileProgram, type DenseBackend, type Program } from '../../graph/index.ts';
import type { EncoderBuilder } from './builder.ts';

export interface CompileRowsOptions {
  readonly device: WasmDevice;
  readonly backend: DenseBackend;
  readonly weights?: 'kept' | 'streamed' | undefined;
  /** As compileProgram() has it. */
  readonly overwrites?: CompileProgramOptions['overwrites'];
  readonly onProgress?: ((done: number, total: number) => void) | undefined;
  readonly signal?: AbortSignal | undefined;
}

/** The program, with its buffers where the kernels read them. */
export function compileRows(
  builder: EncoderBuilder,
  { device, backend, weights = 'kept', overwrites, onProgress, signal }: CompileRowsOptions,
): Promise<Program> {
  return compileProgram(builder.graph.build(), backend, {
    inPlace: true,
    weights,
    ...(overwrites === undefined ? {} : { overwrites }),
    ...(signal === undefined ? {} : { signal }),
    ...(onProgress === undefined ? {} : { onProgress }),
    // In the kernels' memory, so that queries, keys and values go from one to the other without a copy.
    ...(backend.acceptsSharedMemory
      ? {
          allocate: (floats: number) => device.allocate(floats),
          free: (buffer: Float32Array) => device.release(buffer),
        }
      : {}),
  });
}
