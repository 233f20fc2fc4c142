/** A compiled Llama: takes chunks of tokens through the layers and the head. */
import type { WasmDevice } from '../attention/index.ts';
import { toFloat32 } from '../checkpoint/index.ts';
import { compileProgram, type DenseBackend, type DenseSession, type HostTensor, type Program } from '../graph/index.ts';
import type { Pattern } from '../pattern/index.ts';
import { Embedding } from './embedding.ts';
import { type Chunk, HEAD_ROWS, type LanguageEngine } from './language-engine.ts';
import { addTableRows, tableRows } from './latest-matches.ts';
import { type LlamaGraphOptions, llamaGraph, llamaHeadGraph, llamaPattern } from './llama.ts';
import { type LlamaConfig, rotaryFrequencies } from './llama-config.ts';
import { type LlamaWeights, MATCH_TABLE } from './llama-weights.ts';
import { RowBuffer } from './row-buffer.ts';

export interface EngineOptions extends LlamaGraphOptions {
  /** After each part that has been compiled. */
  readonly onProgress?: (done: number, total: number) => void;
  readonly signal?: AbortSignal;
}

export class LlamaEngine implements LanguageEngine {
  readonly config: LlamaConfig;
  readonly patterns: readonly Pattern[];
  readonly hasCachedPositions = true;
  readonly embedding: Embedding;
  readonly matches: readonly number[] | undefined;
  /** Expanded: it is small, and each token adds rows of it. */
  readonly #matchTable: Float32Array | undefined;
  readonly #program: Program;
  readonly #head: DenseSession;
  readonly #frequencies: Float64Array;
  readonly #hidden: RowBuffer;
  readonly #angles: readonly [cos: RowBuffer, sin: RowBuffer, sinkCos: RowBuffer, sinkSin: RowBuffer];

  private constructor(
    config: LlamaConfig,
    embedding: Embedding,
    matchTable: Float32Array | undefined,
    frequencies: Float64Array,
    program: Program,
    head: DenseSession,
  ) {
    this.config = config;
    this.patterns = Array(config.layers).fill(llamaPattern(config));
    this.embedding = embedding;
    this.matches = config.matches;
    this.#matchTable = matchTable;
    this.#frequencies = frequencies;
    this.#program = program;
    this.#head = head;
    this.#hidden = new RowBuffer(config.hiddenSize);
    const half = config.headWidth / 2;
    this.#angles = [new RowBuffer(half), new RowBuffer(half), new RowBuffer(half), new RowBuffer(half)];
  }

  /** Loads the weights into the backend, one segment after the other. */
  static async create(
    config: LlamaConfig,
    weights: LlamaWeights,
    device: WasmDevice,
    backend: DenseBackend,
    options: EngineOptions,
  ): Promise<LlamaEngine> {
    const { onProgress, signal } = options;
    const embedding = new Embedding(await weights.stored('model.embed_tokens.weight'));
    const matchTable = config.matches === undefined ? undefined : toFloat32(await weights.stored(MATCH_TABLE));
    const factors = weights.has('rope_freqs.weight') ? await weights.vector('rope_freqs.weight') : undefined;
    const program = await compileProgram(await llamaGraph(config, weights, options), backend, {
      ...(signal === undefined ? {} : { signal }),
      ...(onProgress === undefined ? {} : { onProgress: (done, total) => onProgress(done, total + 1) }),
      // In the kernels' memory, so that queries, keys and values go from one to the other without a copy.
      ...(backend.acceptsSharedMemory
        ? {
            allocate: (floats: number) => device.allocate(floats),
            free: (buffer: Float32Array) => device.release(buffer),
          }
        : {}),
    });
    try {
      const head = await backend.compile(llamaHeadGraph(config, weights, options), { signal });
      onProgress?.(1, 1);
      return new LlamaEngine(config, embedding, matchTable, rotaryFrequencies(config, factors), program, head);
    } catch (error) {
      await program.release();
      throw error;
    }
  }

  /** Floats between the layers for each row of a chunk. */
  get floatsPerRow(): number {
    return this.#program.floatsPerRow;
  }

  /** Takes a chunk through all layers: its last rows after the last norm [lastRows, hidden], valid until the next chunk. */
  async run(chunk: Chunk): Promise<Float32Array> {
    const { ids, matches, first, farthest, attention, lastRows, signal } = chunk;
    const rows = ids.length;
    const hidden = this.#hidden.tensor(rows);
    this.embedding.gather(ids, hidden.data);
    if (this.#matchTable !== undefined && this.matches !== undefined && matches !== undefined) {
      const { vocabularySize, hiddenSize } = this.config;
      const found = tableRows(matches, this.matches.length, vocabularySize);
      addTableRows(this.#matchTable, found, hidden.data, hiddenSize);
    }
    const [cos, sin, sinkCos, sinkSin] = this.#angles.map((buffer) => buffer.tensor(rows));
    if (!cos || !sin || !sinkCos || !sinkSin) throw new TypeError('four buffers');
    this.#fillAngles(cos.data, sin.data, rows, (row) => first + row);
    const isCached = first + rows - 1 > farthest;
    if (isCached) this.#fillAngles(sinkCos.data, sinkSin.data, rows, (row) => Math.min(first + row, farthest));
    const outputs = await this.#program.runChunk(
      { hidden, cos, sin, sink_cos: isCached ? sinkCos : cos, sink_sin: isCached ? sinkSin : sin },
      attention,
      { lastRows, ...(signal === undefined ? {} : { signal }) },
    );
    const output = outputs.last_hidden;
    if (output?.type !== 'float32') throw new TypeError('the graph has no last_hidden');
    return output.data;
  }

  /** Logits [rows, vocabulary] of rows after the last norm [rows, hidden]. */
  async logits(hidden: Float32Array): Promise<Float32Array> {
    const { vocabularySize, hiddenSize } = this.config;
    const rows = hidden.length / hiddenSize;
    const logits = new Float32Array(rows * vocabularySize);
    for (let from = 0; from < rows; from += HEAD_ROWS) {
      const to = Math.min(from + HEAD_ROWS, rows);
      const part = logits.subarray(from * vocabularySize, to * vocabularySize);
      await this.#head.run(
        { hidden: this.#rowsOf(hidden, from, to), targets: int64(new BigInt64Array(to - from)) },
        { logits: { type: 'float32', data: part, shape: [to - from, vocabularySize] } },
      );
    }
    return logits;
  }

  /** Writes minus the log probability of each row's target [rows] to `into`. */
  async losses(hidden: Float32Array, targets: Int32Array, into: Float32Array, signal?: AbortSignal): Promise<void> {
    for (let from = 0; from < targets.length; from += HEAD_ROWS) {
      signal?.throwIfAborted();
      const to = Math.min(from + HEAD_ROWS, targets.length);
      await this.#head.run(
        {
          hidden: this.#rowsOf(hidden, from, to),
          targets: int64(BigInt64Array.from(targets.subarray(from, to), BigInt)),
        },
        { losses: { type: 'float32', data: into.subarray(from, to), shape: [to - from, 1] } },
      );
    }
  }

  async release(): Promise<void> {
    await this.#program.release();
    await this.#head.release();
  }

  #rowsOf(hidden: Float32Array, from: number, to: number): HostTensor {
    const width = this.config.hiddenSize;
    return { type: 'float32', data: hidden.subarray(from * width, to * width), shape: [to - from, width] };
  }

  #fillAngles(cos: Float32Array, sin: Float32Array, rows: number, positionOf: (row: number) => number): void {
    const half = this.#frequencies.length;
    for (let row = 0; row < rows; row++) {
      const position = positionOf(row);
      for (let i = 0; i < half; i++) {
        const angle = position * (this.#frequencies[i] ?? 0);
        cos[row * half + i] = Math.cos(angle);
        sin[row * half + i] = Math.sin(angle);
      }
    }
  }
}

function int64(data: BigInt64Array): HostTensor {
  return { type: 'int64', data, shape: [data.length, 1] };
}
