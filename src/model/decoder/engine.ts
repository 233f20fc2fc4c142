/** A compiled decoder: takes chunks of tokens through the layers and the head. */
import type { WasmDevice } from '../../attention/index.ts';
import type { Checkpoint } from '../../checkpoint/index.ts';
import { ArgumentError } from '../../errors.ts';
import {
  type DenseBackend,
  type DenseSession,
  type HostTensor,
  logSoftmax,
  type Program,
  ROWS,
  rotaryRows,
  type Value,
} from '../../graph/index.ts';
import type { Pattern } from '../../pattern/index.ts';
import { Embedding } from '../embedding.ts';
import { int64 } from '../encoder/architecture.ts';
import { EncoderBuilder } from '../encoder/builder.ts';
import { compileRows } from '../encoder/compile-rows.ts';
import { EncoderTensors } from '../encoder/tensors.ts';
import { type Chunk, type DecoderSizes, HEAD_ROWS, type LanguageEngine } from '../language-engine.ts';
import { RowBuffer } from '../row-buffer.ts';
import { type Angles, type DecoderModel, decoderLayers, decoderLogits, type LayerKind } from './architecture.ts';

export interface DecoderEngineParts {
  readonly model: DecoderModel;
  readonly checkpoint: Checkpoint;
  /** What errors call the file. */
  readonly source: string;
  readonly device: WasmDevice;
  readonly backend: DenseBackend;
  readonly onProgress?: ((done: number, total: number) => void) | undefined;
  readonly signal?: AbortSignal | undefined;
}

export class DecoderEngine implements LanguageEngine {
  readonly config: DecoderSizes;
  readonly patterns: readonly Pattern[];
  readonly hasCachedPositions = false;
  readonly embedding: Embedding;
  readonly #model: DecoderModel;
  readonly #program: Program;
  readonly #head: DenseSession;
  readonly #hidden: RowBuffer;
  readonly #angles: ReadonlyMap<LayerKind, { readonly cos: RowBuffer; readonly sin: RowBuffer }>;

  private constructor(model: DecoderModel, embedding: Embedding, program: Program, head: DenseSession) {
    this.config = model.sizes;
    this.patterns = model.patterns;
    this.embedding = embedding;
    this.#model = model;
    this.#program = program;
    this.#head = head;
    this.#hidden = new RowBuffer(model.sizes.hiddenSize);
    const half = model.sizes.headWidth / 2;
    this.#angles = new Map(
      [...new Set(model.kinds)].map((kind) => [kind, { cos: new RowBuffer(half), sin: new RowBuffer(half) }]),
    );
  }

  /** Checks the tensors and loads them. @throws CheckpointError for tensors that are not those of the configuration. */
  static async create(parts: DecoderEngineParts): Promise<DecoderEngine> {
    const { model, checkpoint, source, backend, signal } = parts;
    const { hiddenSize, vocabularySize, headWidth } = model.sizes;
    const tensors = new EncoderTensors({ checkpoint, source, prefix: model.prefix, headNames: [] });
    const body = new EncoderBuilder('decoder', tensors);
    const angles = Object.fromEntries(
      [...new Set(model.kinds)].map((kind) => {
        const input = (name: string) => body.graph.input(`${name}_${kind}`, 'float32', [ROWS, headWidth / 2]);
        return [kind, { cos: input('cos'), sin: input('sin') }];
      }),
    );
    const words = body.graph.input('hidden', 'float32', [ROWS, hiddenSize]);
    const positions = () => body.graph.input('position_ids', 'int64', [ROWS]);
    body.graph.output(decoderLayers(body, model, words, positions, angles as Angles), 'last_hidden');
    const head = headGraph(model, tensors);
    const table = tensors.ask(model.embedding, [vocabularySize, hiddenSize]).name;
    if (model.headMatrix !== 'lm_head.weight') tensors.allow('lm_head.weight');
    tensors.check();
    const embedding = new Embedding(await checkpoint.read(table));
    const program = await compileRows(body, parts);
    try {
      const session = await backend.compile(head.graph.build(), signal ? { signal } : {});
      return new DecoderEngine(model, embedding, program, session);
    } catch (error) {
      await program.release();
      throw error;
    }
  }

  get floatsPerRow(): number {
    return this.#program.floatsPerRow;
  }

  async run({ ids, first, attention, lastRows, signal }: Chunk): Promise<Float32Array> {
    const rows = ids.length;
    const hidden = this.#hidden.tensor(rows);
    this.embedding.gather(ids, hidden.data);
    const { embeddingScale, angles, learnedPositions } = this.#model;
    const { context } = this.config;
    if (learnedPositions !== undefined && first + rows > context) {
      throw new ArgumentError(
        `${first + rows} tokens were given to a model that has learned ${context} positions; use fewer`,
      );
    }
    if (embeddingScale !== 1)
      for (let i = 0; i < hidden.data.length; i++) hidden.data[i] = (hidden.data[i] ?? 0) * embeddingScale;
    const feeds: Record<string, HostTensor> = { hidden };
    if (learnedPositions !== undefined) feeds.position_ids = int64(Int32Array.from(ids, (_, i) => first + i));
    for (const [kind, buffers] of this.#angles) {
      const [cos, sin] = [buffers.cos.tensor(rows), buffers.sin.tensor(rows)];
      const { frequencies, scale } = angles[kind] ?? { frequencies: [], scale: 1 };
      rotaryRows(frequencies, first, rows, { cos: cos.data, sin: sin.data }, scale);
      feeds[`cos_${kind}`] = cos;
      feeds[`sin_${kind}`] = sin;
    }
    const { last_hidden: last } = await this.#program.runChunk(feeds, attention, {
      lastRows,
      ...(signal === undefined ? {} : { signal }),
    });
    if (last?.type !== 'float32') throw new TypeError('the graph has no last_hidden');
    return last.data;
  }

  async logits(hidden: Float32Array): Promise<Float32Array> {
    const { vocabularySize, hiddenSize } = this.config;
    const rows = hidden.length / hiddenSize;
    const logits = new Float32Array(rows * vocabularySize);
    for (let from = 0; from < rows; from += HEAD_ROWS) {
      const to = Math.min(from + HEAD_ROWS, rows);
      const data = logits.subarray(from * vocabularySize, to * vocabularySize);
      await this.#head.run(
        { hidden: this.#rowsOf(hidden, from, to), targets: targetsOf(new Int32Array(to - from)) },
        { logits: { type: 'float32', data, shape: [to - from, vocabularySize] } },
      );
    }
    return logits;
  }

  async losses(hidden: Float32Array, targets: Int32Array, into: Float32Array, signal?: AbortSignal): Promise<void> {
    for (let from = 0; from < targets.length; from += HEAD_ROWS) {
      signal?.throwIfAborted();
      const to = Math.min(from + HEAD_ROWS, targets.length);
      await this.#head.run(
        { hidden: this.#rowsOf(hidden, from, to), targets: targetsOf(targets.subarray(from, to)) },
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
}

/** `hidden` [rows, hidden] and `targets` [rows, 1] to `logits` [rows, vocabulary] and `losses` [rows, 1], as the Llama family's. */
function headGraph(model: DecoderModel, tensors: EncoderTensors): EncoderBuilder {
  const b = new EncoderBuilder('decoder head', tensors);
  const { graph } = b;
  const hidden = graph.input('hidden', 'float32', [ROWS, model.sizes.hiddenSize]);
  const targets = graph.input('targets', 'int64', [ROWS, 1]);
  const logits = decoderLogits(b, model, hidden);
  const loss = (operator: string, inputs: Value[], attributes = {}) =>
    graph.op1({ operator, inputs, attributes }, 'float32', [ROWS, 1]);
  const chosen = loss('GatherElements', [logSoftmax(graph, logits), targets], { axis: { type: 'int', value: 1 } });
  graph.output(logits, 'logits');
  graph.output(loss('Neg', [chosen]), 'losses');
  return b;
}

function targetsOf(targets: Int32Array): HostTensor {
  return { type: 'int64', data: BigInt64Array.from(targets, BigInt), shape: [targets.length, 1] };
}
