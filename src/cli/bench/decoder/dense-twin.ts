/** A Llama whose tokens see all before them, as a graph for stock ONNX Runtime: GroupQueryAttention, and logits of the last token. */
import { Emitter } from '../../../graph/export/emitter.ts';
import { GraphEdit } from '../../../graph/graph-edit.ts';
import type { Graph, Node } from '../../../graph/index.ts';
import { isSparseAttention, readSparseAttention } from '../../../graph/sparse-attention.ts';
import { SHAPE } from '../../../model/llama-onnx.ts';

const LOGITS = 'logits of rows';

/** Of a graph of llamaOnnxGraph() with `keepRows`: `input_ids` [1, sequence] to logits [1, vocabulary], named by `output`. */
export function denseTwin(graph: Graph): { readonly graph: Graph; readonly output: string } {
  const edit = new GraphEdit(graph);
  const attention = graph.nodes.filter(isSparseAttention);
  for (const node of graph.nodes) {
    if (isSparseAttention(node)) {
      edit.replacements.set(node, groupQueryAttention(edit, graph, node, attention.indexOf(node)));
    } else if (node.inputs.includes('last_hidden')) {
      const nodes: Node[] = [];
      const emitter = new Emitter(edit, nodes);
      const last = emitter.gather('last_hidden', emitter.int64(-1), 0);
      nodes.push({ ...node, inputs: node.inputs.map((name) => (name === 'last_hidden' ? last : name)) });
      edit.replacements.set(node, nodes);
    }
  }
  const logits = edit.values.get(LOGITS);
  if (logits === undefined) throw new TypeError(`the graph has no ${LOGITS}`);
  edit.values.set(LOGITS, { ...logits, shape: [1, logits.shape[1] ?? 0] });
  const made = new GraphEdit({ ...edit.build(), outputs: [{ ...logits, shape: [1, logits.shape[1] ?? 0] }] }).build();
  const read = new Set(made.nodes.flatMap((node) => node.inputs));
  return { graph: { ...made, inputs: made.inputs.filter(({ name }) => read.has(name)) }, output: LOGITS };
}

function groupQueryAttention(edit: GraphEdit, graph: Graph, node: Node, index: number): Node[] {
  const { heads, keyValueHeads, width, valueWidth, scale, inputs, output } = readSparseAttention(graph, node, index);
  const nodes: Node[] = [];
  const emitter = new Emitter(edit, nodes);
  const parted = (value: string, size: number): string =>
    emitter.op('Reshape', [value, emitter.concat([SHAPE, emitter.int64(size)], 0, 'int64')]);
  const length = emitter.side('input_ids', 1);
  const toInt32 = (value: string): string => emitter.op('Cast', [value], 'int32', { to: { type: 'int', value: 6 } });
  const total = toInt32(emitter.scalar(length));
  const before = toInt32(emitter.op('Sub', [length, emitter.int64(1)], 'int64'));
  const [attended, keys, values] = ['attended', 'present_keys', 'present_values'].map((stem) => {
    const name = edit.free(stem);
    edit.values.set(name, { name, type: 'float32', shape: [], ranked: false });
    return name;
  }) as [string, string, string];
  nodes.push({
    name: attended,
    domain: 'com.microsoft',
    operator: 'GroupQueryAttention',
    inputs: [
      parted(inputs.q, heads * width),
      parted(inputs.k, keyValueHeads * width),
      parted(inputs.v, keyValueHeads * valueWidth),
      '',
      '',
      before,
      total,
    ],
    outputs: [attended, keys, values],
    attributes: {
      num_heads: { type: 'int', value: heads },
      kv_num_heads: { type: 'int', value: keyValueHeads },
      scale: { type: 'float', value: scale },
    },
  });
  emitter.op('Reshape', [attended, emitter.int64(-1, heads * valueWidth)], 'float32', {}, output);
  return nodes;
}
