/** A model that computes rows, as something to train: makes rows of a batch, runs the graph, and pools and weighs its outputs. */
import { defaultDevice, type NumberType, type WasmDevice } from '../attention/index.ts';
import { ArgumentError } from '../errors.ts';
import {
  type Checkpoint,
  compileTraining,
  createNodeBackend,
  type DenseBackend,
  type Graph,
  type HostTensor,
  PackedAttention,
  type ProgramOutputs,
  type StoredRows,
  type TrainingProgram,
} from '../graph/index.ts';
import { checkBatch } from './batch.ts';
import { matchRows } from './latest-matches.ts';
import { checkLabels, classLoss, floatsOf, type RowHead, tokenGradients, tokenLoss } from './row-heads.ts';
import { addRows, angles, lookUp, type PatchGrid, patchesOf } from './row-inputs.ts';
import type { Parameter, StepOptions, StepResult, Trainable, TrainingBatch } from './trainable.ts';

export interface RowModelParts {
  /**
   * Inputs `hidden` [rows, hidden]; `cos` and `sin` [rows, D/2] where there are frequencies; `pixels` [rows, numbers] where the input is
   * patches; the parameters that it reads. For tokens `targets` [rows, 1] (int64) too and the output `losses` [rows, 1]; for
   * classes the output `logits` [rows, classes].
   */
  readonly graph: Graph;
  readonly parameters: readonly Parameter[];
  /** Tables of lookups that do not train. Default none. */
  readonly frozen?: readonly Parameter[];
  /** What the rows of the graph are: the batch's tokens, or patches of images whose pixels those are. */
  readonly input:
    | { readonly kind: 'tokens'; readonly vocabularySize: number; readonly context: number }
    | { readonly kind: 'patches'; readonly grid: PatchGrid };
  /** Tables [.., hidden] among the parameters and the frozen tables, whose rows add up to `hidden`. */
  readonly lookups: readonly Lookup[];
  /** Of the rotary angles [D/2]. */
  readonly frequencies?: Float64Array | undefined;
  readonly head: RowHead;
}

/** Which rows of a table a row of the graph gets: its token's, its position's, or those of matchRows(). */
export type Lookup = { readonly table: string } & (
  | { readonly by: 'inputs' | 'positions' }
  | { readonly by: 'matches'; readonly sizes: readonly number[] }
);

export interface RowModelOptions {
  /** What is kept of the forward pass for the backward pass: see compileTraining(). Default 'layer'. */
  readonly checkpoint?: Checkpoint;
  /**
   * How the rows are stored that a step keeps: see compileTraining(). Weights, their gradients and all sums are float32. With 'f16' small
   * gradients are lost without a loss scale. Default 'f32'.
   */
  readonly precision?: NumberType;
  /** Default: the device that attention() shares. */
  readonly device?: WasmDevice;
  /** Default: ONNX Runtime in Node. */
  readonly backend?: DenseBackend;
  readonly onProgress?: (done: number, total: number) => void;
  readonly signal?: AbortSignal;
}

/** A batch as the graph takes it. */
interface Feed {
  readonly feeds: Record<string, HostTensor>;
  readonly rows: number;
  /** First row of each sequence. */
  readonly starts: Int32Array;
  /** Of each lookup the rows of its table. */
  readonly lookedUp: readonly Int32Array[];
  /** Of the weights. */
  readonly total: number;
  readonly labels: Int32Array;
}

/** Rows of a batch, the graph, and its loss. Ends with dispose(). */
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
    const backend = options.backend ?? (await createNodeBackend({ memoryArena: true }));
    const program = await compileTraining(parts.graph, backend, {
      checkpoint: options.checkpoint,
      inputs: parts.lookups.every(({ table }) => isFrozen(parts, table)) ? [] : ['hidden'],
      precision: options.precision,
      convert: (from, to, width) => device.convert(from, to, width),
      lateGradients: parts.head.kind === 'classes',
      onProgress: options.onProgress,
      signal: options.signal,
      // In the kernels' memory, so that what attention reads and writes goes from one to the other without a copy.
      ...(backend.acceptsSharedMemory
        ? {
            allocate: (count: number, type: NumberType) => device.allocate(count, type),
            free: (buffer: StoredRows) => device.release(buffer),
          }
        : {}),
    });
    return new RowModel(parts, program, new PackedAttention(device));
  }

  /** Bytes that a step keeps for each row. */
  get bytesPerRow(): number {
    return this.#program.bytesPerRow;
  }

  async step(batch: TrainingBatch, gradients: readonly Float32Array[], options: StepOptions = {}): Promise<StepResult> {
    const { lossScale = 1, onNonFinite, signal } = options;
    const { head, lookups } = this.#parts;
    const feed = this.#feed(batch);
    const { outputs, inputGradients } = await this.#program.step({
      feeds: feed.feeds,
      parameters: this.#weights(),
      attention: this.#attention,
      outputGradients:
        head.kind === 'tokens'
          ? tokenGradients(batch.weights, feed.total, lossScale)
          : (made) => classLoss(made, feed, feed.labels, head, lossScale).gradients,
      gradients: this.#numbers.map((number) => gradients[number] as Float32Array),
      ...(onNonFinite === undefined
        ? {}
        : { onNonFinite: ({ tensor, row }) => onNonFinite(row === undefined ? tensor : `${tensor}, row ${row}`) }),
      ...(signal === undefined ? {} : { signal }),
    });
    for (const [i, { table }] of lookups.entries()) {
      if (isFrozen(this.#parts, table)) continue;
      const number = this.#numberOf(table);
      const width = (this.parameters[number] as Parameter).shape[1] as number;
      const rows = floatsOf(inputGradients, 'hidden').data;
      addRows(gradients[number] as Float32Array, feed.lookedUp[i] as Int32Array, rows, width);
    }
    return this.#result(batch, feed, outputs);
  }

  async evaluate(batch: TrainingBatch, options: { readonly signal?: AbortSignal } = {}): Promise<StepResult> {
    const feed = this.#feed(batch);
    const outputs = await this.#program.forward({
      feeds: feed.feeds,
      parameters: this.#weights(),
      attention: this.#attention,
      ...(options.signal === undefined ? {} : { signal: options.signal }),
    });
    return this.#result(batch, feed, outputs);
  }

  async dispose(): Promise<void> {
    await this.#program.release();
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.dispose();
  }

  #result(batch: TrainingBatch, feed: Feed, outputs: ProgramOutputs): StepResult {
    const { head } = this.#parts;
    const tokens = batch.inputs.length;
    if (head.kind === 'tokens') return { loss: tokenLoss(outputs, batch.weights, feed.total), tokens };
    return { ...classLoss(outputs, feed, feed.labels, head).result, tokens };
  }

  #weights(): Float32Array[] {
    return this.#numbers.map((number) => (this.parameters[number] as Parameter).data);
  }

  #numberOf(name: string): number {
    const number = this.parameters.findIndex((parameter) => parameter.name === name);
    if (number < 0) throw new ArgumentError(`the model's parameters have no ${name}, which its graph reads`);
    return number;
  }

  #feed(batch: TrainingBatch): Feed {
    const { input, lookups, frequencies, head } = this.#parts;
    const labels = head.kind === 'classes' ? checkLabels(batch, head.classes) : new Int32Array();
    const patches = input.kind === 'patches' ? patchesOf(batch, input.grid) : undefined;
    const limits = input.kind === 'tokens' ? input : undefined;
    const shape = { rows: patches?.shape[0] ?? batch.inputs.length, sequences: batch.starts.length };
    const { positions, total, starts } = checkBatch(batch, { ...shape, limits, needsTargets: head.kind === 'tokens' });
    this.#attention.pack(starts, shape.rows);
    const feeds: Record<string, HostTensor> = {};
    const lookedUp = lookups.map((lookup) => {
      if (lookup.by !== 'matches') return lookup.by === 'inputs' ? batch.inputs : positions;
      return matchRows(batch.inputs, starts, lookup.sizes, limits?.vocabularySize ?? 0);
    });
    if (lookups.length > 0) {
      const tables = lookups.map(({ table }, i) => ({
        table:
          this.#parts.frozen?.find(({ name }) => name === table) ??
          (this.parameters[this.#numberOf(table)] as Parameter),
        ids: lookedUp[i] as Int32Array,
      }));
      feeds.hidden = lookUp(tables, shape.rows);
    }
    if (patches !== undefined) feeds.pixels = patches;
    if (head.kind === 'tokens') {
      const data = BigInt64Array.from(batch.targets, (id, row) => (batch.weights[row] === 0 ? 0n : BigInt(id)));
      feeds.targets = { type: 'int64', data, shape: [shape.rows, 1] };
    }
    if (frequencies !== undefined) Object.assign(feeds, angles(frequencies, positions));
    return { feeds, rows: shape.rows, starts, lookedUp, total, labels };
  }
}

function isFrozen({ frozen = [] }: RowModelParts, table: string): boolean {
  return frozen.some(({ name }) => name === table);
}
