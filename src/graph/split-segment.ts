import { type Graph, type Node, ROWS } from './ir.ts';
import { readsOf, segment } from './partition.ts';
import { bytesOfShape } from './tensor-data.ts';

/**
 * Cuts a dense segment into parts that follow each other, none with more bytes of matrices than its largest node has, so that an engine
 * that holds a part's weights several times while it prepares them does so for one matrix at a time. Every cut is before a node that has
 * a matrix, so what an engine fuses with the product before it stays there. What passes a cut is [rows, ...] of a known width.
 */
export function splitSegment(graph: Graph): Graph[] {
  const matrices = graph.initializers.filter(({ shape }) => shape.length > 1);
  const sizes = new Map(matrices.map(({ name, type, shape }) => [name, bytesOfShape(type, shape)]));
  const weightsOf = (node: Node) => readsOf(node).reduce((sum, name) => sum + (sizes.get(name) ?? 0), 0);
  const limit = Math.max(0, ...graph.nodes.map(weightsOf));
  const parts: Node[][] = [[]];
  let weights = 0;
  for (const [i, node] of graph.nodes.entries()) {
    const own = weightsOf(node);
    if (weights > 0 && own > 0 && weights + own > limit && canCut(graph, i)) {
      parts.push([]);
      weights = 0;
    }
    parts.at(-1)?.push(node);
    weights += own;
  }
  if (parts.length === 1) return [graph];
  const needed = new Set(graph.outputs.map(({ name }) => name));
  const graphs: Graph[] = [];
  for (const [i, nodes] of [...parts.entries()].reverse()) {
    const part = segment(graph, new Set(nodes), needed, `${graph.name}, part ${i}`);
    if (part !== undefined) graphs.unshift(part);
  }
  return graphs;
}

/** Whether all that nodes before `place` make and nodes from there on read can be made in chunks of rows. */
function canCut({ nodes, values }: Graph, place: number): boolean {
  const made = new Set(nodes.slice(0, place).flatMap(({ outputs }) => outputs));
  const passed = nodes.slice(place).flatMap((node) => readsOf(node).filter((name) => made.has(name)));
  return passed.every((name) => {
    const [first, ...others] = values.get(name)?.shape ?? [];
    return first === ROWS && others.every((side) => typeof side === 'number');
  });
}
