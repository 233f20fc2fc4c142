import type { NumberType } from '../../attention/index.ts';
import { counted } from '../../counted.ts';
import { ArgumentError, DeviceError } from '../../errors.ts';
import type { DenseBackend, HostTensor } from '../backend.ts';
import type { Edge } from '../edge.ts';
import { type Graph, ROWS, type TensorData, type Value } from '../ir.ts';
import type { ProgramOutputs } from '../program.ts';
import { checkFeeds } from '../row-checks.ts';
import { describeShape } from '../tensor-data.ts';
import { attentionNames, nonFiniteOf } from './non-finite.ts';
import { type Convert, convertPlainly, type StoredRows } from './row-storage.ts';
import { SessionPool } from './session-pool.ts';
import { Layout } from './training-layout.ts';
import { edgesOf, type Operation } from './training-operation.ts';
import type { CompileTrainingOptions, PassOptions, StepPassOptions, TrainingProgram } from './training-options.ts';
import { type CompiledStage, type Plan, planForward, planStep } from './training-plan.ts';
import { parametersOf, trainedGraph, trainingStages } from './training-stages.ts';

/**
 * Compiles a graph for training: cuts it at attention nodes and layer boundaries, differentiates every segment, and lays out the
 * buffers of a step. Segments run in chunks of rows, forward and backward, so their wide values never exist at full length
 * (but for checkpoint 'none'). Throws ArgumentError for an operator without a gradient and for values that mix rows outside
 * attention, and DeviceError where the backend refuses a segment.
 */
export async function compileTraining(
  whole: Graph,
  backend: DenseBackend,
  options: CompileTrainingOptions = {},
): Promise<TrainingProgram> {
  const graph = trainedGraph(whole);
  const { checkpoint = 'layer', inputs = [], outputs = graph.outputs.map((value) => value.name), signal } = options;
  if (typeof checkpoint === 'number' && !(Number.isInteger(checkpoint) && checkpoint > 0)) {
    throw new ArgumentError(`checkpoint must be 'none', 'attention', 'layer' or a positive integer, got ${checkpoint}`);
  }
  const { precision = 'f32' } = options;
  if (precision !== 'f32' && precision !== 'f16' && precision !== 'bf16') {
    throw new ArgumentError(`precision must be 'f32', 'f16' or 'bf16', got ${precision}`);
  }
  const parameters = parametersOf(graph);
  for (const { name, shape } of parameters) {
    if (shape.some((d) => typeof d === 'string')) {
      throw new ArgumentError(`parameter ${name} must have a known shape, it is ${describeShape(shape)}`);
    }
  }
  const { stages, seeds } = await trainingStages(graph, {
    checkpoint,
    outputs,
    inputs,
    isFused: options.lateGradients !== true,
  });
  const pool = new SessionPool(backend);
  try {
    const compiled: CompiledStage[] = [];
    for (const stage of stages) {
      signal?.throwIfAborted();
      const compile = (segment: Graph) => pool.compile(segment, { signal });
      if (stage.kind === 'attention') compiled.push({ stage, forward: undefined, backward: undefined });
      else {
        const forward = await compile(stage.forward);
        compiled.push({ stage, forward, backward: stage.backward && (await compile(stage.backward)) });
      }
      options.onProgress?.(compiled.length, stages.length);
    }
    const layout = { graph, stages: compiled, parameters, checkpoint, inputs, seeds };
    return new CompiledTraining(graph, parameters, pool, planForward(layout), planStep(layout), options);
  } catch (error) {
    await pool.release();
    throw error;
  }
}

/** Rows of gradients that are added at a time. */
const ADDED_ROWS = 1024;

class CompiledTraining implements TrainingProgram {
  readonly parameters: readonly Value[];
  readonly #graph: Graph;
  readonly #pool: SessionPool;
  readonly #forward: Layout;
  readonly #step: Layout;
  readonly #precision: NumberType;
  readonly #convert: Convert;
  readonly #lateGradients: boolean;
  readonly #weights: (HostTensor | undefined)[];
  #scratch = new Float32Array(0);
  /** The tensors of parameters' gradients of a segment, in the scratch memory. */
  readonly #partial = new Map<Operation, readonly HostTensor[]>();
  #state: 'idle' | 'running' | 'released' = 'idle';

  constructor(
    graph: Graph,
    parameters: readonly Value[],
    pool: SessionPool,
    forward: Plan,
    step: Plan,
    options: CompileTrainingOptions,
  ) {
    this.#graph = graph;
    this.parameters = parameters;
    this.#pool = pool;
    this.#precision = options.precision ?? 'f32';
    this.#convert = options.convert ?? convertPlainly;
    this.#forward = new Layout(forward, options, this.#precision);
    this.#step = new Layout(step, options, this.#precision);
    this.#lateGradients = options.lateGradients === true;
    this.#weights = parameters.map(() => undefined);
  }

  get bytesPerRow(): number {
    return this.#step.bytesPerRow;
  }

  get sessions(): number {
    return this.#pool.size;
  }

  async forward(options: PassOptions): Promise<ProgramOutputs> {
    return this.#exclusively(async () => {
      this.#step.release();
      const rows = this.#bind(this.#forward, options);
      for (const operation of this.#forward.plan.operations)
        await this.#run(this.#forward, operation, rows, options, []);
      return tensorsOf(this.#forward.plan.outputs, rows);
    });
  }

  async step(options: StepPassOptions) {
    return this.#exclusively(async () => {
      this.#forward.release();
      const { gradients, outputGradients } = options;
      for (const [i, { name, shape }] of this.parameters.entries())
        checkData(`gradients[${i}]`, name, shape, gradients[i]);
      const rows = this.#bind(this.#step, options);
      const { plan } = this.#step;
      const isLate = typeof outputGradients === 'function';
      if (isLate && !this.#lateGradients) {
        throw new ArgumentError('outputGradients is a function; compile the program with lateGradients');
      }
      if (!isLate) bindGradients(plan, outputGradients, rows);
      let { onNonFinite } = options;
      const names = onNonFinite && attentionNames(plan.operations);
      for (const [index, operation] of plan.operations.entries()) {
        if (index === plan.backwardStart && isLate) {
          bindGradients(plan, outputGradients(tensorsOf(plan.outputs, rows)), rows);
        }
        await this.#run(this.#step, operation, rows, options, gradients);
        if (onNonFinite === undefined || names === undefined) continue;
        const { halves } = this.#step;
        const places = { rows, halves, precision: this.#precision, parameters: this.parameters, gradients };
        const found = nonFiniteOf(operation, names, places);
        if (found === undefined) continue;
        onNonFinite(found);
        onNonFinite = undefined;
      }
      return { outputs: tensorsOf(plan.outputs, rows), inputGradients: tensorsOf(plan.inputGradients, rows) };
    });
  }

  async release(): Promise<void> {
    if (this.#state === 'running') throw new DeviceError(`program ${this.#graph.name}: release() during a run`);
    this.#state = 'released';
    this.#forward.release();
    this.#step.release();
    await this.#pool.release();
  }

  async #exclusively<T>(work: () => Promise<T>): Promise<T> {
    if (this.#state !== 'idle') {
      throw new DeviceError(
        this.#state === 'running'
          ? `program ${this.#graph.name}: a run is under way; wait for it`
          : `program ${this.#graph.name}: run after release()`,
      );
    }
    this.#state = 'running';
    try {
      return await work();
    } finally {
      this.#state = 'idle';
    }
  }

  /** Checks what is fed and binds it; gives the number of rows. */
  #bind(layout: Layout, { feeds, parameters }: PassOptions): number {
    const rowInputs = this.#graph.inputs.filter((value) => layout.plan.feeds.has(value.name));
    const rows = checkFeeds({ ...this.#graph, inputs: rowInputs }, feeds);
    for (const [i, { name, shape }] of this.parameters.entries()) {
      const data = checkData(`parameters[${i}]`, name, shape, parameters[i]);
      if (this.#weights[i]?.data !== data) this.#weights[i] = { type: 'float32', data, shape: shape as number[] };
    }
    layout.bind(rows);
    for (const [name, edge] of layout.plan.feeds) edge.bindTensor(feeds[name] as HostTensor);
    return rows;
  }

  async #run(
    layout: Layout,
    operation: Operation,
    rows: number,
    { attention, signal }: PassOptions,
    gradients: readonly Float32Array[],
  ): Promise<void> {
    signal?.throwIfAborted();
    if (operation.kind === 'dense') return this.#runDense(layout, operation, rows, gradients, signal);
    const { node } = operation;
    const all = (edge: Edge) => storedOf(edge.rows(0, rows));
    const floats = (edge: Edge) => floatsOf(edge.rows(0, rows));
    const number = operation.rows.sinkLogits;
    const sinkLogits = number === undefined ? undefined : floatsOf(this.#weights[number]?.data);
    const shared = {
      rows,
      type: this.#precision,
      q: all(operation.rows.q),
      k: all(operation.rows.k),
      v: all(operation.rows.v),
      output: all(operation.rows.output),
      ...(operation.rows.lse === undefined ? {} : { lse: floats(operation.rows.lse) }),
      ...(sinkLogits === undefined ? {} : { sinkLogits }),
    };
    if (operation.kind === 'attention') {
      const state = await attention.forward(node, shared, signal);
      if (operation.state !== undefined) operation.state.value = state;
      return;
    }
    const [gradQ, gradK, gradV] = operation.gradients.map(({ into }) => all(into)) as [
      StoredRows,
      StoredRows,
      StoredRows,
    ];
    const gradSinkLogits = sinkLogits && new Float32Array(sinkLogits.length);
    await attention.backward(
      node,
      {
        ...shared,
        gradOutput: all(operation.gradOutput),
        ...(operation.gradLse === undefined ? {} : { gradLse: floats(operation.gradLse) }),
        gradQ,
        gradK,
        gradV,
        ...(gradSinkLogits === undefined ? {} : { gradSinkLogits }),
      },
      operation.state.value,
      signal,
    );
    operation.state.value = undefined;
    for (const { into, part } of operation.gradients) {
      if (part !== undefined) await this.#addRows(layout, into, part, rows);
    }
    const own = number === undefined ? undefined : gradients[number];
    if (own !== undefined && gradSinkLogits !== undefined) addTo(own, gradSinkLogits);
  }

  /** Chunks of rows one after the other; what they say of a parameter's gradient is added in this order. */
  async #runDense(
    layout: Layout,
    operation: Operation & { readonly kind: 'dense' },
    rows: number,
    gradients: readonly Float32Array[],
    signal: AbortSignal | undefined,
  ): Promise<void> {
    const { session, sources, targets, rowChunk } = operation;
    const partial = this.#partialGradients(operation);
    const { reads, writes } = edgesOf(operation);
    const isHalf = (edge: Edge) => layout.halves.has(edge);
    const [read, written] = [[...new Set(reads)].filter(isHalf), [...new Set(writes)].filter(isHalf)];
    const halves = [...new Set([...read, ...written])];
    const chunks = Math.max(1, Math.ceil(rows / rowChunk));
    const each = Math.ceil(rows / chunks);
    for (let from = 0; from < rows; from += each) {
      signal?.throwIfAborted();
      const to = Math.min(from + each, rows);
      const staged = layout.staging.tensors(halves, to - from);
      const place = new Map(halves.map((edge, i) => [edge, staged[i] as HostTensor]));
      const floats = (edge: Edge) => place.get(edge) ?? edge.tensor(from, to);
      for (const edge of read) await this.#widen(edge, from, to, floatsOf(floats(edge).data));
      const feeds = sources.map((source) =>
        'edge' in source ? floats(source.edge) : (this.#weights[source.parameter] as HostTensor),
      );
      let next = 0;
      const fetches = targets.map((target) => {
        if (target === undefined) return undefined;
        return 'edge' in target ? floats(target.edge) : partial[next++];
      });
      await session.run(to - from, feeds, fetches);
      for (const edge of written) await this.#narrow(edge, from, to, floatsOf(floats(edge).data));
      next = 0;
      for (const target of targets) {
        if (target === undefined || 'edge' in target) continue;
        const own = gradients[target.gradientOf];
        const part = partial[next++];
        if (own !== undefined && part !== undefined) addTo(own, floatsOf(part.data));
      }
    }
  }

  /** into += part, rows that may be stored in 16 bits. */
  async #addRows(layout: Layout, into: Edge, part: Edge, rows: number): Promise<void> {
    for (let from = 0; from < rows; from += ADDED_ROWS) {
      const to = Math.min(from + ADDED_ROWS, rows);
      const staged = layout.staging.tensors([into, part], to - from);
      const [sum, term] = await Promise.all(
        [into, part].map(async (edge, i) => {
          if (!layout.halves.has(edge)) return floatsOf(edge.rows(from, to));
          const floats = floatsOf(staged[i]?.data);
          await this.#widen(edge, from, to, floats);
          return floats;
        }),
      );
      addTo(floatsOf(sum), floatsOf(term));
      if (layout.halves.has(into)) await this.#narrow(into, from, to, floatsOf(sum));
    }
  }

  #widen(edge: Edge, from: number, to: number, floats: Float32Array): Promise<void> {
    const stored = { data: storedOf(edge.rows(from, to)), type: this.#precision };
    return this.#convert(stored, { data: floats }, edge.width ?? 0);
  }

  #narrow(edge: Edge, from: number, to: number, floats: Float32Array): Promise<void> {
    const stored = { data: storedOf(edge.rows(from, to)), type: this.#precision };
    return this.#convert({ data: floats }, stored, edge.width ?? 0);
  }

  #partialGradients(operation: Operation & { readonly kind: 'dense' }): readonly HostTensor[] {
    const known = this.#partial.get(operation);
    if (known !== undefined) return known;
    const sizes = operation.gradientValues.map(({ shape }) => sizeOf(shape));
    const total = sizes.reduce((sum, size) => sum + size, 0);
    if (this.#scratch.length < total) {
      this.#scratch = new Float32Array(total);
      this.#partial.clear();
    }
    let offset = 0;
    const tensors = operation.gradientValues.map(({ shape }, i): HostTensor => {
      const size = sizes[i] as number;
      const data = this.#scratch.subarray(offset, offset + size);
      offset += size;
      return { type: 'float32', data, shape: shape as number[] };
    });
    this.#partial.set(operation, tensors);
    return tensors;
  }
}

function bindGradients(plan: Plan, given: Readonly<Record<string, HostTensor>>, rows: number): void {
  for (const [name, edge] of plan.outputGradients) {
    const wanted = edge.value.shape.map((d) => (d === ROWS ? rows : d));
    const tensor = given[name];
    if (tensor?.type !== 'float32' || tensor.shape.join() !== wanted.join()) {
      throw new ArgumentError(`outputGradients.${name} must be float32 ${describeShape(wanted)}`);
    }
    edge.bindTensor(tensor);
  }
}

function tensorsOf(edges: ReadonlyMap<string, Edge>, rows: number): Record<string, HostTensor> {
  return Object.fromEntries([...edges].map(([name, edge]) => [name, edge.tensor(0, rows)]));
}

function addTo(sum: Float32Array, part: Float32Array): void {
  for (let i = 0; i < sum.length; i++) sum[i] += part[i] as number;
}

function floatsOf(data: TensorData | undefined): Float32Array {
  if (!(data instanceof Float32Array)) throw new ArgumentError('a value of attention must be float32');
  return data;
}

function storedOf(data: TensorData): StoredRows {
  return data instanceof Uint16Array ? data : floatsOf(data);
}

function sizeOf(shape: Value['shape']): number {
  return shape.reduce<number>((product, d) => product * (typeof d === 'number' ? d : 1), 1);
}

function checkData(
  argument: string,
  name: string,
  shape: Value['shape'],
  data: Float32Array | undefined,
): Float32Array {
  if (data?.length !== sizeOf(shape)) {
    throw new ArgumentError(
      `${argument} (${name}) must have ${counted(sizeOf(shape), 'number')}, ${describeShape(shape)}; it has ${data?.length ?? 'none'}`,
    );
  }
  return data;
}
