import { GraphEdit } from '../graph-edit.ts';
import type { Graph, Node } from '../ir.ts';
import { Emitter } from './emitter.ts';
import { mixtureOfExperts } from './experts.ts';

/**
 * The operators of ONNX Runtime's own that model/ uses for speed, in standard operators; ONNX Runtime fuses most of them again when
 * it loads the file. Others stay as they are, and so do these where a graph that was read uses more of them: other types than float32,
 * other axes, outputs of means and deviations.
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
  const [x = '', second = '', third = '', fourth = ''] = node.inputs;
  const [output = '', mean = '', deviation = '', sum = ''] = node.outputs;
  const number = (name: string, otherwise: number): number => {
    const attribute = node.attributes[name];
    return attribute?.type === 'int' || attribute?.type === 'float' ? attribute.value : otherwise;
  };
  if ((edit.values.get(x)?.type ?? 'float32') !== 'float32' || mean !== '' || deviation !== '') return undefined;
  switch (`${node.domain}.${node.operator}`) {
    case 'com.microsoft.QuickGelu': {
      const alpha = number('alpha', 1.702);
      const scaled = alpha === 1 ? x : emitter.op('Mul', [x, emitter.float(alpha)]);
      emitter.op('Mul', [x, emitter.op('Sigmoid', [scaled])], 'float32', {}, output);
      return nodes;
    }
    case '.SimplifiedLayerNormalization':
      if (number('axis', -1) !== -1) return undefined;
      rmsNorm(emitter, x, second, number('epsilon', 1e-5), output);
      return nodes;
    case 'com.microsoft.MoE':
      mixtureOfExperts(emitter, node, output);
      return nodes;
    case 'com.microsoft.SkipSimplifiedLayerNormalization': {
      const total = sum === '' ? undefined : sum;
      const both = emitter.op('Add', [x, second], 'float32', {}, fourth === '' ? total : undefined);
      const all = fourth === '' ? both : emitter.op('Add', [both, fourth], 'float32', {}, total);
      rmsNorm(emitter, all, third, number('epsilon', 1e-12), output);
      return nodes;
    }
    default:
      return undefined;
  }
}

/** x / sqrt(mean(x^2) + epsilon) * weight, over the last axis. */
function rmsNorm(emitter: Emitter, x: string, weight: string, epsilon: number, output: string): void {
  const opset = emitter.edit.graph.opsets?.get('') ?? 24;
  const square = emitter.op('Pow', [x, emitter.float(2)]);
  const mean =
    opset >= 18
      ? emitter.op('ReduceMean', [square, emitter.int64(-1)])
      : emitter.op('ReduceMean', [square], 'float32', { axes: { type: 'ints', value: [-1] } });
  const root = emitter.op('Sqrt', [emitter.op('Add', [mean, emitter.float(epsilon)])]);
  emitter.op('Mul', [emitter.op('Div', [x, root]), weight], 'float32', {}, output);
}
