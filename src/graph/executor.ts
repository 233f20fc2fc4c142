import { ArgumentError, DeviceError } from '../errors.ts';
import { type DenseBackend, type DenseSession, type Feed, type HostTensor, isRowSource } from './backend.ts';
import { Buffers } from './buffers.ts';
import { Edge } from './edge.ts';
import { type AttentionNode, type Graph, ROWS, type TensorData } from './ir.ts';
import { lifetimesOf } from './lifetimes.ts';
import { partition, partitionLate } from './partition.ts';
import type {
  AttentionCallback,
  CompileProgramOptions,
  Program,
  ProgramOutputs,
  RunChunkOptions,
  RunOptions,
} from './program.ts';
import { checkFeeds, checkRowWise } from './row-checks.ts';
import { splitSegment } from './split-segment.ts';
import { createData, hostTensor } from './tensor-data.ts';

/** Wide activations of a segment exist for this many rows; smaller chunks make matrix products less efficient. */
const DEFAULT_ROW_CHUNK = 1024;

/** The same where weights are streamed, for who wants little memory. */
const STREAMED_ROW_CHUNK = 512;

/** A dense segment, or where weights are streamed a part of one. */
interface Part {
  readonly graph: Graph;
  /** Absent where a run compiles the segment when it comes to it. */
  readonly session: DenseSession | undefined;
  readonly outputs: readonly Edge[];
  /** Rewritten at each call, so that a step of one row makes no objects. */
  readonly fetches: Record<string, HostTensor>;
}

type Step =
  | {
      readonly kind: 'dense';
      /** In the order in which they run, on each chunk of rows. */
      readonly parts: readonly Part[];
      readonly inputs: readonly Edge[];
      readonly outputs: readonly Edge[];
      /** What a part hands to a later one, which exists for a chunk of rows. */
      readonly inner: readonly Edge[];
      /** Of all parts. Rewritten as `fetches` are. */
      readonly feeds: Record<string, HostTensor>;
      /** Inputs whose memory an output takes: their rows are copied before the session runs. */
      readonly overwritten: readonly Edge[];
      /** After the last attention node: runs for the last rows only, where the caller says so. */
      readonly isTail: boolean;
    }
  | {
      readonly kind: 'attention';
      readonly node: AttentionNode;
      readonly q: Edge;
      readonly k: Edge;
      readonly v: Edge;
      readonly sinkQuery: Edge | undefined;
      readonly sinkLogits: Edge | undefined;
      readonly output: Edge;
      readonly lse: Edge | undefined;
    };

/**
 * Compiles each dense segment of a graph, one after the other, so that the weights of one segment at a time pass through
 * JavaScript's memory. Throws ArgumentError where a value that stages hand on cannot be computed in chunks of rows, and
 * DeviceError where the backend refuses a segment.
 */
export async function compileProgram(
  graph: Graph,
  backend: DenseBackend,
  options: CompileProgramOptions = {},
): Promise<Program> {
  const isStreamed = options.weights === 'streamed';
  const stages = isStreamed ? partitionLate(graph) : partition(graph);
  checkRowWise(graph, stages);
  const edges = new Map<string, Edge>();
  const edge = (name: string): Edge => {
    const known = edges.get(name);
    if (known !== undefined) return known;
    const value = graph.values.get(name);
    if (value === undefined) throw new ArgumentError(`graph ${graph.name} has no value ${name}`);
    const made = new Edge(value);
    edges.set(name, made);
    return made;
  };
  const lastAttention = stages.findLastIndex((stage) => stage.kind === 'attention');
  const steps: Step[] = [];
  try {
    for (const [index, stage] of stages.entries()) {
      options.signal?.throwIfAborted();
      if (stage.kind === 'dense') {
        const { inputs, outputs } = stage.graph;
        const names = new Set(outputs.map(({ name }) => name));
        const parts: Part[] = [];
        for (const part of isStreamed ? splitSegment(stage.graph) : [stage.graph]) {
          const session = isStreamed ? undefined : await backend.compile(part, { signal: options.signal });
          parts.push({ graph: part, session, outputs: part.outputs.map(({ name }) => edge(name)), fetches: {} });
        }
        steps.push({
          kind: 'dense',
          parts,
          inputs: inputs.map(({ name }) => edge(name)),
          outputs: outputs.map(({ name }) => edge(name)),
          inner: parts.flatMap((part) => part.outputs.filter(({ value }) => !names.has(value.name))),
          feeds: {},
          overwritten: [],
          isTail: index > lastAttention,
        });
      } else {
        const { q, k, v, sinkQuery, sinkLogits } = stage.node.inputs;
        steps.push({
          kind: 'attention',
          node: stage.node,
          q: edge(q),
          k: edge(k),
          v: edge(v),
          sinkQuery: sinkQuery === undefined ? undefined : edge(sinkQuery),
          sinkLogits: sinkLogits === undefined ? undefined : edge(sinkLogits),
          output: edge(stage.node.output),
          lse: stage.node.lse === undefined ? undefined : edge(stage.node.lse),
        });
      }
      options.onProgress?.(index + 1, stages.length);
    }
    const attentionInputs = new Set(
      stages.flatMap((s) => (s.kind === 'attention' ? Object.values(s.node.inputs) : [])),
    );
    for (const initializer of graph.initializers) {
      if (attentionInputs.has(initializer.name)) edge(initializer.name).bind(await initializer.load());
    }
  } catch (error) {
    for (const session of sessionsOf(steps)) await session.release();
    throw error;
  }
  const lifetimes = lifetimesOf(graph, stages, edge, options);
  const buffers = new Buffers(lifetimes, options.allocate ?? ((floats) => new Float32Array(floats)), options.free);
  const marked = steps.map((step) => {
    if (step.kind !== 'dense') return step;
    const taken = new Set(step.outputs.flatMap((output) => buffers.slotOf(output) ?? []));
    const overwritten = step.inputs.filter((input) => taken.has(buffers.slotOf(input) ?? -1));
    return { ...step, overwritten };
  });
  const rowChunk = isStreamed ? STREAMED_ROW_CHUNK : DEFAULT_ROW_CHUNK;
  return new CompiledProgram(graph, marked, edge, buffers, backend, rowChunk);
}

function sessionsOf(steps: readonly Step[]): DenseSession[] {
  return steps.flatMap((step) => (step.kind === 'dense' ? step.parts.flatMap(({ session }) => session ?? []) : []));
}

class CompiledProgram implements Program {
  readonly attentionNodes: readonly AttentionNode[];
  readonly #graph: Graph;
  readonly #steps: readonly Step[];
  readonly #inputs: readonly Edge[];
  readonly #outputs: readonly Edge[];
  /** Outputs that a tail step makes. */
  readonly #tailOutputs: ReadonlySet<Edge>;
  readonly #buffers: Buffers;
  readonly #backend: DenseBackend;
  readonly #rowChunk: number;
  readonly #scratch: Float32Array[] = [];
  /** What parts of a segment hand on, by its type and place among such values. */
  readonly #inner = new Map<string, TensorData>();
  #state: 'idle' | 'running' | 'released' = 'idle';

  constructor(
    graph: Graph,
    steps: readonly Step[],
    edge: (name: string) => Edge,
    buffers: Buffers,
    backend: DenseBackend,
    rowChunk: number,
  ) {
    this.#graph = graph;
    this.#backend = backend;
    this.#rowChunk = rowChunk;
    this.#steps = steps;
    this.#inputs = graph.inputs.map((value) => edge(value.name));
    this.#outputs = graph.outputs.map((value) => edge(value.name));
    this.#tailOutputs = new Set(steps.flatMap((step) => (step.kind === 'dense' && step.isTail ? step.outputs : [])));
    this.#buffers = buffers;
    this.attentionNodes = steps.flatMap((step) => (step.kind === 'attention' ? [step.node] : []));
  }

  get floatsPerRow(): number {
    return this.#buffers.floatsPerRow;
  }

  run(feeds: Readonly<Record<string, Feed>>, options: RunOptions): Promise<ProgramOutputs> {
    const { rowChunk = this.#rowChunk } = options;
    if (!(Number.isInteger(rowChunk) && rowChunk > 0)) {
      throw new ArgumentError(`rowChunk must be a positive integer, got ${rowChunk}`);
    }
    return this.#run(feeds, options.attention, rowChunk, options);
  }

  runChunk(
    feeds: Readonly<Record<string, Feed>>,
    attention: AttentionCallback,
    options: RunChunkOptions = {},
  ): Promise<ProgramOutputs> {
    return this.#run(feeds, attention, Number.POSITIVE_INFINITY, options);
  }

  async release(): Promise<void> {
    if (this.#state === 'running') throw new DeviceError(`program ${this.#graph.name}: release() during a run`);
    this.#state = 'released';
    for (const session of sessionsOf(this.#steps)) await session.release();
    this.#inner.clear();
    this.#buffers.release();
  }

  async #run(
    feeds: Readonly<Record<string, Feed>>,
    attention: AttentionCallback,
    rowChunk: number,
    options: RunChunkOptions,
  ): Promise<ProgramOutputs> {
    if (this.#state !== 'idle') {
      throw new DeviceError(
        this.#state === 'running'
          ? `program ${this.#graph.name}: a run is under way; wait for it`
          : `program ${this.#graph.name}: run after release()`,
      );
    }
    this.#state = 'running';
    try {
      const rows = checkFeeds(this.#graph, feeds);
      const tailRows = Math.min(options.lastRows ?? rows, rows);
      if (!(Number.isInteger(tailRows) && tailRows >= 0)) {
        throw new ArgumentError(`lastRows must be an integer of at least 0, got ${options.lastRows}`);
      }
      this.#bind(feeds, rows, tailRows, options.fetches ?? {});
      for (const step of this.#steps) {
        if (step.kind === 'attention') {
          options.signal?.throwIfAborted();
          await runAttention(step, rows, attention);
        } else {
          const start = step.isTail ? rows - tailRows : 0;
          if (start < rows) await this.#runDense(step, start, rows, rowChunk, options.signal);
        }
      }
      const outputs: Record<string, HostTensor> = {};
      for (const output of this.#outputs) {
        outputs[output.value.name] = output.tensor(output.firstRow, rows);
      }
      return outputs;
    } finally {
      this.#state = 'idle';
    }
  }

  async #runDense(
    step: Step & { readonly kind: 'dense' },
    start: number,
    rows: number,
    rowChunk: number,
    signal: AbortSignal | undefined,
  ): Promise<void> {
    const sessions: DenseSession[] = [];
    try {
      for (const { graph, session } of step.parts) {
        sessions.push(session ?? (await this.#backend.compile(graph, { signal, freesCopies: true })));
      }
      for (const [i, inner] of step.inner.entries()) this.#bindInner(i, inner, Math.min(rowChunk, rows - start));
      for (let from = start; from < rows; from += rowChunk) {
        signal?.throwIfAborted();
        const to = Math.min(from + rowChunk, rows);
        for (const input of step.inputs) {
          const read = input.read(from, to);
          step.feeds[input.value.name] = read === undefined ? input.tensor(from, to) : await read;
        }
        for (const [i, input] of step.overwritten.entries()) {
          step.feeds[input.value.name] = this.#copyOfRows(i, input, from, to);
        }
        for (const inner of step.inner) inner.firstRow = from;
        for (const [i, { outputs, fetches }] of step.parts.entries()) {
          for (const output of outputs) {
            const tensor = output.tensor(from, to);
            fetches[output.value.name] = tensor;
            step.feeds[output.value.name] = tensor;
          }
          await sessions[i]?.run(step.feeds, fetches);
        }
      }
    } finally {
      for (const inner of step.inner) inner.release();
      for (const [i, session] of sessions.entries()) if (step.parts[i]?.session === undefined) await session.release();
    }
  }

  #bindInner(place: number, inner: Edge, rows: number): void {
    const { type } = inner.value;
    const key = `${type} ${place}`;
    const length = rows * (inner.width ?? 0);
    let data = this.#inner.get(key);
    if (data === undefined || data.length < length) {
      data = createData(type, length);
      this.#inner.set(key, data);
    }
    inner.bind(data);
  }

  /** Rows of a float32 input in memory of their own, which is kept for the next chunk. */
  #copyOfRows(place: number, input: Edge, from: number, to: number): HostTensor {
    const rows = floats(input, input.rows(from, to));
    let scratch = this.#scratch[place];
    if (scratch === undefined || scratch.length < rows.length) {
      scratch = new Float32Array(rows.length);
      this.#scratch[place] = scratch;
    }
    const data = scratch.subarray(0, rows.length);
    data.set(rows);
    return hostTensor('float32', data, [to - from, ...(input.value.shape.slice(1) as number[])]);
  }

  #bind(
    feeds: Readonly<Record<string, Feed>>,
    rows: number,
    tailRows: number,
    fetches: Readonly<Record<string, HostTensor>>,
  ): void {
    this.#buffers.bind(rows);
    for (const input of this.#inputs) {
      const feed = feeds[input.value.name];
      if (feed === undefined) continue;
      if (isRowSource(feed)) input.bindSource(feed);
      else input.bindTensor(feed);
    }
    for (const output of this.#tailOutputs) output.firstRow = rows - tailRows;
    for (const output of this.#outputs) {
      const fetch = fetches[output.value.name];
      if (fetch === undefined) continue;
      const wanted = output.value.shape.map((d) => (d === ROWS ? rows - output.firstRow : d));
      if (fetch.type !== output.value.type || fetch.shape.join() !== wanted.join()) {
        throw new ArgumentError(
          `fetches.${output.value.name} must be ${output.value.type} [${wanted.join(', ')}], got ${fetch.type} [${fetch.shape.join(', ')}]`,
        );
      }
      output.bindTensor(fetch);
    }
  }
}

async function runAttention(
  step: Step & { readonly kind: 'attention' },
  rows: number,
  attention: AttentionCallback,
): Promise<void> {
  const { node, output } = step;
  const target = floats(output, output.rows(0, rows));
  const result = await attention(node, {
    rows,
    q: floats(step.q, step.q.rows(0, rows)),
    k: allFloats(step.k, rows),
    v: allFloats(step.v, rows),
    ...(step.sinkQuery === undefined ? {} : { sinkQuery: allFloats(step.sinkQuery, rows) }),
    ...(step.sinkLogits === undefined ? {} : { sinkLogits: allFloats(step.sinkLogits, rows) }),
    output: target,
    ...(step.lse === undefined ? {} : { lse: allFloats(step.lse, rows) }),
  });
  if (result === undefined || result === target) return;
  if (result.length !== target.length) {
    throw new ArgumentError(
      `attention ${node.name}: the callback returned ${result.length} floats, [${rows}, ${output.width}] needs ${target.length}`,
    );
  }
  output.bind(result);
}

function allFloats(edge: Edge, rows: number): Float32Array {
  return floats(edge, edge.byRows ? edge.rows(0, rows) : edge.data);
}

function floats(edge: Edge, data: TensorData): Float32Array {
  if (!(data instanceof Float32Array)) throw new ArgumentError(`value ${edge.value.name} must be float32`);
  return data;
}
