import { ArgumentError } from '../errors.ts';
import type { AttentionNode, Graph, Node, Value } from './ir.ts';
import { isSparseAttention, readSparseAttention } from './sparse-attention.ts';

/** A step of a program: a dense graph for the backend, or an attention node. */
export type Stage<Attention = AttentionNode> =
  | { readonly kind: 'dense'; readonly graph: Graph }
  | { readonly kind: 'attention'; readonly node: Attention };

/** Operators that rename or reshape only: made again in each segment that reads them, which then shares their input. */
const VIEWS = new Set(['Identity', 'Reshape', 'Squeeze', 'Unsqueeze', 'Flatten']);

/**
 * Cuts a graph at its SparseAttention nodes into dense segments and attention nodes, in the order of execution. A node goes
 * into the first segment that has all its inputs, so that a segment holds everything between two attention nodes. A segment's
 * inputs are the values it reads from outside, its outputs the values that a later stage or the caller reads; an
 * initializer goes into every segment that reads it. Nodes that nothing reads are left out. `cuts` names values after which a
 * new segment begins too.
 */
export function partition(graph: Graph, cuts: ReadonlySet<string> = new Set()): Stage[] {
  return stagesOf(graph, readSparseAttention, levelsOf(graph, cuts));
}

/**
 * partition() for little memory: attention nodes come one after the other, in the order of the graph, and any other node goes into the
 * last segment before what reads it, so that few values exist at a time.
 */
export function partitionLate(graph: Graph): Stage[] {
  return stagesOf(graph, readSparseAttention, lateLevelsOf(graph));
}

/** partition() with attention nodes as `read` gives them: its arguments are the graph, the node and its place among the others. */
export function partitionBy<Attention>(
  graph: Graph,
  read: (graph: Graph, node: Node, index: number) => Attention,
): Stage<Attention>[] {
  return stagesOf(graph, read, levelsOf(graph, new Set()));
}

function stagesOf<Attention>(
  graph: Graph,
  read: (graph: Graph, node: Node, index: number) => Attention,
  levels: ReadonlyMap<Node, number>,
): Stage<Attention>[] {
  const last = Math.max(0, ...levels.values());
  const views = new Map<string, Node>();
  for (const node of graph.nodes) {
    if (node.domain === '' && VIEWS.has(node.operator)) for (const output of node.outputs) views.set(output, node);
  }
  const levelOf = (node: Node) => levels.get(node) ?? 0;
  const attentionNodes = graph.nodes.filter(isSparseAttention).sort((a, b) => levelOf(a) - levelOf(b));
  const needed = new Set(graph.outputs.map((output) => output.name));
  const stages: Stage<Attention>[] = [];
  for (let level = last; level >= 0; level--) {
    const attention = attentionNodes.filter((node) => levelOf(node) === level);
    for (const node of attention) for (const input of readsOf(node)) needed.add(input);
    const members = new Set(graph.nodes.filter((node) => levelOf(node) === level && !isSparseAttention(node)));
    for (const node of members) {
      for (const input of readsOf(node)) {
        const view = views.get(input);
        // A set is iterated in the order of insertion, so the inputs of a view that is added here are visited too.
        if (view !== undefined && levelOf(view) < level) members.add(view);
      }
    }
    const dense = segment(graph, members, needed, `${graph.name}/${level}`);
    const found = attention.map((node) => read(graph, node, attentionNodes.indexOf(node)));
    stages.unshift(
      ...(dense === undefined ? [] : [{ kind: 'dense', graph: dense } as const]),
      ...found.map((node) => ({ kind: 'attention', node }) as const),
    );
  }
  return stages;
}

/** The number of attention nodes and cuts on the longest way to each node. Throws where nodes are not in topological order. */
function levelsOf(graph: Graph, cuts: ReadonlySet<string>): Map<Node, number> {
  const levels = new Map<Node, number>();
  const ready = new Map<string, number>();
  for (const { name } of [...graph.inputs, ...graph.initializers]) ready.set(name, 0);
  for (const node of graph.nodes) {
    let level = 0;
    for (const input of readsOf(node)) {
      const at = ready.get(input);
      if (at === undefined) {
        throw new ArgumentError(`partition: ${node.operator} ${node.name} reads ${input} before a node has made it`);
      }
      level = Math.max(level, at);
    }
    levels.set(node, level);
    for (const output of node.outputs) {
      ready.set(output, isSparseAttention(node) || cuts.has(output) ? level + 1 : level);
    }
  }
  return levels;
}

/** For each attention node its place among them; for any other node that of the first attention node that waits for it. */
function lateLevelsOf(graph: Graph): Map<Node, number> {
  const levels = new Map<Node, number>();
  const due = new Map<string, number>();
  let attentionNodes = graph.nodes.filter(isSparseAttention).length;
  const end = attentionNodes;
  for (const node of graph.nodes.toReversed()) {
    if (isSparseAttention(node)) attentionNodes--;
    const level = isSparseAttention(node)
      ? attentionNodes
      : Math.min(...node.outputs.map((name) => due.get(name) ?? end));
    levels.set(node, level);
    for (const input of readsOf(node)) due.set(input, Math.min(level, due.get(input) ?? end));
  }
  return levels;
}

/**
 * The members that lead to a needed value, as a graph. Adds the values that it reads from outside to `needed`; undefined where
 * nothing is left.
 */
export function segment(
  graph: Graph,
  members: ReadonlySet<Node>,
  needed: Set<string>,
  name: string,
): Graph | undefined {
  const read = new Set<string>();
  const nodes: Node[] = [];
  for (const node of graph.nodes.toReversed()) {
    if (!members.has(node) || !node.outputs.some((output) => needed.has(output) || read.has(output))) continue;
    nodes.unshift(node);
    for (const input of readsOf(node)) read.add(input);
  }
  if (nodes.length === 0) return undefined;
  const made = new Set(nodes.flatMap((node) => node.outputs).filter((output) => output !== ''));
  const outputs = [...made].filter((output) => needed.has(output)).map((output) => valueNamed(graph, output));
  for (const output of made) needed.delete(output);
  const initializers = graph.initializers.filter((each) => read.has(each.name));
  const constants = new Set(initializers.map((each) => each.name));
  const inputs = [...read].filter((input) => !made.has(input) && !constants.has(input));
  for (const input of inputs) needed.add(input);
  const values = new Map([...read, ...made].map((each) => [each, valueNamed(graph, each)]));
  return {
    name,
    inputs: inputs.map((input) => valueNamed(graph, input)),
    outputs,
    nodes,
    initializers,
    values,
    ...(graph.opsets === undefined ? {} : { opsets: graph.opsets }),
  };
}

/** The values that a node reads, in its inputs and in its attributes' graphs. */
export function readsOf({ inputs, captures = [] }: Node): string[] {
  return [...inputs, ...captures].filter((name) => name !== '');
}

function valueNamed(graph: Graph, name: string): Value {
  const value = graph.values.get(name);
  if (value === undefined) throw new ArgumentError(`graph ${graph.name} has no value ${name}`);
  return value;
}
