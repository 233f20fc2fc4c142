/** What a decoder's layers and head do for a stream of tokens. */
import type { AttentionCallback } from '../graph/index.ts';
import type { Pattern } from '../pattern/index.ts';

/** Rows of logits that exist at a time: with a vocabulary of 49,152, 25 MB of them, and as much again for their softmax. */
export const HEAD_ROWS = 128;

/** The sizes of a decoder. */
export interface DecoderSizes {
  readonly vocabularySize: number;
  readonly hiddenSize: number;
  /** Width of the feed-forward's inner layer. */
  readonly intermediateSize: number;
  readonly layers: number;
  /** H */
  readonly heads: number;
  /** G, divides H. */
  readonly keyValueHeads: number;
  /** D = E */
  readonly headWidth: number;
  /** Positions that the model was trained on. */
  readonly context: number;
  /** What the model was trained to see; default all. */
  readonly pattern?: Pattern;
}

/** One chunk of tokens on its way through the layers. */
export interface Chunk {
  readonly ids: Int32Array;
  /** For an engine with `matches`: of each token what followed earlier, as LatestMatches gives it [rows, sizes]. */
  readonly matches?: Int32Array | undefined;
  /** Absolute position of the first. */
  readonly first: number;
  /** The largest position from which a query looks at sinks; Infinity: each from its own. */
  readonly farthest: number;
  readonly attention: AttentionCallback;
  /** How many of the last rows leave the last layer. */
  readonly lastRows: number;
  readonly signal: AbortSignal | undefined;
}

/** A compiled decoder: takes chunks of tokens through the layers and the head. */
export interface LanguageEngine {
  readonly config: DecoderSizes;
  /** Sizes of the matches that each token gets, of engines that have a table for them: see latest-matches.ts. */
  readonly matches?: readonly number[] | undefined;
  /** What each layer sees at most, whatever pattern is given: the past, or a window of it. */
  readonly patterns: readonly Pattern[];
  /** Whether sinks can be looked at from other positions (`farthest`). */
  readonly hasCachedPositions: boolean;
  readonly embedding: {
    /** @throws ArgumentError that names the place. */
    checkIds(name: string, ids: ArrayLike<number>): void;
  };
  /** Floats between the layers for each row of a chunk. */
  readonly floatsPerRow: number;
  /** The chunk's last rows after the last norm [lastRows, hidden], valid until the next chunk. */
  run(chunk: Chunk): Promise<Float32Array>;
  /** Logits [rows, vocabulary] of rows after the last norm [rows, hidden]. */
  logits(hidden: Float32Array): Promise<Float32Array>;
  /** Writes minus the log probability of each row's target [rows] to `into`. */
  losses(hidden: Float32Array, targets: Int32Array, into: Float32Array, signal?: AbortSignal): Promise<void>;
  release(): Promise<void>;
}
