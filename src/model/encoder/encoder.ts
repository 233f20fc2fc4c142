/** An encoder that is ready to run. */
import type { WasmDevice } from '../../attention/index.ts';
import { counted } from '../../counted.ts';
import { ArgumentError, DeviceError } from '../../errors.ts';
import { type DenseBackend, type Program, type ProgramOutputs, ROWS } from '../../graph/index.ts';
import type { Tokenizer } from '../../text/index.ts';
import { ApartBuilder, type GlobalRowsOf } from './apart-builder.ts';
import type { EncoderModel, EncoderSequence, PackedBatch, Task } from './architecture.ts';
import { packedAttention } from './attend.ts';
import { EncoderBuilder } from './builder.ts';
import { compileRows } from './compile-rows.ts';
import { HeadRunner, means, type Rows } from './head-runner.ts';
import type { PairsOf, RandomBlockTables } from './layout.ts';
import { checkSequences, type EncoderInput, groupsOf, packSequences } from './sequences.ts';
import type { TableRows } from './table-rows.ts';
import type { EncoderTensors } from './tensors.ts';

export interface EncoderRunOptions extends EncoderInput {
  /** Which outputs to compute. Default: 'hidden', and 'pooled' and 'head' where the model has them. */
  readonly outputs?: readonly ('hidden' | 'mean' | 'first' | 'pooled' | 'head')[];
  /** Places of each sequence at which a head of every token computes, e.g. those of a mask. Default: every place. */
  readonly headPlaces?: readonly (readonly number[])[];
  /** BigBird's random key blocks by layer, for every sequence of the batch. Default: those of the published implementation. */
  readonly randomBlocks?: readonly RandomBlockTables[];
  /** Sequences go through the layers together up to this many rows; a longer one goes alone. Default 16,384. */
  readonly rowsTogether?: number;
  /** After each layer: layers done of all that the batch needs. */
  readonly onProgress?: (done: number, total: number) => void;
  /** Stops between layers; the promise rejects with the signal's reason. */
  readonly signal?: AbortSignal;
}

/** Numbers with a shape, row-major. */
export interface Matrix {
  readonly data: Float32Array;
  readonly shape: readonly number[];
}

/** What the encoder says of one sequence of L tokens. Rows of masked tokens behind the last that counts are 0. */
export interface EncoderOutput {
  /** The last hidden state [L, hidden]. */
  readonly hidden?: Matrix;
  /** The mean of the last hidden state's rows of tokens that are not masked [hidden]. */
  readonly mean?: Float32Array;
  /** The last hidden state's first row [hidden]. */
  readonly first?: Float32Array;
  /** What a pooler makes of the first token [hidden]. */
  readonly pooled?: Float32Array;
  /** [L, vocabulary] or [L, classes], or [places, ...] where places were given; of a sequence classifier [classes]. */
  readonly logits?: Matrix;
  /** [L] */
  readonly startLogits?: Float32Array;
  /** [L] */
  readonly endLogits?: Float32Array;
}

export interface EncoderParts {
  readonly model: EncoderModel;
  readonly task: Task;
  /** config.json, parsed. */
  readonly config: Readonly<Record<string, unknown>>;
  readonly tensors: EncoderTensors;
  readonly tokenizer?: Tokenizer | undefined;
  readonly device: WasmDevice;
  readonly backend: DenseBackend;
  /** Default 'kept': see LoadEncoderOptions. */
  readonly weights?: 'kept' | 'streamed' | undefined;
  /** Frees what the opener made beside these. */
  readonly close: () => Promise<void>;
  readonly onProgress?: (done: number, total: number) => void;
  readonly signal?: AbortSignal;
}

/** Layers and heads. Runs take turns. Ends with dispose(). */
export class Encoder implements AsyncDisposable {
  readonly hiddenSize: number;
  readonly vocabularySize: number;
  /** Which head there is. */
  readonly task: Task;
  /** config.json, parsed: names of labels and the like. */
  readonly config: Readonly<Record<string, unknown>>;
  /** Tokens of the longest sequence; Infinity where positions have no end. */
  readonly maxTokens: number;
  /** Kinds of tokens (segments) that there are. */
  readonly tokenKinds: number;
  /** Whether tokens can have global attention. */
  readonly hasGlobals: boolean;
  /** Of the folder that the encoder was loaded from, where there is one. */
  readonly tokenizer: Tokenizer | undefined;
  readonly #parts: EncoderParts;
  readonly #program: Program;
  readonly #pairs: ReadonlyMap<string, PairsOf>;
  readonly #globalRows: ReadonlyMap<string, GlobalRowsOf>;
  readonly #tables: ReadonlyMap<string, TableRows>;
  readonly #heads: ReadonlyMap<string, HeadRunner>;
  #turn: Promise<unknown> = Promise.resolve();
  #disposed = false;

  private constructor(
    parts: EncoderParts,
    program: Program,
    { pairs, globalRows, tables }: ApartBuilder,
    heads: ReadonlyMap<string, HeadRunner>,
  ) {
    this.hiddenSize = parts.model.hiddenSize;
    this.vocabularySize = parts.model.vocabularySize;
    this.task = parts.task;
    this.config = parts.config;
    this.maxTokens = parts.model.maxTokens ?? Infinity;
    this.tokenKinds = parts.model.tokenKinds;
    this.hasGlobals = parts.model.hasGlobals;
    this.tokenizer = parts.tokenizer;
    this.#parts = parts;
    this.#program = program;
    this.#pairs = pairs;
    this.#globalRows = globalRows;
    this.#tables = tables;
    this.#heads = heads;
  }

  /** Checks the tensors and loads those of the layers. @throws CheckpointError for tensors that are not those of the configuration. */
  static async create(parts: EncoderParts): Promise<Encoder> {
    const { model, tensors, device, backend, weights, onProgress, signal } = parts;
    const body = new ApartBuilder('encoder', tensors, weights === 'streamed');
    body.graph.output(model.layers(body), 'last_hidden');
    const heads = new Map<string, HeadRunner>();
    for (const [name, head] of Object.entries(model.heads)) {
      const builder = new EncoderBuilder(name, tensors);
      const hidden = builder.graph.input('hidden', 'float32', [ROWS, model.hiddenSize]);
      for (const [output, value] of Object.entries(head.build(builder, hidden))) builder.graph.output(value, output);
      heads.set(name, new HeadRunner(head.rows, builder.graph.build(), backend));
    }
    tensors.check();
    const program = await compileRows(body, {
      device,
      backend,
      weights,
      // Global rows are written into what the others have attended.
      overwrites: ({ name }) => (body.globalRows.has(name) ? 'v' : undefined),
      onProgress,
      signal,
    });
    return new Encoder(parts, program, body, heads);
  }

  /**
   * Reads a batch of sequences, packed without padding.
   * @throws ArgumentError for ids, masks or lengths that the model does not have; DeviceError after dispose().
   */
  async run(options: EncoderRunOptions): Promise<EncoderOutput[]> {
    const { model } = this.#parts;
    const sequences = checkSequences(options, model);
    const places = options.headPlaces;
    if (places !== undefined && places.length !== sequences.length) {
      throw new ArgumentError(
        `headPlaces has ${counted(places.length, 'list')}; the batch has ${counted(sequences.length, 'sequence')}`,
      );
    }
    const result = this.#turn.then(async () => {
      if (this.#disposed) throw new DeviceError('run: the encoder was disposed');
      const groups = groupsOf(sequences, options.rowsTogether);
      const outputs: EncoderOutput[] = [];
      for (const [i, group] of groups.entries()) {
        const own = places?.slice(outputs.length, outputs.length + group.length);
        outputs.push(...(await this.#runGroup(group, own, options, i, groups.length)));
      }
      return outputs;
    });
    this.#turn = result.catch(() => undefined);
    return result;
  }

  async dispose(): Promise<void> {
    if (this.#disposed) return;
    this.#disposed = true;
    await this.#turn;
    await this.#program.release();
    for (const head of this.#heads.values()) await head.release();
    for (const { rows } of this.#globalRows.values()) await rows.release();
    await this.#parts.close();
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.dispose();
  }

  async #runGroup(
    sequences: readonly EncoderSequence[],
    places: readonly (readonly number[])[] | undefined,
    options: EncoderRunOptions,
    group: number,
    groups: number,
  ): Promise<EncoderOutput[]> {
    const { model, device, backend } = this.#parts;
    const { outputs: wanted = ['hidden', 'pooled', 'head'], signal, onProgress, randomBlocks } = options;
    const batch = packSequences(sequences, randomBlocks);
    const layers = this.#program.attentionNodes.length;
    const attend = packedAttention(device, batch.layout, { pairsOf: this.#pairs, signal });
    const feeds = model.feeds(batch);
    const tables = [...this.#tables].map(([name, table]) => [name, table.source(feeds)] as const);
    const outputs = await this.#program.run(
      { ...feeds, ...Object.fromEntries(tables) },
      {
        attention: async (node, inputs) => {
          const globals = this.#globalRows.get(node.name);
          const { q: x, v: local, output } = inputs;
          if (globals === undefined) await attend(node, inputs);
          else await globals.rows.run({ local, x, output }, batch.layout, { device, backend, signal }, globals.heads);
          onProgress?.(group * layers + node.index + 1, groups * layers);
        },
        ...(signal === undefined ? {} : { signal }),
      },
    );
    const hidden = floatsOf(outputs, 'last_hidden');
    const results: Record<string, Matrix | Float32Array>[] = sequences.map(() => ({}));
    if (wanted.includes('hidden')) {
      for (const [i, { start, length, givenLength }] of batch.layout.sequences.entries()) {
        const data = new Float32Array(givenLength * model.hiddenSize);
        data.set(hidden.subarray(start * model.hiddenSize, (start + length) * model.hiddenSize));
        Object.assign(results[i] ?? {}, { hidden: { data, shape: [givenLength, model.hiddenSize] } });
      }
    }
    const pooled = wanted.includes('mean') ? means(hidden, model.hiddenSize, batch.layout) : undefined;
    for (const [i, { start }] of batch.layout.sequences.entries()) {
      const row = (data: Float32Array, at: number) => data.slice(at * model.hiddenSize, (at + 1) * model.hiddenSize);
      if (pooled !== undefined) Object.assign(results[i] ?? {}, { mean: row(pooled, i) });
      if (wanted.includes('first')) Object.assign(results[i] ?? {}, { first: row(hidden, start) });
    }
    for (const [name, head] of this.#heads) {
      if (!wanted.includes(name === 'pooler' ? 'pooled' : 'head')) continue;
      const rows = await head.run(hidden, batch.layout, places, signal);
      for (const [i, result] of results.entries())
        Object.assign(result, this.#headOutput(rows, head, batch, i, sequences, places));
    }
    return results;
  }

  /** The head's outputs of one sequence, at its places. */
  #headOutput(
    rows: readonly Rows[],
    head: HeadRunner,
    { layout }: PackedBatch,
    i: number,
    sequences: readonly EncoderSequence[],
    places: readonly (readonly number[])[] | undefined,
  ): Record<string, Matrix | Float32Array> {
    const own = layout.sequences[i];
    const ids = sequences[i]?.ids;
    if (own === undefined || ids === undefined) return {};
    const isPerToken = head.rows === 'all';
    const flat: Record<string, Float32Array> = {};
    const widths = new Map<string, number>();
    for (const { name, width, data } of rows) {
      const part = data[i] ?? new Float32Array();
      const full = new Float32Array(isPerToken && places === undefined ? own.givenLength * width : part.length);
      full.set(part);
      flat[name] = full;
      widths.set(name, width);
    }
    if (places === undefined) this.#parts.model.finish?.(flat, ids);
    return Object.fromEntries(
      Object.entries(flat).map(([name, data]) => {
        const width = widths.get(name) ?? 1;
        if (name !== 'logits') return [name, data];
        return [name, { data, shape: isPerToken ? [data.length / width, width] : [width] }];
      }),
    );
  }
}

function floatsOf(outputs: ProgramOutputs, name: string): Float32Array {
  const output = outputs[name];
  if (output?.type !== 'float32') throw new TypeError(`the graph has no ${name}`);
  return output.data;
}
