/** A decoder that reads token streams of any length. */
import type { NumberType, WasmDevice } from '../attention/index.ts';
import { DeviceError, ModelError } from '../errors.ts';
import { dense, type Pattern } from '../pattern/index.ts';
import type { Tokenizer } from '../text/index.ts';
import { decoderPattern, type Positions, resolvePositions } from './decoder-pattern.ts';
import type { DecoderSizes, LanguageEngine } from './language-engine.ts';
import { checkStreamMemory, type Machine } from './memory.ts';
import { DEFAULT_CHUNK, TokenStream } from './token-stream.ts';

export interface StreamOptions {
  /** Which earlier tokens each token sees; always cut to the past. Default: what the model was trained to see, all for most. */
  readonly pattern?: Pattern;
  /** Default 'auto'. */
  readonly positions?: Positions;
  /** Tokens that will be read at most: what 'auto' and the check of memory go by. Default: the model's context. */
  readonly length?: number;
  /** Tokens that pass through the layers together. Default 1024. */
  readonly chunk?: number;
  /** How keys and values are kept: f16 and bf16 take half the memory (see KeyValueCache). Default 'f32'. */
  readonly storage?: NumberType;
}

export interface LanguageModelParts {
  readonly config: DecoderSizes;
  readonly tokenizer: Tokenizer;
  /** Tokens that end a text beside the tokenizer's: see readGeneration(). Default: none. */
  readonly endTokens?: readonly number[];
  readonly engine: LanguageEngine;
  readonly device: WasmDevice;
  /** Bytes of the weights in memory. */
  readonly weightBytes: number;
  /** Default: none. */
  readonly leftOut?: Readonly<Record<string, number>> | undefined;
  readonly machine: Machine;
  /** Frees what the opener made beside these. */
  readonly close: () => Promise<void>;
}

/** Weights, tokenizer and the sessions that run them. Ends with dispose(). Several streams can be open; they take turns. */
export class LanguageModel implements AsyncDisposable {
  readonly config: DecoderSizes;
  readonly tokenizer: Tokenizer;
  /** Tokens that end a text or an answer, beside the tokenizer's end of text. */
  readonly endTokens: readonly number[];
  /** Parts of the checkpoint that are not of texts, and so not read, with their numbers of tensors: of Gemma 3 those that see. */
  readonly leftOut: Readonly<Record<string, number>>;
  readonly #parts: LanguageModelParts;
  readonly #streams = new Set<TokenStream>();
  #turn: Promise<unknown> = Promise.resolve();
  #disposed = false;

  constructor(parts: LanguageModelParts) {
    this.config = parts.config;
    this.tokenizer = parts.tokenizer;
    this.endTokens = parts.endTokens ?? [];
    this.leftOut = parts.leftOut ?? {};
    this.#parts = parts;
  }

  /** Bytes of the weights in memory. */
  get weightBytes(): number {
    return this.#parts.weightBytes;
  }

  /**
   * Starts reading at position 0.
   * @throws ModelError where the positions do not fit the pattern, PatternError, and MemoryError where `length` tokens under
   *   the pattern need more memory than there is.
   */
  stream(options: StreamOptions = {}): TokenStream {
    if (this.#disposed) throw new DeviceError('stream: the model was disposed');
    const { config, engine, device, machine, weightBytes } = this.#parts;
    const { pattern = config.pattern ?? dense(), positions = 'auto', length = config.context } = options;
    const { chunk = DEFAULT_CHUNK, storage = 'f32' } = options;
    if (positions === 'cached' && !engine.hasCachedPositions) {
      throw new ModelError('positions "cached" is not implemented for this architecture; use "given"');
    }
    const own = engine.hasCachedPositions ? positions : 'given';
    const resolved = resolvePositions({ pattern, positions: own, length, context: config.context });
    const layers = engine.patterns.map((layer) => decoderPattern(layer, pattern, resolved.positions));
    const { floatsPerRow } = engine;
    checkStreamMemory({ config, layers, length, chunk, storage, floatsPerRow, weightBytes, machine });
    const stream: TokenStream = new TokenStream({
      engine,
      device,
      pattern,
      layers,
      ...resolved,
      chunk,
      storage,
      inTurn: (work) => this.#inTurn(work),
      onClose: () => this.#streams.delete(stream),
    });
    this.#streams.add(stream);
    return stream;
  }

  async dispose(): Promise<void> {
    if (this.#disposed) return;
    this.#disposed = true;
    await this.#turn;
    for (const stream of this.#streams) stream.close();
    await this.#parts.engine.release();
    await this.#parts.close();
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.dispose();
  }

  /** Runs `work` when everything asked for before is done: the layers hold one chunk at a time. */
  #inTurn<T>(work: () => Promise<T>): Promise<T> {
    const result = this.#turn.then(() => {
      if (this.#disposed) throw new DeviceError('the model was disposed');
      return work();
    });
    this.#turn = result.catch(() => undefined);
    return result;
  }
}
