import { ArgumentError } from '../errors.ts';
import type { AttentionNode, Graph, Initializer, Node, Value } from './ir.ts';
import { isSparseAttention, readSparseAttention } from './sparse-attention.ts';

/** A step of a program: a dense graph for the backend, or an attention node. */
export type Stage =
  | { readonly kind: 'dense'; readonly graph: Graph }
  | { readonly kind: 'attention'; readonly node: AttentionNode };

/**
 * Cuts a graph at its SparseAttention nodes into dense segments and attention nodes, in the order of execution. A node goes
 * into the first segment that has all its inputs, so that a segment holds everything between two attention nodes. A segment's
 * inputs are the values it reads from outside, its outputs the values that a later stage or the caller reads; an
 * initializer goes into every segment that reads it.
 */
export function partition(graph: Graph): Stage[] {
  const levels = levelsOf(graph);
  const last = Math.max(0, ...levels.values());
  const stages: Stage[] = [];
  let attentionIndex = 0;
  for (let level = 0; level <= last; level++) {
    const nodes = graph.nodes.filter((node) => levels.get(node) === level);
    const dense = nodes.filter((node) => !isSparseAttention(node));
    if (dense.length > 0) stages.push({ kind: 'dense', graph: segment(graph, dense, `${graph.name}/${level}`) });
    for (const node of nodes.filter(isSparseAttention)) {
      stages.push({ kind: 'attention', node: readSparseAttention(graph, node, attentionIndex++) });
    }
  }
  return stages;
}

/** The number of attention nodes on the longest way to each node. Throws where nodes are not in topological order. */
function levelsOf(graph: Graph): Map<Node, number> {
  const levels = new Map<Node, number>();
  const ready = new Map<string, number>();
  for (const { name } of [...graph.inputs, ...graph.initializers]) ready.set(name, 0);
  for (const node of graph.nodes) {
    let level = 0;
    for (const input of node.inputs) {
      if (input === '') continue;
      const at = ready.get(input);
      if (at === undefined) {
        throw new ArgumentError(`partition: ${node.operator} ${node.name} reads ${input} before a node has made it`);
      }
      level = Math.max(level, at);
    }
    levels.set(node, level);
    for (const output of node.outputs) ready.set(output, isSparseAttention(node) ? level + 1 : level);
  }
  return levels;
}

function segment(graph: Graph, nodes: readonly Node[], name: string): Graph {
  const inside = new Set(nodes.flatMap((node) => node.outputs));
  const members = new Set(nodes);
  const needed = new Set(graph.outputs.map((output) => output.name));
  for (const node of graph.nodes) {
    if (!members.has(node)) for (const input of node.inputs) needed.add(input);
  }
  const initializers = new Map<string, Initializer>(graph.initializers.map((each) => [each.name, each]));
  const inputs = new Map<string, Value>();
  const constants = new Map<string, Initializer>();
  const values = new Map<string, Value>();
  for (const node of nodes) {
    for (const each of [...node.inputs, ...node.outputs]) {
      if (each === '') continue;
      const value = valueNamed(graph, each);
      values.set(each, value);
      const initializer = initializers.get(each);
      if (initializer !== undefined) constants.set(each, initializer);
      else if (!inside.has(each)) inputs.set(each, value);
    }
  }
  const outputs = [...inside].filter((each) => each !== '' && needed.has(each)).map((each) => valueNamed(graph, each));
  return { name, inputs: [...inputs.values()], outputs, nodes, initializers: [...constants.values()], values };
}

function valueNamed(graph: Graph, name: string): Value {
  const value = graph.values.get(name);
  if (value === undefined) throw new ArgumentError(`graph ${graph.name} has no value ${name}`);
  return value;
}
