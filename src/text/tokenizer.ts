/** What a tokenizer does, whichever file it came from. */

export interface EncodeOptions {
  /** Add what the tokenizer puts around a text, such as [CLS] and [SEP]; default true. Special tokens in the text are always recognised. */
  readonly addSpecialTokens?: boolean;
}

export interface DecodeOptions {
  /** Leave special tokens out of the text; default false. */
  readonly skipSpecialTokens?: boolean;
}

export interface EncodeInPiecesOptions extends EncodeOptions {
  /** Stops between two pieces; the promise is rejected with the signal's reason. */
  readonly signal?: AbortSignal;
  /** Called after each piece with the UTF-16 units that are done, out of `total`. */
  readonly onProgress?: (done: number, total: number) => void;
}

/** Turns ids that arrive one by one into text. */
export interface StreamDecoder {
  /** The text that this id completes: may be empty, never ends inside a character. */
  push(id: number): string;
  /** What is left at the end; an incomplete character becomes U+FFFD. The decoder can be used again afterwards. */
  flush(): string;
}

/** The special tokens that stand around one text, or around and between two. */
export interface Surroundings {
  readonly before: readonly number[];
  readonly between: readonly number[];
  readonly after: readonly number[];
  /** The second text's kind of token (segment), with `after`; all else is 0. */
  readonly secondKind: number;
}

export interface Tokenizer {
  /** One more than the largest id. */
  readonly vocabularySize: number;
  readonly bosToken?: number;
  readonly eosToken?: number;
  /** What stands for a word that a masked language model is to find. */
  readonly maskToken?: number;
  /** A Jinja template, as the model's publisher wrote it. */
  readonly chatTemplate?: string;
  encode(text: string, options?: EncodeOptions): Int32Array;
  /**
   * The same ids, a piece of the text at a time, giving way to other work in between. Where the tokenizer's parts do not prove that
   * pieces give the same ids, the text is one piece.
   */
  encodeInPieces(text: string, options?: EncodeInPiecesOptions): Promise<Int32Array>;
  /** Throws TextError where an id is not in the vocabulary. */
  decode(ids: Iterable<number>, options?: DecodeOptions): string;
  /** What a token stands for in the text, as UTF-8; undefined of an unknown word. White space may be missing or more. */
  bytesOf?(id: number): Uint8Array | undefined;
  /** What is put around one text; `between` is empty. */
  aroundText?(): Surroundings;
  /** What is put around a pair of texts. */
  aroundPair?(): Surroundings;
  streamDecoder(options?: DecodeOptions): StreamDecoder;
}
