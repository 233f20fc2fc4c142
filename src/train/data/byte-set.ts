/** Bytes as tokens: no tokenizer, any file. */

import { type FileIndex, type IndexOptions, indexFiles } from './file-index.ts';
import type { DataFile } from './files.ts';
import { FileReader } from './files.ts';
import type { TokenSet } from './token-set.ts';

/**
 * The byte vocabulary: 0 to 255 are the bytes, whatever they are; 256 ends a document, and so also begins one; 257 replaces a masked
 * byte; 258 is the token whose output classifies a sequence, [CLS] of BERT.
 */
export const byteVocabulary = { documentEnd: 256, mask: 257, classification: 258, size: 259 } as const;

export interface ByteSet extends TokenSet {
  readonly index: FileIndex;
}

/**
 * Documents of bytes, read from the files when they are needed: in memory is the list of documents only. All files are read once at
 * the start, for the list and the fingerprint.
 *
 * @throws DataError where there is no byte, ArgumentError
 */
export async function openByteSet(files: readonly DataFile[], options: IndexOptions = {}): Promise<ByteSet> {
  const index = await indexFiles(files, options);
  const reader = new FileReader(files);
  const { documents } = index;
  return {
    index,
    vocabularySize: byteVocabulary.size,
    documentEnd: byteVocabulary.documentEnd,
    maskToken: byteVocabulary.mask,
    plainTokens: 256,
    documents: documents.count,
    fingerprint: `bytes ${index.fingerprint}`,
    length: (document) => documents.length(document),
    read: async (document, from, count) =>
      Int32Array.from(await reader.read(documents.file(document), documents.offset(document) + from, count)),
    close: () => reader.close(),
  };
}
