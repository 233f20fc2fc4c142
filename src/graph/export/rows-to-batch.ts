import { ArgumentError } from '../../errors.ts';
import { GraphEdit } from '../graph-edit.ts';
import { batchAttentionNode, type GlobalTokens, isBatchAttention } from '../import/batch-attention.ts';
import type { Graph, Node } from '../ir.ts';
import { isSparseAttention, readSparseAttention } from '../sparse-attention.ts';
import { Emitter } from './emitter.ts';

/** What rows stand for, in a graph whose attention has rows and no batch axis. */
export interface BatchOfRows {
  /** Value int64 [2]: batch and sequence length, whose product is the number of rows. */
  readonly shape: string;
  /** Value bool [B, N]: which keys are real. */
  readonly keyMask?: string;
  /** By the name of an attention node: its tokens that every query sees. */
  readonly globals?: ReadonlyMap<string, GlobalTokens>;
}

/**
 * Attention with rows [rows, H*D] as attention with a batch axis [B, H, N, D]: one sequence of all rows, or as `batch` says.
 * Attention that has a batch axis stays as it is. Throws ArgumentError for queries of a model's own for special tokens, and for log-sum-exps.
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
  if (lse !== undefined)
    throw new ArgumentError(`SparseAttention ${name}: its log-sum-exp (${lse}) cannot be exported`);
  const globals = batch?.globals?.get(name);
  const nodes: Node[] = [];
  const emitter = new Emitter(edit, nodes);
  const sides = batch?.shape ?? emitter.int64(1, -1);
  const byHead = (value: string, count: number, each: number): string => {
    const parted = emitter.op('Reshape', [value, emitter.concat([sides, emitter.int64(count, each)], 0, 'int64')]);
    const perm = { perm: { type: 'ints', value: [0, 2, 1, 3] } } as const;
    return edit.add(nodes, 'Transpose', [parted], { type: 'float32', shape: ['batch', count, 'sequence', each] }, perm);
  };
  const attended = edit.free('attended');
  edit.values.set(attended, { name: attended, type: 'float32', shape: ['batch', heads, 'sequence', valueWidth] });
  nodes.push(
    batchAttentionNode({
      name,
      pattern,
      scale,
      ...(softcap === undefined ? {} : { softcap }),
      inputs: {
        q: byHead(inputs.q, heads, width),
        k: byHead(inputs.k, keyValueHeads, width),
        v: byHead(inputs.v, keyValueHeads, valueWidth),
        ...(inputs.sinkLogits === undefined ? {} : { sinkLogits: inputs.sinkLogits }),
        ...(batch?.keyMask === undefined ? {} : { keyMask: batch.keyMask }),
      },
      ...(globals === undefined ? {} : { globals }),
      output: attended,
    }),
  );
  emitter.op(
    'Reshape',
    [emitter.transpose(attended, [0, 2, 1, 3]), emitter.int64(-1, heads * valueWidth)],
    'float32',
    {},
    output,
  );
  return nodes;
}
