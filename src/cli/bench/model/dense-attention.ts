/** Full attention in the place of an encoder's attention nodes: the dense twin of a model. */
import { Emitter } from '../../../graph/export/emitter.ts';
import { GraphEdit } from '../../../graph/graph-edit.ts';
import type { Graph, Node } from '../../../graph/index.ts';
import { isSparseAttention, readSparseAttention } from '../../../graph/sparse-attention.ts';

/** ONNX Runtime's own operator, which keeps no scores, or the products as exporters write them. */
export type DenseForm = 'fused' | 'plain';

/**
 * The graph with attention of every token to every token. `shape` names its int64 [2] batch and sequence. There is no mask of padding,
 * which only makes either form slower.
 */
export function withDenseAttention(graph: Graph, shape: string, form: DenseForm): Graph {
  const edit = new GraphEdit(graph);
  const nodes = graph.nodes.filter(isSparseAttention);
  for (const [index, node] of nodes.entries())
    edit.replacements.set(node, dense(edit, graph, node, index, shape, form));
  const made = edit.build();
  const read = new Set(made.nodes.flatMap((node) => node.inputs));
  return { ...made, inputs: made.inputs.filter(({ name }) => read.has(name)) };
}

function dense(edit: GraphEdit, graph: Graph, node: Node, index: number, shape: string, form: DenseForm): Node[] {
  const { heads, width, valueWidth, scale, inputs, output } = readSparseAttention(graph, node, index);
  const nodes: Node[] = [];
  const emitter = new Emitter(edit, nodes);
  const parted = (value: string, ...sizes: number[]): string =>
    emitter.op('Reshape', [value, emitter.concat([shape, emitter.int64(...sizes)], 0, 'int64')]);
  const joined = (value: string): void => {
    emitter.op('Reshape', [value, emitter.int64(-1, heads * valueWidth)], 'float32', {}, output);
  };
  if (form === 'fused') {
    const [q, k, v] = [inputs.q, inputs.k, inputs.v].map((value) => parted(value, heads * width));
    const attended = edit.free('attended');
    edit.values.set(attended, { name: attended, type: 'float32', shape: [], ranked: false });
    nodes.push({
      name: attended,
      domain: 'com.microsoft',
      operator: 'MultiHeadAttention',
      inputs: [q ?? '', k ?? '', v ?? ''],
      outputs: [attended],
      attributes: { num_heads: { type: 'int', value: heads }, scale: { type: 'float', value: scale } },
    });
    joined(attended);
    return nodes;
  }
  const byHead = (value: string, size: number, perm: readonly number[]): string =>
    emitter.transpose(parted(value, heads, size), perm);
  const factor = emitter.float(Math.sqrt(scale));
  const q = emitter.op('Mul', [byHead(inputs.q, width, [0, 2, 1, 3]), factor]);
  const k = emitter.op('Mul', [byHead(inputs.k, width, [0, 2, 3, 1]), factor]);
  const shares = emitter.op('Softmax', [emitter.op('MatMul', [q, k])], 'float32', { axis: { type: 'int', value: -1 } });
  const attended = emitter.op('MatMul', [shares, byHead(inputs.v, valueWidth, [0, 2, 1, 3])]);
  joined(emitter.transpose(attended, [0, 2, 1, 3]));
  return nodes;
}
