/** An encoder-decoder that is ready to run. */
import type { WasmDevice } from '../../attention/index.ts';
import { counted } from '../../counted.ts';
import { ArgumentError, DeviceError } from '../../errors.ts';
import type { DenseBackend, HostTensor, Program } from '../../graph/index.ts';
import type { Tokenizer } from '../../text/index.ts';
import type { Head } from '../encoder/architecture.ts';
import { packedAttention } from '../encoder/attend.ts';
import type { ScoresOf } from '../encoder/builder.ts';
import type { Matrix } from '../encoder/encoder.ts';
import type { HeadRunner, Rows } from '../encoder/head-runner.ts';
import type { Layout, PairsOf } from '../encoder/layout.ts';
import { checkSequences, type EncoderInput, packSequences } from '../encoder/sequences.ts';
import type { EncoderTensors } from '../encoder/tensors.ts';
import type { Generation } from '../generation.ts';
import type { Seq2SeqModel } from './architecture.ts';
import { compileSeq2Seq } from './compile.ts';
import { checkConstraints } from './constraints.ts';
import { type ContinueOptions, floats, searchOutput, type TextMemory, writeGreedily } from './decode.ts';

/** A batch of texts that the encoder has read: what the decoder looks at. Ends with dispose(). */
export interface EncodedTexts {
  readonly layout: Layout;
  /** The encoder's last hidden state, by text [L, hidden]; rows of masked tokens behind the last that counts are 0. */
  readonly hidden: readonly Matrix[];
  /** Keys and values by layer of the decoder, feeds of its graph; none after dispose(). */
  readonly memory: Readonly<Record<string, HostTensor>>;
  /** Safe to call twice. */
  dispose(): void;
}

export interface EncodeOptions extends EncoderInput {
  readonly onProgress?: (done: number, total: number) => void;
  readonly signal?: AbortSignal;
}

/** Of a decoder. */
export type DecoderInput = Pick<EncoderInput, 'inputIds' | 'attentionMask'> & { readonly signal?: AbortSignal };

export interface Seq2SeqParts {
  readonly model: Seq2SeqModel;
  readonly tensors: EncoderTensors;
  /** Default: the head that writes. */
  readonly head?: Head['build'] | undefined;
  readonly tokenizer?: Tokenizer | undefined;
  /** What the publisher says of outputs. Default: nothing. */
  readonly generation?: Generation;
  readonly device: WasmDevice;
  readonly backend: DenseBackend;
  readonly close: () => Promise<void>;
  readonly onProgress?: ((done: number, total: number) => void) | undefined;
  readonly signal?: AbortSignal | undefined;
}

/** The compiled parts. */
export interface Seq2SeqPrograms {
  readonly encoder: Program;
  readonly encoderPairs: ReadonlyMap<string, PairsOf>;
  readonly memory: Program;
  readonly decoder: Program;
  readonly decoderPairs: ReadonlyMap<string, PairsOf>;
  /** By the name of a node of the decoder's own attention: its layer. */
  readonly ownLayers: ReadonlyMap<string, number>;
  readonly head: HeadRunner;
  /** Of encoder and decoder, by node. */
  readonly scores: ReadonlyMap<string, ScoresOf>;
}

/** Runs take turns. Ends with dispose(). */
export class Seq2Seq implements AsyncDisposable {
  /** Of the folder that the model was loaded from, where there is one. */
  readonly tokenizer: Tokenizer | undefined;
  readonly vocabularySize: number;
  /** Tokens of the longest text; Infinity where positions have no end. */
  readonly maxTokens: number;
  /** Tokens of the longest output; Infinity where positions have no end. */
  readonly maxOutputTokens: number;
  /** Whether tokens of a text can have global attention. */
  readonly hasGlobals: boolean;
  /** What the model's publisher says of its outputs, where anything is said. */
  readonly generation: Generation | undefined;
  readonly #parts: Seq2SeqParts;
  readonly #programs: Seq2SeqPrograms;
  #turn: Promise<unknown> = Promise.resolve();
  #disposed = false;

  private constructor(parts: Seq2SeqParts, programs: Seq2SeqPrograms) {
    this.tokenizer = parts.tokenizer;
    const { encoder, decoder } = parts.model;
    this.vocabularySize = encoder.vocabularySize;
    this.maxTokens = encoder.maxTokens ?? Infinity;
    this.maxOutputTokens = decoder.maxTokens ?? Infinity;
    this.hasGlobals = encoder.hasGlobals;
    this.generation = parts.generation;
    this.#parts = parts;
    this.#programs = programs;
  }

  /** Checks the tensors and loads them. @throws CheckpointError for tensors that are not those of the configuration. */
  static async create(parts: Seq2SeqParts): Promise<Seq2Seq> {
    return new Seq2Seq(parts, await compileSeq2Seq(parts));
  }

  /** What encode() and headOutputs() count in onProgress. */
  get steps(): { readonly encoder: number; readonly decoder: number } {
    const { encoder, decoder } = this.#programs;
    return { encoder: encoder.attentionNodes.length, decoder: decoder.attentionNodes.length };
  }

  /** Reads texts. @throws ArgumentError for ids, masks or lengths that the model does not have. */
  async encode(options: EncodeOptions): Promise<EncodedTexts> {
    const { model, device } = this.#parts;
    const { signal, onProgress } = options;
    const { layout, ...batch } = packSequences(checkSequences(options, model.encoder));
    return this.#inTurn(async () => {
      const { encoder, encoderPairs: pairsOf, memory, scores } = this.#programs;
      const layers = encoder.attentionNodes.length;
      const attend = packedAttention(device, layout, { pairsOf, scores, signal });
      const { last_hidden: last } = await encoder.run(model.encoder.feeds({ layout, ...batch }), {
        attention: async (node, inputs) => {
          await attend(node, inputs);
          onProgress?.(node.index + 1, layers);
        },
        ...(signal === undefined ? {} : { signal }),
      });
      if (last === undefined) throw new TypeError('the encoder has no last_hidden');
      const { width: size, heads, layers: decoderLayers } = model.decoder;
      const kept: Record<string, HostTensor> = {};
      const shape = [layout.rows, heads * size];
      const dispose = () => {
        for (const [name, { data }] of Object.entries(kept)) {
          device.release(data as Float32Array);
          delete kept[name];
        }
      };
      try {
        for (const name of memoryNames(decoderLayers)) {
          kept[name] = { type: 'float32', data: device.allocate(layout.rows * heads * size), shape };
        }
        await memory.run(
          { hidden: last },
          { attention: noAttention, fetches: kept, ...(signal === undefined ? {} : { signal }) },
        );
      } catch (error) {
        dispose();
        throw error;
      }
      return { layout, hidden: rowsBySequence(last, layout), memory: kept, dispose };
    });
  }

  /**
   * The logits of what follows each token of the decoder's sequences, one for each text: `inputIds` and `attentionMask` are the
   * decoder's [N, vocabulary]. Rows of masked tokens behind the last that counts are 0.
   */
  async logits(texts: EncodedTexts, options: DecoderInput): Promise<Matrix[]> {
    const { layout, outputs } = await this.headOutputs(texts, options);
    const [logits] = outputs;
    if (logits === undefined) throw new TypeError('the head has no logits');
    return layout.sequences.map(({ givenLength }, i) => {
      const data = new Float32Array(givenLength * logits.width);
      data.set(logits.data[i] ?? []);
      return { data, shape: [givenLength, logits.width] };
    });
  }

  /** What the head says of the rows of the decoder's sequences that count, or of those at `places` only. */
  async headOutputs(
    texts: EncodedTexts,
    options: DecoderInput & {
      readonly places?: readonly (readonly number[])[];
      readonly onProgress?: (done: number, total: number) => void;
    },
  ): Promise<{ readonly layout: Layout; readonly outputs: readonly Rows[] }> {
    const { model, device } = this.#parts;
    const { places, onProgress, signal } = options;
    checkAlive(texts);
    const plain = { ...model.encoder, hasGlobals: false, defaults: () => ({}) };
    const sequences = checkSequences(options, plain);
    if (sequences.length !== texts.layout.sequences.length) {
      throw new ArgumentError(
        `inputIds has ${counted(sequences.length, 'sequence')} for ${counted(texts.layout.sequences.length, 'text')}`,
      );
    }
    const packed = packSequences(sequences);
    const layout = { ...packed.layout, memory: texts.layout };
    return this.#inTurn(async () => {
      const { decoder, decoderPairs: pairsOf, head, scores } = this.#programs;
      const feeds = { ...model.decoder.feeds({ layout, ids: packed.ids, first: 0 }), ...texts.memory };
      const attend = packedAttention(device, layout, { pairsOf, scores, signal });
      const { last_hidden: last } = await decoder.run(feeds, {
        attention: async (node, inputs) => {
          await attend(node, inputs);
          onProgress?.(node.index + 1, decoder.attentionNodes.length);
        },
        ...(signal === undefined ? {} : { signal }),
      });
      return { layout, outputs: await head.run(floats(last), layout, places, signal) };
    });
  }

  /**
   * Continues each text's output until the end token or `maxTokens`: greedily, or with a beam search; both keep keys and values. The ids,
   * without the prefix.
   * @throws ArgumentError for options out of range, and for more tokens than the decoder has positions; DeviceError for texts that were
   *   disposed.
   */
  async generate(texts: EncodedTexts, options: ContinueOptions): Promise<number[][]> {
    const { maxTokens, beams = 1, prefix = [0] } = options;
    if (!Number.isSafeInteger(maxTokens) || maxTokens < 0) {
      throw new ArgumentError(`generate: maxTokens is ${maxTokens}; it must be an integer from 0`);
    }
    if (prefix.length === 0) throw new ArgumentError('generate: prefix is empty; a decoder begins with a token');
    // The last token that is chosen is not read.
    if (prefix.length + maxTokens - 1 > this.maxOutputTokens) {
      throw new ArgumentError(
        `generate: maxTokens is ${maxTokens} after ${counted(prefix.length, 'first token')}; the decoder has ${this.maxOutputTokens} positions`,
      );
    }
    checkConstraints(options, maxTokens);
    checkAlive(texts);
    const { model, device } = this.#parts;
    const results: number[][] = [];
    for (const i of options.only === undefined ? texts.layout.sequences.keys() : [options.only]) {
      const decoding = { model, device, programs: this.#programs, text: textAt(texts, i) };
      results.push(
        await this.#inTurn(() => (beams === 1 ? writeGreedily(decoding, options) : searchOutput(decoding, options))),
      );
    }
    return results;
  }

  async dispose(): Promise<void> {
    if (this.#disposed) return;
    this.#disposed = true;
    await this.#turn;
    const { encoder, memory, decoder, head } = this.#programs;
    for (const program of [encoder, memory, decoder, head]) await program.release();
    await this.#parts.close();
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.dispose();
  }

  /** Runs `work` when everything asked for before is done. */
  #inTurn<T>(work: () => Promise<T>): Promise<T> {
    const result = this.#turn.then(() => {
      if (this.#disposed) throw new DeviceError('the model was disposed');
      return work();
    });
    this.#turn = result.catch(() => undefined);
    return result;
  }
}

/** The inputs of the decoder's graph that hold the text's keys and values. */
export function memoryNames(layers: number): string[] {
  return Array.from({ length: layers }, (_, layer) => [`memory_k_${layer}`, `memory_v_${layer}`]).flat();
}

function checkAlive({ memory }: EncodedTexts): void {
  if (Object.keys(memory).length === 0) throw new DeviceError('the texts were disposed');
}

/** One text of a batch: its rows of the memory. */
function textAt({ layout, memory }: EncodedTexts, i: number): TextMemory {
  const sequence = layout.sequences[i];
  if (sequence === undefined) throw new ArgumentError(`there is no text ${i}`);
  const { start, length } = sequence;
  const rows = Object.entries(memory).map(([name, tensor]): [string, HostTensor] => {
    const [, width = 0] = tensor.shape;
    const data = floats(tensor).subarray(start * width, (start + length) * width);
    return [name, { type: 'float32', data, shape: [length, width] }];
  });
  return { layout: { rows: length, sequences: [{ ...sequence, start: 0 }] }, memory: Object.fromEntries(rows) };
}

function rowsBySequence(hidden: HostTensor, { sequences }: Layout): Matrix[] {
  const [, width = 0] = hidden.shape;
  return sequences.map(({ start, length, givenLength }) => {
    const data = new Float32Array(givenLength * width);
    data.set(floats(hidden).subarray(start * width, (start + length) * width));
    return { data, shape: [givenLength, width] };
  });
}

function noAttention(): never {
  throw new TypeError('keys and values of a text are made without attention');
}
