import type { Dimension, Graph, Node } from '../ir.ts';

/**
 * Whether the sums in a segment's matrix products may depend on the number of threads, for this many rows.
 *
 * ONNX Runtime's product [M, K] x [K, N] sums K in slices (MLAS, sgemm.cpp). It divides the rows among threads where M >= N, else the columns,
 * sixteen at least; and where a thread has 64 columns or fewer its slices of K are longer than 128, so the sums are rounded in another
 * order. Everything else in a segment is computed row by row.
 */
export function dependsOnThreads(graph: Graph, rows: number, threads: number): boolean {
  if (threads === 1) return false;
  return graph.nodes.some((node) => {
    const product = productOf(graph, node, rows);
    if (product === undefined) return false;
    const { m, n, k } = product;
    if (m >= n || k <= SLICE) return false;
    const blocks = Math.ceil(n / COLUMNS);
    const least = COLUMNS * Math.floor(blocks / Math.min(threads, blocks)) - (COLUMNS - 1);
    return least <= NARROW;
  });
}

/** Of K, in an ordinary product. */
const SLICE = 128;
/** A thread's columns are a multiple of this, but for the last ones. */
const COLUMNS = 16;
/** So many columns, or fewer, have longer slices. */
const NARROW = 64;

function productOf(graph: Graph, node: Node, rows: number): { m: number; n: number; k: number } | undefined {
  if (node.operator !== 'Gemm' && node.operator !== 'MatMul') return undefined;
  const shapeOf = (name: string | undefined): readonly Dimension[] => graph.values.get(name ?? '')?.shape ?? [];
  const size = (dimension: Dimension | undefined): number => (typeof dimension === 'number' ? dimension : rows);
  const [a, output] = [shapeOf(node.inputs[0]), shapeOf(node.outputs[0])];
  const { transA } = node.attributes;
  const isTransposed = transA?.type === 'int' && transA.value === 1;
  return { m: size(output.at(-2)), n: size(output.at(-1)), k: size(isTransposed ? a.at(-2) : a.at(-1)) };
}
