import { InferenceSession, Tensor } from 'onnxruntime-node';
import { DeviceError } from '../../errors.ts';
import { exportOnnx, GraphBuilder, sparseAttention } from '../../graph/index.ts';
import { type Contender, type ContenderFactory, fill, type Problem } from './problem.ts';

/** What `farfield export` makes of attention, run by ONNX Runtime alone: a loop over chunks of queries, any length. */
export const onnxruntimeExport: ContenderFactory = {
  name: 'onnxruntime-export',
  what: 'onnxruntime-node, the exported form: a loop of gathered keys, MatMul, Softmax, MatMul',
  sparse: true,
  async prepare(problem: Problem): Promise<Contender> {
    const { heads, length, width, threads, pattern } = problem;
    const graph = new GraphBuilder('exported attention');
    const [q, k, v] = ['q', 'k', 'v'].map((name) => graph.input(name, 'float32', ['rows', heads * width]));
    if (q === undefined || k === undefined || v === undefined) throw new DeviceError('three inputs');
    graph.output(sparseAttention(graph, { q, k, v, heads, pattern }), 'output');
    const { model } = await exportOnnx(graph.build(), { maximumLength: length });
    const session = await InferenceSession.create(model, {
      intraOpNumThreads: threads,
      logSeverityLevel: 3,
      extra: { session: { intra_op: { allow_spinning: '0' } } },
    });
    const feeds: Record<string, Tensor> = {};
    for (const [which, name] of ['q', 'k', 'v'].entries()) {
      const data = new Float32Array(length * heads * width);
      fill(data, which, problem, { rowsFirst: true });
      feeds[name] = new Tensor('float32', data, [length, heads * width]);
    }
    let output = new Float32Array();
    return {
      async run() {
        const results = await session.run(feeds);
        output = results.output?.data as Float32Array<ArrayBuffer>;
      },
      at: (h, i, d) => output[(i * heads + h) * width + d] ?? Number.NaN,
      [Symbol.asyncDispose]: () => session.release(),
    };
  },
};
