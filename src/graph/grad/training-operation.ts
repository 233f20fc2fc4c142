/** The operations of a training step, and the lifetimes of what they read and write. */
import type { Lifetime } from '../buffers.ts';
import type { Edge } from '../edge.ts';
import type { AttentionNode, Value } from '../ir.ts';
import type { PooledSession } from './session-pool.ts';

/** Where a session's input comes from: rows of a value, or a parameter by its number. */
export type Source = { readonly edge: Edge } | { readonly parameter: number };

/** Where an output goes to: rows of a value, a parameter's gradient (added), or nowhere. */
export type Target = { readonly edge: Edge } | { readonly gradientOf: number } | undefined;

/** The state of an attention node between its forward and its backward pass, e.g. its log-sum-exps. */
export interface AttentionState {
  value: unknown;
}

export type Operation =
  | {
      readonly kind: 'dense';
      readonly session: PooledSession;
      readonly rowChunk: number;
      readonly sources: readonly Source[];
      readonly targets: readonly Target[];
      /** Values of the outputs that are parameters' gradients, in the order of the targets. */
      readonly gradientValues: readonly Value[];
    }
  | {
      readonly kind: 'attention';
      readonly node: AttentionNode;
      readonly rows: AttentionEdges;
      /** Undefined where no backward pass follows. */
      readonly state: AttentionState | undefined;
    }
  | {
      readonly kind: 'attention backward';
      readonly node: AttentionNode;
      readonly rows: AttentionEdges;
      readonly state: AttentionState;
      readonly gradOutput: Edge;
      readonly gradLse: Edge | undefined;
      /** For q, k and v: where the gradient goes, and what is known of it before. */
      readonly gradients: readonly { readonly into: Edge; readonly part: Edge | undefined }[];
    };

export interface AttentionEdges {
  readonly q: Edge;
  readonly k: Edge;
  readonly v: Edge;
  readonly output: Edge;
  readonly lse: Edge | undefined;
  /** Number of the parameter. */
  readonly sinkLogits: number | undefined;
}

/** What an operation reads and writes. */
export function edgesOf(operation: Operation): { reads: Edge[]; writes: Edge[]; all: Edge[] } {
  const reads: Edge[] = [];
  const writes: Edge[] = [];
  if (operation.kind === 'dense') {
    for (const source of operation.sources) if ('edge' in source) reads.push(source.edge);
    for (const target of operation.targets) if (target !== undefined && 'edge' in target) writes.push(target.edge);
  } else {
    const { q, k, v, output, lse } = operation.rows;
    reads.push(q, k, v);
    const made = lse === undefined ? [output] : [output, lse];
    if (operation.kind === 'attention') writes.push(...made);
    else {
      reads.push(...made, operation.gradOutput);
      if (operation.gradLse !== undefined) reads.push(operation.gradLse);
      for (const { into, part } of operation.gradients) {
        writes.push(into);
        if (part !== undefined) reads.push(part);
      }
    }
  }
  return { reads, writes, all: [...reads, ...writes] };
}

export function logSumExpsOf(operation: Operation): Edge[] {
  if (operation.kind === 'dense') return [];
  const gradient = operation.kind === 'attention' ? undefined : operation.gradLse;
  return [operation.rows.lse, gradient].filter((edge) => edge !== undefined);
}

/** The gradients of q, k and v may lie where these do: see AttentionPass. Not that of queries which other queries see as keys. */
function memoryOfGradients({ rows, gradients }: Operation & { readonly kind: 'attention backward' }): Map<Edge, Edge> {
  const { q, k, v } = rows;
  const own = [q === k || q === v ? undefined : q, k, v];
  return new Map(gradients.flatMap(({ into }, i) => (own[i] === undefined ? [] : [[into, own[i]] as const])));
}

/** From the operation that makes a value to the last one that reads it; kept ones to the end. */
export function lifetimesOf(
  operations: readonly Operation[],
  external: ReadonlySet<Edge>,
  kept: ReadonlySet<Edge>,
): Lifetime[] {
  const lives = new Map<Edge, { first: number; last: number; over?: Edge }>();
  for (const [index, operation] of operations.entries()) {
    const over = operation.kind === 'attention backward' ? memoryOfGradients(operation) : undefined;
    for (const edge of edgesOf(operation).all) {
      if (external.has(edge)) continue;
      const given = over?.get(edge);
      const life = lives.get(edge) ?? { first: index, last: index, ...(given === undefined ? {} : { over: given }) };
      life.last = kept.has(edge) ? operations.length : index;
      lives.set(edge, life);
    }
  }
  return [...lives].map(([edge, life]) => ({ edge, ...life }));
}
