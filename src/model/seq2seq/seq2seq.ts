/** An encoder-decoder that is ready to run. */
import { KeyValueCache, type WasmDevice } from '../../attention/index.ts';
import { ArgumentError, DeviceError } from '../../errors.ts';
import type { AttentionCallback, DenseBackend, HostTensor, Program } from '../../graph/index.ts';
import { causal } from '../../pattern/index.ts';
import type { Tokenizer } from '../../text/index.ts';
import { packedAttention } from '../encoder/attend.ts';
import type { ScoresOf } from '../encoder/builder.ts';
import type { Matrix } from '../encoder/encoder.ts';
import type { HeadRunner } from '../encoder/head-runner.ts';
import type { Layout, PairsOf } from '../encoder/layout.ts';
import { checkSequences, type EncoderInput, packSequences } from '../encoder/sequences.ts';
import type { EncoderTensors } from '../encoder/tensors.ts';
import type { Seq2SeqModel } from './architecture.ts';
import { beamSearch } from './beam-search.ts';
import { compileSeq2Seq } from './compile.ts';

/** A batch of texts that the encoder has read: what the decoder looks at. Ends with dispose(). */
export interface EncodedTexts {
  readonly layout: Layout;
  /** The encoder's last hidden state, by text [L, hidden]; rows of masked tokens behind the last that counts are 0. */
  readonly hidden: readonly Matrix[];
  /** Keys and values by layer of the decoder, feeds of its graph. */
  readonly memory: Readonly<Record<string, HostTensor>>;
  dispose(): void;
}

export interface EncodeOptions extends EncoderInput {
  readonly onProgress?: (done: number, total: number) => void;
  readonly signal?: AbortSignal;
}

export interface ContinueOptions {
  /** Tokens to generate at most, the end token included. */
  readonly maxTokens: number;
  /** The decoder's first tokens. Default: the model's start token. */
  readonly prefix?: readonly number[];
  /** Outputs that are kept at each step. Default 1: always the most probable token. */
  readonly beams?: number;
  /** With beams: an output of n tokens is worth log p / n^lengthPenalty. Default 1. */
  readonly lengthPenalty?: number;
  /** Each token as it is chosen; not with several beams. */
  readonly onToken?: (id: number) => void;
  readonly signal?: AbortSignal;
}

export interface Seq2SeqParts {
  readonly model: Seq2SeqModel;
  readonly tensors: EncoderTensors;
  readonly tokenizer?: Tokenizer | undefined;
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
  readonly #parts: Seq2SeqParts;
  readonly #programs: Seq2SeqPrograms;
  #turn: Promise<unknown> = Promise.resolve();
  #disposed = false;

  private constructor(parts: Seq2SeqParts, programs: Seq2SeqPrograms) {
    this.tokenizer = parts.tokenizer;
    this.vocabularySize = parts.model.encoder.vocabularySize;
    this.#parts = parts;
    this.#programs = programs;
  }

  /** Checks the tensors and loads them. @throws CheckpointError for tensors that are not those of the configuration. */
  static async create(parts: Seq2SeqParts): Promise<Seq2Seq> {
    return new Seq2Seq(parts, await compileSeq2Seq(parts));
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
      for (const name of memoryNames(decoderLayers)) {
        kept[name] = { type: 'float32', data: device.allocate(layout.rows * heads * size), shape };
      }
      const dispose = () => {
        for (const { data } of Object.values(kept)) device.release(data as Float32Array);
      };
      try {
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
  async logits(
    texts: EncodedTexts,
    options: Pick<EncoderInput, 'inputIds' | 'attentionMask'> & { readonly signal?: AbortSignal },
  ): Promise<Matrix[]> {
    const { model, device } = this.#parts;
    const { signal } = options;
    const plain = { ...model.encoder, hasGlobals: false, defaults: () => ({}) };
    const sequences = checkSequences(options, plain);
    if (sequences.length !== texts.layout.sequences.length) {
      throw new ArgumentError(`inputIds has ${sequences.length} sequences for ${texts.layout.sequences.length} texts`);
    }
    const packed = packSequences(sequences);
    const layout = { ...packed.layout, memory: texts.layout };
    return this.#inTurn(async () => {
      const { decoder, decoderPairs: pairsOf, head, scores } = this.#programs;
      const feeds = { ...model.decoder.feeds({ layout, ids: packed.ids, first: 0 }), ...texts.memory };
      const attention = packedAttention(device, layout, { pairsOf, scores, signal });
      const { last_hidden: last } = await decoder.run(feeds, {
        attention,
        ...(signal === undefined ? {} : { signal }),
      });
      const [logits] = await head.run(floats(last), layout, undefined, signal);
      if (logits === undefined) throw new TypeError('the head has no logits');
      return layout.sequences.map(({ givenLength }, i) => {
        const data = new Float32Array(givenLength * logits.width);
        data.set(logits.data[i] ?? []);
        return { data, shape: [givenLength, logits.width] };
      });
    });
  }

  /**
   * Continues each text's output until the end token or `maxTokens`: greedily token by token with a cache, or with a beam search, which
   * reads its outputs again at each step. The ids, without the prefix.
   */
  async generate(texts: EncodedTexts, options: ContinueOptions): Promise<number[][]> {
    const { maxTokens, beams = 1 } = options;
    if (!Number.isSafeInteger(maxTokens) || maxTokens < 0) {
      throw new ArgumentError(`generate: maxTokens is ${maxTokens}; it must be an integer from 0`);
    }
    const results: number[][] = [];
    for (let i = 0; i < texts.layout.sequences.length; i++) {
      const text = textAt(texts, i);
      results.push(
        await this.#inTurn(() => (beams === 1 ? this.#generate(text, options) : this.#search(text, beams, options))),
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

  async #generate(text: Pick<EncodedTexts, 'layout' | 'memory'>, options: ContinueOptions): Promise<number[]> {
    const { model, device } = this.#parts;
    const { decoder: program, decoderPairs: pairsOf, ownLayers, head, scores } = this.#programs;
    const { maxTokens, prefix = [model.startToken], onToken, signal } = options;
    const { layers, heads, width } = model.decoder;
    const own = { pattern: causal(), heads, keyValueHeads: heads, queryWidth: width, valueWidth: width };
    const cache = new KeyValueCache(device, Array(layers).fill(own));
    const generated: number[] = [];
    try {
      let next = Int32Array.from(prefix);
      while (generated.length < maxTokens) {
        const rows = next.length;
        const sequence = { start: 0, length: rows, givenLength: rows, masked: [], globals: [] };
        const layout = { rows, sequences: [sequence], memory: text.layout };
        const cross = packedAttention(device, layout, { pairsOf, scores, signal });
        const attention: AttentionCallback = (node, inputs) => {
          const layer = ownLayers.get(node.name);
          if (layer === undefined) return cross(node, inputs);
          const score = scores.get(node.name)?.(layout);
          return cache.attend(layer, {
            ...inputs,
            scale: node.scale,
            ...(score ? { score } : {}),
            ...(signal ? { signal } : {}),
          });
        };
        const feeds = { ...model.decoder.feeds({ layout, ids: next, first: cache.length }), ...text.memory };
        cache.begin(rows);
        const { last_hidden: last } = await program.runChunk(feeds, attention, { ...(signal ? { signal } : {}) });
        cache.end();
        const [logits] = await head.run(floats(last), layout, [[rows - 1]], signal);
        const id = largest(logits?.data[0] ?? new Float32Array());
        generated.push(id);
        onToken?.(id);
        if (id === model.endToken) break;
        next = Int32Array.of(id);
      }
      return generated;
    } finally {
      cache.dispose();
    }
  }

  #search(text: Pick<EncodedTexts, 'layout' | 'memory'>, beams: number, options: ContinueOptions): Promise<number[]> {
    const { model, device } = this.#parts;
    const { decoder: program, decoderPairs: pairsOf, head, scores } = this.#programs;
    const { maxTokens, prefix = [model.startToken], lengthPenalty = 1, signal } = options;
    const next = async (outputs: readonly (readonly number[])[]): Promise<Float32Array[]> => {
      const length = prefix.length + (outputs[0]?.length ?? 0);
      const sequences = outputs.map((_, i) => ({
        start: i * length,
        length,
        givenLength: length,
        masked: [],
        globals: [],
      }));
      // Every output looks at the one text.
      const memory = { ...text.layout, sequences: outputs.flatMap(() => text.layout.sequences) };
      const layout = { rows: length * outputs.length, sequences, memory };
      const ids = Int32Array.from(outputs.flatMap((own) => [...prefix, ...own]));
      const { last_hidden: last } = await program.run(
        { ...model.decoder.feeds({ layout, ids, first: 0 }), ...text.memory },
        { attention: packedAttention(device, layout, { pairsOf, scores, signal }), ...(signal ? { signal } : {}) },
      );
      const [logits] = await head.run(
        floats(last),
        layout,
        outputs.map(() => [length - 1]),
        signal,
      );
      return (logits?.data ?? []).map(logProbabilities);
    };
    return beamSearch({ beams, maxTokens, lengthPenalty, endToken: model.endToken, next });
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

/** One text of a batch: its rows of the memory. */
function textAt({ layout, memory }: EncodedTexts, i: number): Pick<EncodedTexts, 'layout' | 'memory'> {
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

function floats(tensor: HostTensor | undefined): Float32Array {
  if (tensor?.type !== 'float32') throw new TypeError('a float32 tensor is expected');
  return tensor.data;
}

/** Logits less the logarithm of their sum of exponentials, which is taken in float64. */
function logProbabilities(logits: Float32Array): Float32Array {
  const top = logits.reduce((most, logit) => Math.max(most, logit), -Infinity);
  const total = logits.reduce((sum, logit) => sum + Math.exp(logit - top), 0);
  return logits.map((logit) => logit - top - Math.log(total));
}

/** The place of the largest number; of equal ones the first. */
function largest(numbers: Float32Array): number {
  let best = 0;
  for (let i = 1; i < numbers.length; i++) if ((numbers[i] ?? 0) > (numbers[best] ?? 0)) best = i;
  return best;
}

function noAttention(): never {
  throw new TypeError('keys and values of a text are made without attention');
}
