/** Documents of tokens: what text batches are made of. */

export interface TokenSet {
  /** One more than the largest id, special tokens included. */
  readonly vocabularySize: number;
  /** Stands before the first token of a document, as its input, and after the last one, as its target. */
  readonly documentEnd: number;
  /** What a masked token is replaced by; without it there is no masked language modelling. */
  readonly maskToken?: number;
  /** Tokens from 0 up to this, less the special ones, may stand in for a masked one. */
  readonly plainTokens: number;
  /** Number of documents. */
  readonly documents: number;
  /** Tokens of a document, its end not counted. At least 1. */
  length(document: number): number;
  /** Tokens `from` to `from + count` of a document. */
  read(document: number, from: number, count: number): Promise<Int32Array>;
  /** Changes with any token of any document. */
  readonly fingerprint: string;
  close(): Promise<void>;
}
