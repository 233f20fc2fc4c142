import { GraphEdit } from '../graph-edit.ts';
import type { Graph, Node } from '../ir.ts';
import { Emitter } from './emitter.ts';
import { mixtureOfExperts } from './experts.ts';

/**
 * The operators of ONNX Runtime's own that model/ uses for speed, in standard operators; ONNX Runtime fuses most of them again when
 * it loads the file. Others stay as they are.
 */
export function inStandardOperators(graph: Graph): Graph {
  const edit = new GraphEdit(graph);
  for (const node of graph.nodes) {
    const nodes = replacement(edit, node);
    if (nodes !== undefined) edit.replacements.set(node, nodes);
  }
  return edit.replacements.size === 0 ? graph : edit.build();
}

function replacement(edit: GraphEdit, node: Node): Node[] | undefined {
  const nodes: Node[] = [];
  const emitter = new Emitter(edit, nodes);
  const [x = '', second = '', third = ''] = node.inputs;
  const [output = ''] = node.outputs;
  if (node.operator === 'QuickGelu' && node.domain === 'com.microsoft') {
    const { alpha } = node.attributes;
    const factor = alpha?.type === 'float' ? alpha.value : 1.702;
    const scaled = factor === 1 ? x : emitter.op('Mul', [x, emitter.float(factor)]);
    emitter.op('Mul', [x, emitter.op('Sigmoid', [scaled])], 'float32', {}, output);
    return nodes;
  }
  if (node.operator === 'SimplifiedLayerNormalization' && node.domain === '') {
    rmsNorm(emitter, x, second, node, output);
    return nodes;
  }
  if (node.operator === 'MoE' && node.domain === 'com.microsoft') {
    mixtureOfExperts(emitter, node, output);
    return nodes;
  }
  if (node.operator === 'SkipSimplifiedLayerNormalization' && node.domain === 'com.microsoft') {
    const sum = node.outputs[3] || undefined;
    rmsNorm(emitter, emitter.op('Add', [x, second], 'float32', {}, sum), third, node, output);
    return nodes;
  }
  return undefined;
}

/** x / sqrt(mean(x^2) + epsilon) * weight, over the last axis. */
function rmsNorm(emitter: Emitter, x: string, weight: string, node: Node, output: string): void {
  const { epsilon } = node.attributes;
  const opset = emitter.edit.graph.opsets?.get('') ?? 24;
  const square = emitter.op('Pow', [x, emitter.float(2)]);
  const mean =
    opset >= 18
      ? emitter.op('ReduceMean', [square, emitter.int64(-1)])
      : emitter.op('ReduceMean', [square], 'float32', { axes: { type: 'ints', value: [-1] } });
  const root = emitter.op('Sqrt', [
    emitter.op('Add', [mean, emitter.float(epsilon?.type === 'float' ? epsilon.value : 1e-5)]),
  ]);
  emitter.op('Mul', [emitter.op('Div', [x, root]), weight], 'float32', {}, output);
}
