import { ArgumentError } from '../../errors.ts';
import { GraphEdit } from '../graph-edit.ts';
import { batchAttentionNode, type GlobalTokens, isBatchAttention, type NodeScores } from '../import/batch-attention.ts';
import type { Graph, Node } from '../ir.ts';
import { isSparseAttention, readSparseAttention } from '../sparse-attention.ts';
import { Emitter } from './emitter.ts';

/** What rows stand for, in a graph whose attention has rows and no batch axis. */
export interface BatchOfRows {
  /** Value int64 [2]: batch and sequence length, whose product is the number of rows. */
  readonly shape: string;
  /** Value bool [B, N]: which keys are real. */
  readonly keyMask?: string;
  /** What else is known of attention nodes, by their names. */
  readonly nodes?: ReadonlyMap<string, NodeOfRows>;
}

/** What a graph with rows does not say of an attention node. */
export interface NodeOfRows {
  /** Tokens that every query sees. */
  readonly globals?: GlobalTokens;
  /** Keys of another length than the queries: the rows' shape int64 [2] and mask bool [B, M] of theirs. */
  readonly keys?: Pick<BatchOfRows, 'shape' | 'keyMask'>;
  /** Keys and values by head [B, G, M, D], in the place of the node's own rows. */
  readonly byHead?: { readonly k: string; readonly v: string };
  readonly scores?: NodeScores;
}

/**
 * Attention with rows [rows, H*D] as attention with a batch axis [B, H, N, D]: one sequence of all rows, or as `batch` says.
 * Attention that has a batch axis stays as it is. Throws ArgumentError for queries of a model's own for special tokens.
 */
export function withBatchAxis(graph: Graph, batch?: BatchOfRows): Graph {
  const edit = new GraphEdit(graph);
  const nodes = graph.nodes.filter((node) => isSparseAttention(node) && !isBatchAttention(node));
  for (const [index, node] of nodes.entries()) edit.replacements.set(node, batched(edit, graph, node, index, batch));
  return nodes.length === 0 ? graph : edit.build();
}

function batched(edit: GraphEdit, graph: Graph, node: Node, index: number, batch: BatchOfRows | undefined): Node[] {
  const { heads, keyValueHeads, width, valueWidth, inputs, output, lse, name, pattern, scale, softcap } =
    readSparseAttention(graph, node, index);
  if (inputs.sinkQuery !== undefined) {
    throw new ArgumentError(
      `SparseAttention ${name}: queries for special tokens (${inputs.sinkQuery}) cannot be exported`,
    );
  }
  const { globals, keys = batch, byHead: given, scores } = batch?.nodes?.get(name) ?? {};
  const nodes: Node[] = [];
  const emitter = new Emitter(edit, nodes);
  const whole = emitter.int64(1, -1);
  const byHead = (value: string, shape: string | undefined, count: number, each: number): string => {
    const sides = emitter.concat([shape ?? whole, emitter.int64(count, each)], 0, 'int64');
    const parted = emitter.op('Reshape', [value, sides]);
    const perm = { perm: { type: 'ints', value: [0, 2, 1, 3] } } as const;
    const length = shape === batch?.shape ? 'sequence' : 'keys';
    return edit.add(nodes, 'Transpose', [parted], { type: 'float32', shape: ['batch', count, length, each] }, perm);
  };
  const lseByHead = lse === undefined ? undefined : edit.free('lse');
  const attended = edit.free('attended');
  edit.values.set(attended, { name: attended, type: 'float32', shape: ['batch', heads, 'sequence', valueWidth] });
  nodes.push(
    batchAttentionNode({
      name,
      pattern,
      scale,
      ...(softcap === undefined ? {} : { softcap }),
      inputs: {
        q: byHead(inputs.q, batch?.shape, heads, width),
        k: given?.k ?? byHead(inputs.k, keys?.shape, keyValueHeads, width),
        v: given?.v ?? byHead(inputs.v, keys?.shape, keyValueHeads, valueWidth),
        ...(inputs.sinkLogits === undefined ? {} : { sinkLogits: inputs.sinkLogits }),
        ...(keys?.keyMask === undefined ? {} : { keyMask: keys.keyMask }),
      },
      ...(globals === undefined ? {} : { globals }),
      ...(scores === undefined ? {} : { scores }),
      output: attended,
      ...(lseByHead === undefined ? {} : { lse: lseByHead }),
    }),
  );
  if (lse !== undefined && lseByHead !== undefined) {
    edit.values.set(lseByHead, { name: lseByHead, type: 'float32', shape: ['batch', heads, 'sequence'] });
    emitter.op('Reshape', [emitter.transpose(lseByHead, [0, 2, 1]), emitter.int64(-1, heads)], 'float32', {}, lse);
  }
  emitter.op(
    'Reshape',
    [emitter.transpose(attended, [0, 2, 1, 3]), emitter.int64(-1, heads * valueWidth)],
    'float32',
    {},
    output,
  );
  return nodes;
}
