/** Texts as vectors. */
import { ArgumentError, TextError } from '../errors.ts';
import type { Encoder } from '../model/index.ts';
import { peakMemory } from './peak-memory.ts';

export interface EmbedOptions {
  readonly encoder: Encoder;
  /** Each of any length that the encoder's positions allow: a long text is read in one pass. Or give `ids`. */
  readonly texts?: readonly string[];
  readonly ids?: readonly ArrayLike<number>[];
  /** 'mean' (default): of all tokens, as sentence-transformers models have it; 'cls': the first token. */
  readonly pooling?: 'mean' | 'cls';
  /** Divide by the length (L2 norm), so that a dot product is the cosine. Default true. */
  readonly normalize?: boolean;
  /** Layers done of all. */
  readonly onProgress?: (done: number, total: number) => void;
  readonly signal?: AbortSignal;
}

export interface EmbedResult {
  /** One for each text [hidden]. */
  readonly embeddings: readonly Float32Array[];
  /** Tokens of each text, with those that the tokenizer puts around it. */
  readonly tokens: readonly number[];
  readonly tokensPerSecond: number;
  readonly peakMemoryBytes: number | undefined;
}

/**
 * Embeds texts: the last hidden state, pooled over each text (Reimers and Gurevych, "Sentence-BERT", section 3). Texts of different
 * lengths run packed, without padding.
 * @throws ArgumentError where a text has more tokens than the encoder has positions, TextError without a tokenizer, the signal's reason.
 */
export async function embed(options: EmbedOptions): Promise<EmbedResult> {
  const { encoder, pooling = 'mean', normalize = true, onProgress, signal } = options;
  if (pooling !== 'mean' && pooling !== 'cls') {
    throw new ArgumentError(`embed: pooling is ${String(pooling)}; it must be mean or cls`);
  }
  const inputIds = await idsOf(options);
  const output = pooling === 'mean' ? 'mean' : 'first';
  const started = performance.now();
  const results = await encoder.run({
    inputIds,
    outputs: [output],
    ...(onProgress === undefined ? {} : { onProgress }),
    ...(signal === undefined ? {} : { signal }),
  });
  const seconds = (performance.now() - started) / 1000;
  const embeddings = results.map((result) => {
    const vector = result[output] ?? new Float32Array();
    return normalize ? unit(vector) : vector;
  });
  const tokens = inputIds.map((ids) => ids.length);
  const read = tokens.reduce((sum, count) => sum + count, 0);
  return { embeddings, tokens, tokensPerSecond: read / seconds, peakMemoryBytes: peakMemory() };
}

async function idsOf({ encoder, texts, ids, signal }: EmbedOptions): Promise<readonly ArrayLike<number>[]> {
  if ((texts === undefined) === (ids === undefined)) throw new ArgumentError('embed: give either texts or ids');
  if (texts === undefined) return ids ?? [];
  const { tokenizer } = encoder;
  if (tokenizer === undefined) {
    throw new TextError(
      'embed: the encoder was loaded without a tokenizer; put tokenizer.json beside the weights, or give ids',
    );
  }
  const encoded: Int32Array[] = [];
  for (const text of texts) encoded.push(await tokenizer.encodeInPieces(text, signal ? { signal } : {}));
  return encoded;
}

/** Of length 1; zeros stay zeros. */
function unit(vector: Float32Array): Float32Array {
  const length = Math.hypot(...vector);
  return length === 0 ? vector : vector.map((x) => x / length);
}
