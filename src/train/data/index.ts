/** Data for training: sets of documents and of labelled sequences, and the batches made of them. */
export { byteVocabulary } from '../../text/byte-vocabulary.ts';
export { type ByteSet, openByteSet } from './byte-set.ts';
export { type ClassificationOptions, classificationBatches } from './classification-batches.ts';
export type { FileIndex, IndexedFile, IndexOptions } from './file-index.ts';
export { chosenFiles, type DataFile, memoryFiles } from './files.ts';
export { bertMasking, type Masking } from './masking.ts';
export { type ListOptions, listFiles, temporaryTokens } from './on-disk.ts';
export {
  type ImageArrays,
  imageSet,
  type LabelledSequence,
  type SequenceArrays,
  type SequenceSet,
  sequenceSet,
  splitSequences,
} from './sequence-set.ts';
export type { BatchSource, JsonValue } from './source.ts';
export type { SplitOptions } from './split.ts';
export { type TextBatchOptions, textBatches } from './text-batches.ts';
export type { TokenSet } from './token-set.ts';
export { memoryTokens, openTokenizedSet, type TokenizedOptions, type TokenStore } from './tokenized-set.ts';
