import { createNodeBackend, GraphBuilder, type HostTensor } from '../../graph/index.ts';
import { type Contender, type ContenderFactory, fill, type Problem } from './problem.ts';

/** com.microsoft.MultiHeadAttention on every pair, fed [1, N, H * D]; ONNX Runtime with its own defaults, but for spinning threads. */
export const onnxruntimeDense: ContenderFactory = {
  name: 'onnxruntime-dense',
  what: 'onnxruntime-node, MultiHeadAttention on every pair',
  sparse: false,
  async prepare(problem: Problem): Promise<Contender> {
    const { heads, length, width, threads } = problem;
    const shape = [1, length, heads * width];
    const graph = new GraphBuilder('dense attention');
    const inputs = ['q', 'k', 'v'].map((name) => graph.input(name, 'float32', shape));
    const node = {
      operator: 'MultiHeadAttention',
      domain: 'com.microsoft',
      inputs,
      attributes: { num_heads: { type: 'int', value: heads } },
    } as const;
    graph.output(graph.op1(node, 'float32', shape), 'output');
    const session = await (await createNodeBackend({ threads, memoryArena: true })).compile(graph.build());

    const tensor = (): HostTensor & { type: 'float32' } => ({
      type: 'float32',
      shape,
      data: new Float32Array(length * heads * width),
    });
    const [q, k, v, output] = [tensor(), tensor(), tensor(), tensor()];
    for (const [which, { data }] of [q, k, v].entries()) fill(data, which, problem, { rowsFirst: true });
    return {
      run: () => session.run({ q, k, v }, { output }),
      at: (h, i, d) => output.data[(i * heads + h) * width + d] ?? Number.NaN,
      [Symbol.asyncDispose]: () => session.release(),
    };
  },
};
