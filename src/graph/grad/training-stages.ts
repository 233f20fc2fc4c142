import { ArgumentError } from '../../errors.ts';
import { type AttentionNode, type Graph, type Node, ROWS, type Value } from '../ir.ts';
import { partition, type Stage } from '../partition.ts';
import { checkRowWise } from '../row-checks.ts';
import { isSparseAttention } from '../sparse-attention.ts';
import { dependents, differentiate, gradientOf, prune, withInputs, withOutputs } from './differentiate.ts';

/** What the forward pass leaves for the backward pass: see TrainingOptions. */
export type Checkpoint = 'none' | 'attention' | 'layer' | number;

export interface DenseStage {
  readonly kind: 'dense';
  readonly layer: number;
  /** Forward: the segment, with the stored values as outputs too. */
  readonly forward: Graph;
  /** Outputs that only the backward pass reads. */
  readonly stored: readonly string[];
  /** Undefined where no gradient passes through. Its inputs and outputs are named as differentiate() does. */
  readonly backward: Graph | undefined;
  /** Whether the backward graph makes the segment's outputs too, so that a training step skips the forward graph. */
  readonly isFused: boolean;
}

export interface AttentionStage {
  readonly kind: 'attention';
  readonly layer: number;
  readonly node: AttentionNode;
  readonly hasBackward: boolean;
}

export type TrainingStage = DenseStage | AttentionStage;

export interface StageOptions {
  readonly checkpoint: Checkpoint;
  /** Outputs whose gradients come in. */
  readonly outputs: readonly string[];
  /** Row inputs whose gradients are wanted. */
  readonly inputs: readonly string[];
  /** Whether the last segment's forward pass may be a part of its backward pass. */
  readonly isFused: boolean;
}

/** Weights: the float inputs that have no rows. */
export function parametersOf(graph: Graph): Value[] {
  return graph.inputs.filter(({ type, shape }) => type === 'float32' && shape[0] !== ROWS);
}

/**
 * Cuts a graph at its attention nodes and its boundaries, and differentiates each dense segment. A segment's backward graph
 * computes from its inputs again what its gradients need; with checkpoint 'none' it reads that from the forward pass instead. `seeds`:
 * the outputs whose gradients the program must be given.
 */
export async function trainingStages(
  graph: Graph,
  options: StageOptions,
): Promise<{ readonly stages: readonly TrainingStage[]; readonly seeds: readonly string[] }> {
  const boundaries = new Set(graph.boundaries ?? []);
  const stages = partition(graph, boundaries);
  checkRowWise(graph, stages);
  const wanted = [...parametersOf(graph), ...graph.inputs.filter((value) => options.inputs.includes(value.name))];
  const dependent = dependents(graph, wanted);
  const layers = layersOf(stages, boundaries);
  const seeds = options.outputs.filter((name) => dependent.has(name));
  const live = new Set(seeds);
  const result: TrainingStage[] = [];
  for (const [index, stage] of [...stages.entries()].toReversed()) {
    const layer = layers[index] ?? 0;
    if (stage.kind === 'attention') {
      const { name, output, lse = '' } = stage.node;
      const hasBackward = live.has(output);
      if (live.has(lse) && !hasBackward) {
        throw new ArgumentError(`attention ${name}: gradients of its log-sum-exps alone are not implemented`);
      }
      const { q, k, v } = stage.node.inputs;
      if (hasBackward) for (const name of [q, k, v]) if (dependent.has(name)) live.add(name);
      result.unshift({ kind: 'attention', layer, node: stage.node, hasBackward });
    } else {
      const isFused = options.isFused && index === stages.length - 1;
      result.unshift(await denseStage(stage.graph, { ...options, layer, isFused, dependent, live }));
    }
  }
  return { stages: result, seeds };
}

interface DenseContext extends StageOptions {
  readonly layer: number;
  readonly dependent: ReadonlySet<string>;
  /** Values that have a gradient so far; those of the inputs are added. */
  readonly live: Set<string>;
}

async function denseStage(graph: Graph, context: DenseContext): Promise<DenseStage> {
  const { layer, dependent, live, checkpoint } = context;
  for (const { name, shape } of graph.outputs) {
    if (dependent.has(name) && shape[0] !== ROWS) {
      throw new ArgumentError(
        `graph ${graph.name}: ${name} [${shape.join(', ')}] leaves a dense segment without rows and depends on weights; ` +
          'training needs every such value to be computed row by row',
      );
    }
  }
  const outputs = graph.outputs.map((value) => value.name).filter((name) => live.has(name));
  const inputs = graph.inputs.map((value) => value.name).filter((name) => dependent.has(name));
  const isFused = context.isFused && outputs.length > 0;
  // What several segments say of a parameter is added by the executor.
  const started = inputs.filter((name) => live.has(name) && graph.values.get(name)?.shape[0] === ROWS);
  const keep = isFused ? graph.outputs.map((value) => value.name) : [];
  const whole = outputs.length === 0 ? undefined : await differentiate(graph, { outputs, inputs, started, keep });
  if (whole === undefined)
    return { kind: 'dense', layer, forward: graph, stored: [], backward: undefined, isFused: false };
  // A view is made again by each segment that reads it: what has been passed on must not be passed on twice.
  for (const name of outputs) live.delete(name);
  for (const name of inputs) if (whole.values.has(gradientOf(name))) live.add(name);
  const stored = checkpoint === 'none' && !isFused ? valuesToStore(graph, whole) : [];
  const own = new Set(graph.outputs.map((value) => value.name));
  const extra = stored.filter((name) => !own.has(name));
  return {
    kind: 'dense',
    layer,
    forward: withOutputs(graph, [...own, ...extra]),
    stored: extra,
    backward: withInputs(whole, new Set(stored)),
    isFused,
  };
}

/** The values of rows that gradient nodes read, or of which they read another view. */
function valuesToStore(graph: Graph, whole: Graph): string[] {
  const forward = new Set(graph.nodes);
  const makers = new Map<string, Node>();
  for (const node of graph.nodes) for (const output of node.outputs) makers.set(output, node);
  const found = new Set<string>();
  for (const node of whole.nodes) {
    if (forward.has(node)) continue;
    for (const input of node.inputs) {
      let name = input;
      while (makers.has(name) && graph.values.get(name)?.shape[0] !== ROWS) name = makers.get(name)?.inputs[0] ?? '';
      if (makers.has(name)) found.add(name);
    }
  }
  return [...found];
}

/** How many earlier stages have made boundaries. */
function layersOf(stages: readonly Stage[], boundaries: ReadonlySet<string>): number[] {
  let passed = 0;
  return stages.map((stage) => {
    const layer = passed;
    const made = stage.kind === 'dense' ? stage.graph.nodes.flatMap((node) => node.outputs) : [stage.node.output];
    if (made.some((name) => boundaries.has(name))) passed++;
    return layer;
  });
}

/** What a training step reads: sinks are seen from the true positions, so their queries, and inputs for these alone, are left out. */
export function trainedGraph(graph: Graph): Graph {
  const nodes = graph.nodes.map((node) =>
    isSparseAttention(node) ? { ...node, inputs: node.inputs.map((name, i) => (i === 3 ? '' : name)) } : node,
  );
  return prune({ ...graph, nodes });
}
