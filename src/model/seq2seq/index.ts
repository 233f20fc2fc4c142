/** Encoder-decoders: one file per architecture, what they share, and what runs them. */
export { SEQ2SEQ, seq2seqClasses } from './architectures.ts';
export type { OutputConstraints } from './constraints.ts';
export type { ContinueOptions } from './decode.ts';
export { type LoadSeq2SeqOptions, loadSeq2Seq } from './load.ts';
export { Seq2SeqReader } from './reader.ts';
export { type EncodedTexts, type EncodeOptions, Seq2Seq } from './seq2seq.ts';
