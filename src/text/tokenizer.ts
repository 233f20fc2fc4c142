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

export interface Tokenizer {
  /** One more than the largest id. */
  readonly vocabularySize: number;
  readonly bosToken?: number;
  readonly eosToken?: number;
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
  streamDecoder(options?: DecodeOptions): StreamDecoder;
}
