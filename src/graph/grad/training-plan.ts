import { ArgumentError } from '../../errors.ts';
import type { Lifetime } from '../buffers.ts';
import { Edge } from '../edge.ts';
import type { AttentionNode, Graph, Value } from '../ir.ts';
import { gradientOf, partOf } from './differentiate.ts';
import type { PooledSession } from './session-pool.ts';
import {
  type AttentionEdges,
  type AttentionState,
  edgesOf,
  lifetimesOf,
  logSumExpsOf,
  type Operation,
  type Source,
  type Target,
} from './training-operation.ts';
import type { Checkpoint, DenseStage, TrainingStage } from './training-stages.ts';

/** A stage with its sessions. */
export interface CompiledStage {
  readonly stage: TrainingStage;
  readonly forward: PooledSession | undefined;
  readonly backward: PooledSession | undefined;
}

export interface Plan {
  readonly operations: readonly Operation[];
  /** The first operation of the backward pass, or of a forward pass that is computed again. */
  readonly backwardStart: number;
  /** Values that the caller feeds, and gradients of outputs, by name. */
  readonly feeds: ReadonlyMap<string, Edge>;
  readonly outputGradients: ReadonlyMap<string, Edge>;
  readonly outputs: ReadonlyMap<string, Edge>;
  readonly inputGradients: ReadonlyMap<string, Edge>;
  readonly lifetimes: readonly Lifetime[];
  /** Edges that attention reads or writes. */
  readonly attention: ReadonlySet<Edge>;
  /** Those among them that are log-sum-exps, or gradients of these. */
  readonly logSumExps: ReadonlySet<Edge>;
  /** Outputs and gradients of inputs, which the caller reads. */
  readonly kept: ReadonlySet<Edge>;
}

/** Floats of the widest value of a segment that exist at a time. */
const CHUNK_FLOATS = 2 ** 23;
const MOST_ROWS = 512;
const LEAST_ROWS = 16;

export interface PlanOptions {
  readonly graph: Graph;
  readonly stages: readonly CompiledStage[];
  readonly parameters: readonly Value[];
  readonly checkpoint: Checkpoint;
  /** Row inputs whose gradients are wanted. */
  readonly inputs: readonly string[];
  /** Outputs whose gradients come in. */
  readonly seeds: readonly string[];
}

/** The forward pass alone. */
export function planForward(options: PlanOptions): Plan {
  const planner = new Planner(options);
  planner.forward(options.stages, planner.values, { isStep: false, isLast: false });
  return planner.finish();
}

/**
 * A training step: forward, then for each group of layers from the last to the first, its forward pass again where only its inputs
 * were kept (all but the last group, whose values are still there), and its backward pass (Chen et al., "Training Deep Nets with
 * Sublinear Memory Cost", section 3).
 */
export function planStep(options: PlanOptions): Plan {
  const { stages, checkpoint } = options;
  const planner = new Planner(options);
  const keepsAll = checkpoint === 'none' || checkpoint === 'attention';
  const each = checkpoint === 'layer' ? 1 : keepsAll ? Number.POSITIVE_INFINITY : (checkpoint as number);
  const groups = new Map<number, CompiledStage[]>();
  for (const stage of stages) {
    const group = Math.floor(stage.stage.layer / each);
    groups.set(group, [...(groups.get(group) ?? []), stage]);
  }
  const inOrder = [...groups.values()];
  for (const [i, group] of inOrder.entries()) {
    planner.forward(group, planner.values, { isStep: true, isLast: i === inOrder.length - 1 });
  }
  planner.startBackward();
  for (const [i, group] of [...inOrder.entries()].toReversed()) {
    let values = planner.values;
    if (i < inOrder.length - 1) {
      values = new Map(values);
      planner.again(group, values);
    }
    for (const stage of group.toReversed()) planner.backward(stage, values);
  }
  return planner.finish();
}

class Planner {
  readonly #options: PlanOptions;
  readonly #operations: Operation[] = [];
  readonly #states = new Map<Edge, AttentionState>();
  #backwardStart = 0;
  readonly #gradients = new Map<string, Edge>();
  readonly #outputGradients = new Map<string, Edge>();
  readonly #numbers: ReadonlyMap<string, number>;
  /** By name: the values of the forward pass. */
  readonly values = new Map<string, Edge>();

  constructor(options: PlanOptions) {
    this.#options = options;
    this.#numbers = new Map(options.parameters.map((value, i) => [value.name, i]));
    for (const value of options.graph.inputs) {
      if (!this.#numbers.has(value.name)) this.values.set(value.name, new Edge(value));
    }
  }

  /**
   * Adds the forward pass of some stages. In a training step the fused stage's is a part of its backward pass; `isLast`: the
   * backward pass of these stages reads these very values.
   */
  forward(
    stages: readonly CompiledStage[],
    values: Map<string, Edge>,
    { isStep, isLast }: { readonly isStep: boolean; readonly isLast: boolean },
  ): void {
    for (const compiled of stages) {
      const { stage } = compiled;
      if (stage.kind === 'dense') {
        const stored = new Set(stage.stored);
        for (const value of stage.forward.outputs) {
          if (isStep || !stored.has(value.name)) values.set(value.name, new Edge(value));
        }
        if (!(isStep && stage.isFused)) this.#dense(compiled.forward, stage.forward, values);
      } else {
        for (const name of madeBy(stage.node)) values.set(name, new Edge(this.#value(name)));
        const rows = this.#attentionEdges(stage.node, values);
        const state: AttentionState | undefined = isLast ? { value: undefined } : undefined;
        if (state !== undefined) this.#states.set(rows.output, state);
        this.#operations.push({ kind: 'attention', node: stage.node, rows, state });
      }
    }
  }

  /** Adds the forward pass of a group again, as far as its backward pass reads it, into new values. */
  again(group: readonly CompiledStage[], values: Map<string, Edge>): void {
    const read = new Set(group.flatMap(({ stage }) => readsOfBackward(stage)));
    const needed: CompiledStage[] = [];
    for (const compiled of group.toReversed()) {
      const { stage } = compiled;
      const makes = stage.kind === 'dense' ? stage.forward.outputs.map((value) => value.name) : madeBy(stage.node);
      if (!makes.some((name) => read.has(name))) continue;
      needed.unshift(compiled);
      const reads =
        stage.kind === 'dense' ? stage.forward.inputs.map((value) => value.name) : attentionInputs(stage.node);
      for (const name of reads) read.add(name);
    }
    this.forward(needed, values, { isStep: true, isLast: true });
  }

  startBackward(): void {
    this.#backwardStart = this.#operations.length;
    for (const name of this.#options.seeds) {
      const edge = this.#gradientEdge(name);
      this.#gradients.set(name, edge);
      this.#outputGradients.set(name, edge);
    }
  }

  backward({ stage, backward }: CompiledStage, values: ReadonlyMap<string, Edge>): void {
    if (stage.kind === 'attention') {
      if (stage.hasBackward) this.#attentionBackward(stage.node, values);
    } else if (stage.backward !== undefined && backward !== undefined) this.#denseBackward(stage, backward, values);
  }

  finish(): Plan {
    const { graph, inputs } = this.#options;
    const named = (names: readonly string[], edges: ReadonlyMap<string, Edge>) =>
      new Map(
        names.flatMap((name) => {
          const edge = edges.get(name);
          return edge === undefined ? [] : [[name, edge] as const];
        }),
      );
    const feeds = named(
      graph.inputs.map((value) => value.name),
      this.values,
    );
    const outputs = named(
      graph.outputs.map((value) => value.name),
      this.values,
    );
    const inputGradients = named(inputs, this.#gradients);
    const external = new Set([...feeds.values(), ...this.#outputGradients.values()]);
    const kept = new Set([...outputs.values(), ...inputGradients.values()]);
    return {
      operations: this.#operations,
      backwardStart: this.#backwardStart,
      feeds,
      outputGradients: this.#outputGradients,
      outputs,
      inputGradients,
      lifetimes: lifetimesOf(this.#operations, external, kept),
      attention: new Set(
        this.#operations.flatMap((operation) => (operation.kind === 'dense' ? [] : edgesOf(operation).all)),
      ),
      logSumExps: new Set(this.#operations.flatMap(logSumExpsOf)),
      kept,
    };
  }

  #dense(session: PooledSession | undefined, graph: Graph, values: ReadonlyMap<string, Edge>): void {
    if (session === undefined) throw new ArgumentError(`graph ${graph.name} is not compiled`);
    this.#operations.push({
      kind: 'dense',
      session,
      rowChunk: rowChunkOf(graph),
      sources: graph.inputs.map(({ name }) => this.#source(name, values)),
      targets: graph.outputs.map(({ name }) => {
        const edge = values.get(name);
        return edge === undefined ? undefined : { edge };
      }),
      gradientValues: [],
    });
  }

  #denseBackward(stage: DenseStage, session: PooledSession, values: ReadonlyMap<string, Edge>): void {
    const graph = stage.backward;
    if (graph === undefined) return;
    const upstream = new Map([
      ...stage.forward.outputs.map((value) => [gradientOf(value.name), value.name] as const),
      ...stage.forward.inputs.map((value) => [partOf(value.name), value.name] as const),
    ]);
    const sources = graph.inputs.map(({ name }): Source => {
      const of = upstream.get(name);
      return of === undefined ? this.#source(name, values) : { edge: this.#gradient(of) };
    });
    // What this stage passes on is not passed on by another that makes the same view.
    for (const { name } of stage.forward.outputs) this.#gradients.delete(name);
    const owners = new Map(stage.forward.inputs.map(({ name }) => [gradientOf(name), name]));
    const gradientValues: Value[] = [];
    const targets = graph.outputs.map((value): Target => {
      const owner = owners.get(value.name);
      if (owner === undefined) {
        const edge = values.get(value.name);
        return edge === undefined ? undefined : { edge };
      }
      const parameter = this.#numbers.get(owner);
      if (parameter !== undefined) {
        gradientValues.push(value);
        return { gradientOf: parameter };
      }
      const edge = new Edge(value);
      this.#gradients.set(owner, edge);
      return { edge };
    });
    this.#operations.push({ kind: 'dense', session, rowChunk: rowChunkOf(graph), sources, targets, gradientValues });
  }

  #attentionBackward(node: AttentionNode, values: ReadonlyMap<string, Edge>): void {
    const rows = this.#attentionEdges(node, values);
    const state = this.#states.get(rows.output);
    if (state === undefined) throw new ArgumentError(`attention ${node.name}: no forward pass`);
    const gradOutput = this.#gradient(node.output);
    const gradLse = node.lse === undefined ? undefined : this.#gradients.get(node.lse);
    for (const name of madeBy(node)) this.#gradients.delete(name);
    const gradients = [rows.q, rows.k, rows.v].map(({ value }) => {
      const part = this.#gradients.get(value.name);
      const into = this.#gradientEdge(value.name);
      this.#gradients.set(value.name, into);
      return { into, part };
    });
    this.#operations.push({ kind: 'attention backward', node, rows, state, gradOutput, gradLse, gradients });
  }

  /** The gradient so far. */
  #gradient(name: string): Edge {
    const known = this.#gradients.get(name);
    if (known === undefined) throw new ArgumentError(`${name} has no gradient`);
    return known;
  }

  #gradientEdge(name: string): Edge {
    return new Edge({ ...this.#value(name), name: gradientOf(name) });
  }

  #value(name: string): Value {
    const value = this.#options.graph.values.get(name);
    if (value === undefined) throw new ArgumentError(`the graph has no value ${name}`);
    return value;
  }

  #attentionEdges(node: AttentionNode, values: ReadonlyMap<string, Edge>): AttentionEdges {
    const edge = (name: string): Edge => {
      const found = values.get(name);
      if (found === undefined) throw new ArgumentError(`attention ${node.name}: ${name} must have rows`);
      return found;
    };
    const { q, k, v, sinkLogits } = node.inputs;
    const number = sinkLogits === undefined ? undefined : this.#numbers.get(sinkLogits);
    if (sinkLogits !== undefined && number === undefined) {
      throw new ArgumentError(`attention ${node.name}: sink logits must be an input of the graph to be trained`);
    }
    const lse = node.lse === undefined ? undefined : edge(node.lse);
    return { q: edge(q), k: edge(k), v: edge(v), output: edge(node.output), lse, sinkLogits: number };
  }

  #source(name: string, values: ReadonlyMap<string, Edge>): Source {
    const parameter = this.#numbers.get(name);
    if (parameter !== undefined) return { parameter };
    const edge = values.get(name);
    if (edge === undefined) throw new ArgumentError(`value ${name} has not been computed`);
    return { edge };
  }
}

function attentionInputs(node: AttentionNode): string[] {
  const { q, k, v } = node.inputs;
  return [q, k, v];
}

function madeBy({ output, lse }: AttentionNode): string[] {
  return lse === undefined ? [output] : [output, lse];
}

/** Values of the forward pass that a stage's backward pass reads. */
function readsOfBackward(stage: TrainingStage): string[] {
  if (stage.kind === 'attention')
    return stage.hasBackward ? [...attentionInputs(stage.node), ...madeBy(stage.node)] : [];
  return stage.backward?.inputs.map((value) => value.name) ?? [];
}

/** Rows for which a segment's widest value stays within CHUNK_FLOATS. */
function rowChunkOf(graph: Graph): number {
  let widest = 1;
  for (const { shape } of graph.values.values()) {
    if (!shape.some((d) => typeof d === 'string')) continue;
    widest = Math.max(
      widest,
      shape.reduce<number>((product, d) => (typeof d === 'number' ? product * d : product), 1),
    );
  }
  return Math.min(MOST_ROWS, Math.max(LEAST_ROWS, Math.floor(CHUNK_FLOATS / widest)));
}
