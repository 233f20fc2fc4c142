/** Reading a text token by token, or a thousand at a time, with memory for what the pattern can still see. */
import { KeyValueCache, type NumberType, type WasmDevice } from '../attention/index.ts';
import { counted } from '../counted.ts';
import { ArgumentError, DeviceError } from '../errors.ts';
import type { AttentionCallback } from '../graph/index.ts';
import type { Pattern } from '../pattern/index.ts';
import type { DecoderPattern } from './decoder-pattern.ts';
import type { LanguageEngine } from './language-engine.ts';
import { LatestMatches } from './latest-matches.ts';

/** Tokens that pass through the layers together. */
export const DEFAULT_CHUNK = 1024;

export interface TokenStreamParts {
  readonly engine: LanguageEngine;
  readonly device: WasmDevice;
  readonly pattern: Pattern;
  /** By layer. */
  readonly layers: readonly DecoderPattern[];
  readonly positions: 'given' | 'cached';
  readonly farthest: number;
  readonly chunk: number;
  readonly storage: NumberType;
  readonly inTurn: <T>(work: () => Promise<T>) => Promise<T>;
  readonly onClose: () => void;
}

export interface ReadOptions {
  /** Stops between layers; the promise rejects with the signal's reason and `length` says how far reading came. */
  readonly signal?: AbortSignal;
}

/** What is done with the rows [n, hidden] that leave the last layer. `at` is the place of the first among the ids given. */
type Tail = (hidden: Float32Array, at: number) => Promise<void>;

/**
 * A position in a text. Ids are appended by every method: prefill, prefill in chunks and decoding are the same code with different
 * numbers of ids.
 */
export class TokenStream {
  /** As given, before it was cut to the past. */
  readonly pattern: Pattern;
  readonly positions: 'given' | 'cached';
  readonly #parts: TokenStreamParts;
  readonly #cache: KeyValueCache;
  /** All tokens read, for engines that look back at them. */
  readonly #matches: LatestMatches | undefined;
  #closed = false;

  constructor(parts: TokenStreamParts) {
    const { engine, device, layers, chunk, storage } = parts;
    if (!Number.isSafeInteger(chunk) || chunk < 1) {
      throw new ArgumentError(`stream: chunk must be a positive integer, got ${chunk}`);
    }
    const { heads, keyValueHeads, headWidth } = engine.config;
    this.pattern = parts.pattern;
    this.positions = parts.positions;
    this.#parts = parts;
    this.#matches = engine.matches === undefined ? undefined : new LatestMatches(engine.matches);
    const widths = { heads, keyValueHeads, queryWidth: headWidth, valueWidth: headWidth };
    this.#cache = new KeyValueCache(
      device,
      layers.map((layer) => ({ ...layer, ...widths })),
      { storage },
    );
  }

  /** Tokens read so far: the position of the next one. */
  get length(): number {
    return this.#cache.length;
  }

  /** Bytes that keys and values take now. */
  get bytes(): number {
    return this.#cache.bytes;
  }

  /** Reads ids [n] and computes nothing more than later tokens need. */
  read(ids: ArrayLike<number>, options: ReadOptions = {}): Promise<void> {
    return this.#read('read', ids, () => 0, undefined, options);
  }

  /** Reads ids [n], n >= 1, and gives the logits of what follows the last of them [vocabulary]. */
  async logits(ids: ArrayLike<number>, options: ReadOptions = {}): Promise<Float32Array> {
    if (ids.length === 0) throw new ArgumentError('logits: needs at least one id');
    let logits = new Float32Array(0);
    await this.#read(
      'logits',
      ids,
      (isLast) => (isLast ? 1 : 0),
      async (hidden) => {
        logits = (await this.#parts.engine.logits(hidden)) as Float32Array<ArrayBuffer>;
      },
      options,
    );
    return logits;
  }

  /** Reads ids [n] and gives -log p of each target [n], natural; target i is what follows id i. */
  async losses(ids: ArrayLike<number>, targets: ArrayLike<number>, options: ReadOptions = {}): Promise<Float32Array> {
    if (targets.length !== ids.length) {
      throw new ArgumentError(
        `losses: ${counted(targets.length, 'target')} for ${counted(ids.length, 'id')}; there must be one for each`,
      );
    }
    this.#parts.engine.embedding.checkIds('losses: targets', targets);
    const losses = new Float32Array(ids.length);
    const wanted = Int32Array.from(targets);
    const tail: Tail = async (hidden, at) => {
      const rows = hidden.length / this.#parts.engine.config.hiddenSize;
      const into = losses.subarray(at, at + rows);
      await this.#parts.engine.losses(hidden, wanted.subarray(at, at + rows), into, options.signal);
    };
    await this.#read('losses', ids, (_, rows) => rows, tail, options);
    return losses;
  }

  /** Reads ids [n] and gives what the last norm makes of each [n, hidden]. */
  async hidden(ids: ArrayLike<number>, options: ReadOptions = {}): Promise<Float32Array> {
    const { hiddenSize } = this.#parts.engine.config;
    const all = new Float32Array(ids.length * hiddenSize);
    const tail: Tail = async (hidden, at) => all.set(hidden, at * hiddenSize);
    await this.#read('hidden', ids, (_, rows) => rows, tail, options);
    return all;
  }

  /** Gives the keys' and values' memory back. Safe to call twice. */
  close(): void {
    if (this.#closed) return;
    this.#closed = true;
    this.#cache.dispose();
    this.#parts.onClose();
  }

  async #read(
    name: string,
    ids: ArrayLike<number>,
    lastRows: (isLast: boolean, rows: number) => number,
    tail: Tail | undefined,
    { signal }: ReadOptions,
  ): Promise<void> {
    const { engine, chunk, farthest, inTurn } = this.#parts;
    engine.embedding.checkIds(`${name}: ids`, ids);
    const all = Int32Array.from(ids);
    const cache = this.#cache;
    const attention: AttentionCallback = (node, inputs) =>
      cache.attend(node.index, {
        ...inputs,
        scale: node.scale,
        ...(node.softcap === undefined ? {} : { softcap: node.softcap }),
        ...(signal === undefined ? {} : { signal }),
      });
    await inTurn(async () => {
      for (let from = 0; from < all.length; from += chunk) {
        if (this.#closed) throw new DeviceError(`${name}: the stream was closed`);
        signal?.throwIfAborted();
        const part = all.subarray(from, from + chunk);
        const rows = lastRows(from + part.length === all.length, part.length);
        cache.begin(part.length);
        try {
          const hidden = await engine.run({
            ids: part,
            matches: this.#matches?.append(part),
            first: cache.length,
            farthest,
            attention,
            lastRows: rows,
            signal,
          });
          if (rows > 0) await tail?.(hidden, from + part.length - rows);
          cache.end();
        } catch (error) {
          cache.abandon();
          this.#matches?.truncate(cache.length);
          throw error;
        }
      }
    });
  }
}
