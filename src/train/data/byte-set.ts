/** Bytes as tokens: no tokenizer, any file. */
import { byteVocabulary } from '../../text/byte-vocabulary.ts';
import { type FileIndex, type IndexOptions, indexFiles } from './file-index.ts';
import type { DataFile } from './files.ts';
import { FileReader } from './files.ts';
import type { TokenSet } from './token-set.ts';

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
