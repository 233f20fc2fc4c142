/** Small ONNX files for tests, written by the graph's own writer. */
import { GraphBuilder } from '../builder.ts';
import type { Graph, Value } from '../ir.ts';
import { add, cast, matmul, scaleBy, softmax, transpose } from '../operators.ts';

export const HEADS = 2;
export const WIDTH = 4;

/** Attention as exporters write it: MatMul - Mul - Add - Softmax - MatMul, with a padding mask (1 - mask) * -10000. */
export function attentionGraph(): Graph {
  const graph = new GraphBuilder('attention');
  const features = HEADS * WIDTH;
  const x = graph.input('x', 'float32', ['batch', 'sequence', features]);
  const mask = cast(graph, graph.input('mask', 'int64', ['batch', 'sequence']), 'float32');
  const heads = (seed: number): Value => {
    const weight = graph.initializer(`weight${seed}`, 'float32', [features, features], () =>
      Float32Array.from({ length: features * features }, (_, i) => Math.sin(seed + i * 1.7)),
    );
    const shape = graph.constant('int64', BigInt64Array.of(0n, 0n, BigInt(HEADS), BigInt(WIDTH)));
    const parted = graph.op1({ operator: 'Reshape', inputs: [matmul(graph, x, weight), shape] }, 'float32', [
      'batch',
      'sequence',
      HEADS,
      WIDTH,
    ]);
    return transpose(graph, parted, [0, 2, 1, 3]);
  };
  const axes = graph.constant('int64', BigInt64Array.of(1n, 2n));
  const one = graph.constant('float32', Float32Array.of(1), []);
  const absent = graph.op1({ operator: 'Sub', inputs: [one, mask] }, 'float32', ['batch', 'sequence']);
  const penalty = graph.op1({ operator: 'Unsqueeze', inputs: [scaleBy(graph, absent, -10000), axes] }, 'float32', [
    'batch',
    1,
    1,
    'sequence',
  ]);
  const scores = scaleBy(graph, matmul(graph, heads(1), transpose(graph, heads(2), [0, 1, 3, 2])), 0.5);
  const attended = matmul(graph, softmax(graph, add(graph, scores, penalty)), heads(3));
  graph.output(attended, 'attended');
  return graph.build();
}
