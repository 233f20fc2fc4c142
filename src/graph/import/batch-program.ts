import { ArgumentError, DeviceError } from '../../errors.ts';
import type { DenseBackend, DenseSession, HostTensor } from '../backend.ts';
import type { Graph } from '../ir.ts';
import { partitionBy, type Stage } from '../partition.ts';
import { hostTensor } from '../tensor-data.ts';
import { type BatchAttentionNode, readBatchAttention } from './batch-attention.ts';

/** An attention node's tensors in one run. */
export interface BatchAttentionInputs {
  readonly q: HostTensor;
  readonly k: HostTensor;
  readonly v: HostTensor;
  readonly sinkLogits?: HostTensor;
  readonly keyMask?: HostTensor;
}

/** Computes one attention node: [B, H, N, E], float32. */
export type BatchAttentionCallback = (
  node: BatchAttentionNode,
  inputs: BatchAttentionInputs,
  options: { readonly signal?: AbortSignal },
) => Promise<HostTensor>;

export interface CompileBatchOptions {
  readonly attention: BatchAttentionCallback;
  /** After each stage that has been compiled. */
  readonly onProgress?: (done: number, total: number) => void;
  readonly signal?: AbortSignal;
}

/** A compiled graph with batch axes. Its runs must not overlap. */
export interface BatchProgram {
  readonly attentionNodes: readonly BatchAttentionNode[];
  /** Runs the graph: `feeds` holds every input by name; gives every output. */
  run(
    feeds: Readonly<Record<string, HostTensor>>,
    options?: { readonly signal?: AbortSignal },
  ): Promise<Record<string, HostTensor>>;
  /** Frees the sessions. */
  release(): Promise<void>;
}

type Step = (
  | { readonly kind: 'dense'; readonly session: DenseSession; readonly reads: readonly string[] }
  | { readonly kind: 'attention'; readonly node: BatchAttentionNode; readonly reads: readonly string[] }
) & {
  /** Values that no later step reads, which are let go after this one. */
  readonly last: string[];
};

/**
 * Compiles an imported graph: the dense segments between its attention nodes run whole, without row chunks, because their tensors may
 * have any shape. Throws DeviceError where the backend refuses a segment.
 */
export async function compileBatchProgram(
  graph: Graph,
  backend: DenseBackend,
  options: CompileBatchOptions,
): Promise<BatchProgram> {
  const stages = partitionBy(graph, readBatchAttention);
  const steps: Step[] = [];
  const release = async (): Promise<void> => {
    for (const step of steps) if (step.kind === 'dense') await step.session.release();
  };
  try {
    for (const [index, stage] of stages.entries()) {
      options.signal?.throwIfAborted();
      steps.push(await compileStage(stage, backend, options.signal));
      options.onProgress?.(index + 1, stages.length);
    }
  } catch (error) {
    await release();
    throw error;
  }
  const isKept = new Set(graph.outputs.map((output) => output.name));
  for (const step of steps.toReversed()) {
    for (const name of step.reads) {
      if (!isKept.has(name)) step.last.push(name);
      isKept.add(name);
    }
  }
  const constants = await loadConstants(graph, stages);
  let state: 'idle' | 'running' | 'released' = 'idle';
  return {
    attentionNodes: stages.flatMap((stage) => (stage.kind === 'attention' ? [stage.node] : [])),
    async run(feeds, runOptions = {}) {
      if (state !== 'idle')
        throw new DeviceError(
          `program ${graph.name}: ${state === 'running' ? 'a run is under way' : 'run after release()'}`,
        );
      state = 'running';
      try {
        return await runSteps(
          graph,
          steps,
          new Map([...constants, ...checkFeeds(graph, feeds)]),
          options.attention,
          runOptions,
        );
      } finally {
        state = 'idle';
      }
    },
    async release() {
      if (state === 'running') throw new DeviceError(`program ${graph.name}: release() during a run`);
      state = 'released';
      await release();
    },
  };
}

async function compileStage(
  stage: Stage<BatchAttentionNode>,
  backend: DenseBackend,
  signal: AbortSignal | undefined,
): Promise<Step> {
  if (stage.kind === 'attention') {
    return { kind: 'attention', node: stage.node, reads: Object.values(stage.node.inputs), last: [] };
  }
  const session = await backend.compile(stage.graph, { signal });
  return { kind: 'dense', session, reads: stage.graph.inputs.map((input) => input.name), last: [] };
}

/** Initializers that no dense segment passes on: those that attention nodes read, and those that are outputs. */
async function loadConstants(
  graph: Graph,
  stages: readonly Stage<BatchAttentionNode>[],
): Promise<Map<string, HostTensor>> {
  const wanted = new Set(graph.outputs.map((output) => output.name));
  for (const stage of stages) {
    if (stage.kind === 'attention') for (const name of Object.values(stage.node.inputs)) wanted.add(name);
  }
  const constants = new Map<string, HostTensor>();
  for (const { name, type, shape, load } of graph.initializers) {
    if (wanted.has(name)) constants.set(name, hostTensor(type, await load(), shape));
  }
  return constants;
}

async function runSteps(
  graph: Graph,
  steps: readonly Step[],
  values: Map<string, HostTensor>,
  attention: BatchAttentionCallback,
  options: { readonly signal?: AbortSignal },
): Promise<Record<string, HostTensor>> {
  const computed = (name: string): HostTensor => {
    const value = values.get(name);
    if (value === undefined) throw new ArgumentError(`graph ${graph.name}: value ${name} has not been computed`);
    return value;
  };
  for (const step of steps) {
    options.signal?.throwIfAborted();
    if (step.kind === 'dense') {
      const feeds = Object.fromEntries(step.reads.map((name) => [name, computed(name)]));
      for (const [name, tensor] of Object.entries(await step.session.compute(feeds))) values.set(name, tensor);
    } else {
      const { q, k, v, sinkLogits, keyMask } = step.node.inputs;
      const inputs = {
        q: computed(q),
        k: computed(k),
        v: computed(v),
        ...(sinkLogits === undefined ? {} : { sinkLogits: computed(sinkLogits) }),
        ...(keyMask === undefined ? {} : { keyMask: computed(keyMask) }),
      };
      values.set(step.node.output, await attention(step.node, inputs, options));
    }
    for (const name of step.last) values.delete(name);
  }
  return Object.fromEntries(graph.outputs.map(({ name }) => [name, computed(name)]));
}

/** Throws ArgumentError for an input that is missing, or of another type or number of axes than the graph says. */
function checkFeeds(graph: Graph, feeds: Readonly<Record<string, HostTensor>>): Map<string, HostTensor> {
  return new Map(
    graph.inputs.map(({ name, type, shape, ranked }) => {
      const feed = feeds[name];
      if (feed === undefined) throw new ArgumentError(`graph ${graph.name}: feeds.${name} is missing`);
      const fits =
        ranked === false ||
        (feed.shape.length === shape.length &&
          shape.every((side, i) => typeof side === 'string' || side === feed.shape[i]));
      if (feed.type !== type || !fits) {
        throw new ArgumentError(
          `graph ${graph.name}: feeds.${name} must be ${type} [${shape.join(', ')}], got ${feed.type} [${feed.shape.join(', ')}]`,
        );
      }
      return [name, feed];
    }),
  );
}
