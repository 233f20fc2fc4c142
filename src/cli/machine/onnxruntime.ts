import { GraphBuilder, writeOnnx } from '../../graph/index.ts';

export interface OnnxRuntime {
  readonly version: string;
  /** Whether its tensors may lie in memory that the attention kernels share, so that nothing is copied between them. */
  readonly sharedMemoryTensors: boolean;
}

/** undefined, and why, where ONNX Runtime does not load. */
export async function readOnnxRuntime(): Promise<OnnxRuntime | { readonly failure: string }> {
  try {
    const { env, InferenceSession, Tensor } = await import('onnxruntime-node');
    const graph = new GraphBuilder('identity');
    graph.output(graph.input('x', 'float32', [1]), 'y');
    const session = await InferenceSession.create(await writeOnnx(graph.build()));
    const { buffer } = new WebAssembly.Memory({ initial: 1, maximum: 1, shared: true });
    const sharedMemoryTensors = await session
      .run({ x: new Tensor('float32', new Float32Array(buffer, 0, 1), [1]) })
      .then(
        () => true,
        () => false,
      );
    await session.release();
    return { version: env.versions.node ?? env.versions.common, sharedMemoryTensors };
  } catch (error) {
    return { failure: error instanceof Error ? error.message : String(error) };
  }
}
