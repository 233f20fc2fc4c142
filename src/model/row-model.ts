/** A model whose rows are tokens, as something to train: looks tokens up, runs the graph, and weighs the losses. */
import { defaultDevice, type WasmDevice } from '../attention/index.ts';
import { ArgumentError } from '../errors.ts';
import {
  type Checkpoint,
  compileTraining,
  createNodeBackend,
  type DenseBackend,
  type Graph,
  type HostTensor,
  PackedAttention,
  type TrainingProgram,
} from '../graph/index.ts';
import { checkBatch } from './batch.ts';
import type { Parameter, StepOptions, StepResult, Trainable, TrainingBatch } from './trainable.ts';

export interface RowModelParts {
  /**
   * Inputs `hidden` [rows, hidden]; `cos` and `sin` [rows, D/2] where there are frequencies; `targets` [rows, 1] (int64); the parameters that it
   * reads. Output `losses` [rows, 1].
   */
  readonly graph: Graph;
  readonly parameters: readonly Parameter[];
  readonly vocabularySize: number;
  /** Most positions. */
  readonly context: number;
  /** Tables [.., hidden] among the parameters, whose rows add up to `hidden`. */
  readonly lookups: readonly { readonly table: string; readonly by: 'inputs' | 'positions' }[];
  /** Of the rotary angles [D/2]. */
  readonly frequencies?: Float64Array;
}

export interface RowModelOptions {
  /** What is kept of the forward pass for the backward pass: see compileTraining(). Default 'layer'. */
  readonly checkpoint?: Checkpoint;
  /** Default: the device that attention() shares. */
  readonly device?: WasmDevice;
  /** Default: ONNX Runtime in Node. */
  readonly backend?: DenseBackend;
  readonly onProgress?: (done: number, total: number) => void;
  readonly signal?: AbortSignal;
}

type Floats = Extract<HostTensor, { type: 'float32' }>;

/** Looked-up rows, the graph, and its losses. Ends with dispose(). */
export class RowModel implements Trainable, AsyncDisposable {
  readonly parameters: readonly Parameter[];
  readonly #parts: RowModelParts;
  readonly #program: TrainingProgram;
  readonly #attention: PackedAttention;
  /** For each parameter of the program its number here. */
  readonly #numbers: readonly number[];

  private constructor(parts: RowModelParts, program: TrainingProgram, attention: PackedAttention) {
    this.parameters = parts.parameters;
    this.#parts = parts;
    this.#program = program;
    this.#attention = attention;
    this.#numbers = program.parameters.map(({ name }) => this.#numberOf(name));
  }

  /** @throws ArgumentError where the parts do not fit each other; DeviceError where a backend refuses the graph. */
  static async create(parts: RowModelParts, options: RowModelOptions = {}): Promise<RowModel> {
    const device = options.device ?? (await defaultDevice());
    const backend = options.backend ?? (await createNodeBackend());
    const program = await compileTraining(parts.graph, backend, {
      checkpoint: options.checkpoint,
      inputs: ['hidden'],
      onProgress: options.onProgress,
      signal: options.signal,
      // In the kernels' memory, so that what attention reads and writes goes from one to the other without a copy.
      ...(backend.acceptsSharedMemory
        ? {
            allocate: (floats: number) => device.allocate(floats),
            free: (buffer: Float32Array) => device.release(buffer),
          }
        : {}),
    });
    return new RowModel(parts, program, new PackedAttention(device));
  }

  /** Floats that a step keeps for each row. */
  get floatsPerRow(): number {
    return this.#program.floatsPerRow;
  }

  async step(batch: TrainingBatch, gradients: readonly Float32Array[], options: StepOptions = {}): Promise<StepResult> {
    const { lossScale = 1, signal } = options;
    const { feeds, positions, total } = this.#feed(batch);
    const rows = batch.inputs.length;
    const upstream = Float32Array.from(batch.weights, (weight) => (weight / total) * lossScale);
    const { outputs, inputGradients } = await this.#program.step({
      feeds,
      parameters: this.#weights(),
      attention: this.#attention,
      outputGradients: { losses: { type: 'float32', data: upstream, shape: [rows, 1] } },
      gradients: this.#numbers.map((number) => gradients[number] as Float32Array),
      ...(signal === undefined ? {} : { signal }),
    });
    const hidden = floats(inputGradients.hidden);
    for (const { table, by } of this.#parts.lookups) {
      const ids = by === 'inputs' ? batch.inputs : positions;
      addRows(gradients[this.#numberOf(table)] as Float32Array, ids, hidden.data);
    }
    return { loss: weightedMean(floats(outputs.losses).data, batch.weights, total), tokens: rows };
  }

  async evaluate(batch: TrainingBatch, options: { readonly signal?: AbortSignal } = {}): Promise<StepResult> {
    const { feeds, total } = this.#feed(batch);
    const outputs = await this.#program.forward({
      feeds,
      parameters: this.#weights(),
      attention: this.#attention,
      ...(options.signal === undefined ? {} : { signal: options.signal }),
    });
    return { loss: weightedMean(floats(outputs.losses).data, batch.weights, total), tokens: batch.inputs.length };
  }

  async dispose(): Promise<void> {
    await this.#program.release();
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.dispose();
  }

  #weights(): Float32Array[] {
    return this.#numbers.map((number) => (this.parameters[number] as Parameter).data);
  }

  #numberOf(name: string): number {
    const number = this.parameters.findIndex((parameter) => parameter.name === name);
    if (number < 0) throw new ArgumentError(`the model's parameters have no ${name}, which its graph reads`);
    return number;
  }

  #feed(batch: TrainingBatch): { feeds: Record<string, HostTensor>; positions: Int32Array; total: number } {
    const { vocabularySize, context, lookups, frequencies } = this.#parts;
    const { positions, total } = checkBatch(batch, { vocabularySize, context });
    const rows = batch.inputs.length;
    this.#attention.pack(batch.starts, rows);
    const targets = BigInt64Array.from(batch.targets, (id, row) => (batch.weights[row] === 0 ? 0n : BigInt(id)));
    const tables = lookups.map(({ table, by }) => ({
      table: this.parameters[this.#numberOf(table)] as Parameter,
      ids: by === 'inputs' ? batch.inputs : positions,
    }));
    const feeds: Record<string, HostTensor> = {
      hidden: lookUp(tables, rows),
      targets: { type: 'int64', data: targets, shape: [rows, 1] },
    };
    if (frequencies !== undefined) Object.assign(feeds, angles(frequencies, positions));
    return { feeds, positions, total };
  }
}

/** The sum of the tables' rows. */
function lookUp(tables: readonly { table: Parameter; ids: Int32Array }[], rows: number): Floats {
  const width = tables[0]?.table.shape[1] ?? 0;
  const data = new Float32Array(rows * width);
  for (const { table, ids } of tables) {
    for (let row = 0; row < rows; row++) {
      const from = (ids[row] as number) * width;
      for (let i = 0; i < width; i++) data[row * width + i] += table.data[from + i] as number;
    }
  }
  return { type: 'float32', data, shape: [rows, width] };
}

/** Adds each row to the table's row of its id, in the order of the rows. */
function addRows(table: Float32Array, ids: Int32Array, rows: Float32Array): void {
  const width = rows.length / ids.length;
  for (const [row, id] of ids.entries()) {
    for (let i = 0; i < width; i++) table[id * width + i] += rows[row * width + i] as number;
  }
}

function angles(frequencies: Float64Array, positions: Int32Array): { cos: Floats; sin: Floats } {
  const half = frequencies.length;
  const [cos, sin] = [new Float32Array(positions.length * half), new Float32Array(positions.length * half)];
  for (const [row, position] of positions.entries()) {
    for (let i = 0; i < half; i++) {
      const angle = position * (frequencies[i] as number);
      cos[row * half + i] = Math.cos(angle);
      sin[row * half + i] = Math.sin(angle);
    }
  }
  const shape = [positions.length, half];
  return { cos: { type: 'float32', data: cos, shape }, sin: { type: 'float32', data: sin, shape } };
}

function weightedMean(losses: Float32Array, weights: Float32Array, total: number): number {
  let sum = 0;
  // Where a weight is 0 the target is not the caller's.
  for (const [row, weight] of weights.entries()) if (weight !== 0) sum += weight * (losses[row] as number);
  return sum / total;
}

function floats(tensor: HostTensor | undefined): Floats {
  if (tensor?.type !== 'float32') throw new ArgumentError('the graph must have the output losses');
  return tensor;
}
