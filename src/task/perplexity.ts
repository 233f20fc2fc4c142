/** How well a model predicts a text. */
import type { NumberType } from '../attention/index.ts';
import { counted } from '../counted.ts';
import { ArgumentError, MemoryError } from '../errors.ts';
import type { LanguageModel, Positions, TokenStream } from '../model/index.ts';
import { dense, type Pattern } from '../pattern/index.ts';
import { peakMemory } from './peak-memory.ts';
import { readLosses, total } from './read-losses.ts';

export interface PerplexityProgress {
  /** Tokens read, of `total`. */
  readonly done: number;
  readonly total: number;
  readonly tokensPerSecond: number;
  /** Of the tokens so far. */
  readonly perplexity: number;
  /** What is being read: the pattern asked for, or what it is compared with. */
  readonly run: 'pattern' | 'dense';
}

export interface PerplexityOptions {
  readonly model: LanguageModel;
  /** Token ids of the text. */
  readonly ids: ArrayLike<number>;
  /** Which earlier tokens each token sees. Default: what the model was trained to see, all for most. */
  readonly pattern?: Pattern;
  /** Default 'auto': see Positions. */
  readonly positions?: Positions;
  /** How keys and values are kept. Default 'f32'. */
  readonly storage?: NumberType;
  /** Tokens to read from the start. Default: all. */
  readonly length?: number;
  /** Reads the text with dense attention too, as far as memory goes. */
  readonly compare?: 'dense';
  /** Tokens to read for the comparison, whose time grows with the square of it. Default: `length`. */
  readonly compareLength?: number;
  readonly onProgress?: (progress: PerplexityProgress) => void;
  readonly signal?: AbortSignal;
}

export interface PerplexityResult {
  /** Tokens read. The first is given, so one fewer is predicted. */
  readonly tokens: number;
  /** e to the mean of -log p over all predicted tokens. */
  readonly perplexity: number;
  /** The same over the last tenth of them. */
  readonly perplexityLastTenth: number;
  /** Bits that the predictions leave to say for each byte of the text (UTF-8) that was predicted: a measure across tokenizers. */
  readonly bitsPerByte: number;
  /** -log p of each predicted token, natural [tokens - 1]. */
  readonly losses: Float32Array;
  readonly tokensPerSecond: number;
  readonly seconds: number;
  /** The most memory that the process has held until this run's end. */
  readonly peakMemoryBytes: number | undefined;
  /** Bytes of keys and values at the end. */
  readonly cacheBytes: number;
  readonly pattern: Pattern;
  readonly positions: 'given' | 'cached';
  readonly compared?: PerplexityResult;
}

/**
 * Reads a text and measures how well each token was predicted from those before it that the pattern lets it see: Jelinek et al.,
 * "Perplexity - a measure of the difficulty of speech recognition tasks".
 * @throws ArgumentError for fewer than two tokens, MemoryError before reading where `length` does not fit, the signal's reason.
 */
export async function perplexity(options: PerplexityOptions): Promise<PerplexityResult> {
  const { model, ids, pattern = model.config.pattern, positions = 'auto', length = ids.length, compare } = options;
  const { storage = 'f32' } = options;
  if (ids.length < 2) {
    throw new ArgumentError(`perplexity: the text has ${counted(ids.length, 'token')}; it must have 2 or more`);
  }
  if (!Number.isSafeInteger(length) || length < 2 || length > ids.length) {
    throw new ArgumentError(
      `perplexity: length is ${length}; it must be an integer from 2 to the ${ids.length} tokens of the text`,
    );
  }
  const result = await measure(
    options,
    model.stream({ ...(pattern === undefined ? {} : { pattern }), positions, length, storage }),
    length,
    'pattern',
  );
  if (compare === undefined) return result;
  const wanted = Math.max(2, Math.min(options.compareLength ?? length, length));
  const [stream, reached] = longestDense(model, wanted);
  return { ...result, compared: await measure(options, stream, reached, 'dense') };
}

/** Dense attention keeps every key: of a text that does not fit, the longest part among halves, quarters, ... of it that does. */
function longestDense(model: LanguageModel, length: number): [TokenStream, number] {
  for (let part = length; ; part = Math.floor(part / 2)) {
    try {
      return [model.stream({ pattern: dense(), positions: 'given', length: part }), part];
    } catch (error) {
      if (!(error instanceof MemoryError) || part < 4) throw error;
    }
  }
}

async function measure(
  { model, ids, onProgress, signal }: PerplexityOptions,
  stream: TokenStream,
  tokens: number,
  run: 'pattern' | 'dense',
): Promise<PerplexityResult> {
  const start = performance.now();
  const elapsed = () => (performance.now() - start) / 1000;
  try {
    const losses = await readLosses(stream, ids, tokens, {
      ...(signal === undefined ? {} : { signal }),
      onStep: (done, nats) => {
        const perplexity = Math.exp(nats / Math.min(done, tokens - 1));
        onProgress?.({ done, total: tokens, tokensPerSecond: done / elapsed(), perplexity, run });
      },
    });
    const seconds = elapsed();
    const lastTenth = losses.subarray(losses.length - Math.ceil(losses.length / 10));
    const nats = total(losses);
    return {
      tokens,
      perplexity: Math.exp(nats / losses.length),
      perplexityLastTenth: Math.exp(total(lastTenth) / lastTenth.length),
      bitsPerByte: nats / Math.LN2 / predictedBytes(model, ids, tokens),
      losses,
      tokensPerSecond: tokens / seconds,
      seconds,
      peakMemoryBytes: peakMemory(),
      cacheBytes: stream.bytes,
      pattern: stream.pattern,
      positions: stream.positions,
    };
  } finally {
    stream.close();
  }
}

/** Bytes of the text that tokens 1 to `tokens` - 1 stand for. */
function predictedBytes({ tokenizer }: LanguageModel, ids: ArrayLike<number>, tokens: number): number {
  const predicted = Array.from({ length: tokens - 1 }, (_, i) => ids[i + 1] ?? -1);
  return new TextEncoder().encode(tokenizer.decode(predicted, { skipSpecialTokens: true })).length;
}
