/** Documents as the tokens of a tokenizer. */
import { counted } from '../../counted.ts';
import { ArgumentError, DataError } from '../../errors.ts';
import { decodeText, type Tokenizer } from '../../text/index.ts';
import { DocumentIndex } from './document-index.ts';
import { type IndexOptions, indexFiles } from './file-index.ts';
import { type DataFile, FileReader } from './files.ts';
import { Fingerprint, hex } from './fingerprint.ts';
import { littleEndian } from './little-endian.ts';
import type { TokenSet } from './token-set.ts';

/** Where token ids are kept between reading the texts once and training: memory, or a temporary file in Node. */
export interface TokenStore {
  append(tokens: Int32Array): Promise<void>;
  /** Tokens `from` to `from + count` of all that were appended. */
  read(from: number, count: number): Promise<Int32Array>;
  close(): Promise<void>;
}

export interface TokenizedOptions extends IndexOptions {
  /** Default: in memory, 4 bytes for a token. */
  readonly store?: TokenStore;
  /** Default: the tokenizer's end-of-text token. */
  readonly documentEnd?: number;
  /** Needed for masked language modelling. */
  readonly maskToken?: number;
}

/** Longer documents are encoded in pieces of this many bytes at most, cut after a line where there is one. */
const PIECE = 2 ** 20;

/**
 * Reads and encodes all documents once, a mebibyte of text at a time, without the tokens that a tokenizer puts around a text. In a document
 * of more than a mebibyte, the tokens at the cuts may differ from those of the whole text.
 *
 * @throws DataError; TextError where a document is not UTF-8; ArgumentError where there is no token to end documents with
 */
export async function openTokenizedSet(
  files: readonly DataFile[],
  tokenizer: Tokenizer,
  options: TokenizedOptions = {},
): Promise<TokenSet> {
  const { documentEnd = tokenizer.eosToken, maskToken, store = memoryTokens(), signal } = options;
  if (documentEnd === undefined) {
    throw new ArgumentError('this tokenizer has no end-of-text token; give the id that ends documents as documentEnd');
  }
  for (const [name, id] of Object.entries({ documentEnd, maskToken })) {
    if (id !== undefined && !(Number.isInteger(id) && id >= 0 && id < tokenizer.vocabularySize)) {
      throw new ArgumentError(
        `${name} is ${id}; it must be an id of the vocabulary, 0 to ${tokenizer.vocabularySize - 1}`,
      );
    }
  }
  const { documents: texts } = await indexFiles(files, options);
  const reader = new FileReader(files);
  const documents = new DocumentIndex();
  const content = new Fingerprint();
  let total = 0;
  try {
    for (let text = 0; text < texts.count; text++) {
      const before = total;
      for await (const piece of textPieces(reader, files, texts, text)) {
        signal?.throwIfAborted();
        const ids = tokenizer.encode(piece, { addSpecialTokens: false });
        content.update(littleEndian(ids));
        await store.append(ids);
        total += ids.length;
      }
      if (total === before) continue;
      content.update(littleEndian(Int32Array.of(documentEnd)));
      documents.add(0, before, total - before);
    }
  } catch (error) {
    await store.close();
    throw error;
  } finally {
    await reader.close();
  }
  if (documents.count === 0) {
    await store.close();
    throw new DataError(`the data set is empty: there is no token in ${counted(texts.count, 'document')}`);
  }
  return {
    vocabularySize: tokenizer.vocabularySize,
    documentEnd,
    ...(maskToken === undefined ? {} : { maskToken }),
    plainTokens: tokenizer.vocabularySize,
    documents: documents.count,
    fingerprint: `tokens ${total} in ${documents.count}, vocabulary ${tokenizer.vocabularySize} ${documentEnd} ${maskToken ?? '-'}, ${hex(content.digest())}`,
    length: (document) => documents.length(document),
    read: (document, from, count) => store.read(documents.offset(document) + from, count),
    close: () => store.close(),
  };
}

/** The texts of a document, one after the other. */
async function* textPieces(
  reader: FileReader,
  files: readonly DataFile[],
  texts: DocumentIndex,
  text: number,
): AsyncGenerator<string> {
  const [file, offset, length] = [texts.file(text), texts.offset(text), texts.length(text)];
  for (let at = 0; at < length; ) {
    const bytes = await reader.read(file, offset + at, Math.min(PIECE, length - at));
    const end = at + bytes.length === length ? bytes.length : pieceEnd(bytes);
    yield decodeText(bytes.subarray(0, end), `${files[file].name}, from byte ${offset + at}`);
    at += end;
  }
}

/** After the last line end; without one, before a character that may not be complete. */
function pieceEnd(bytes: Uint8Array): number {
  const line = bytes.lastIndexOf(0x0a);
  if (line >= 0) return line + 1;
  let end = bytes.length;
  while (end > bytes.length - 4 && (bytes[end - 1] & 0xc0) === 0x80) end--;
  return bytes[end - 1] >= 0xc0 ? end - 1 : bytes.length;
}

/** Tokens in blocks of a mebitoken. */
export function memoryTokens(): TokenStore {
  const block = 2 ** 20;
  const blocks: Int32Array[] = [];
  let total = 0;
  return {
    append: async (tokens) => {
      for (let at = 0; at < tokens.length; ) {
        const within = total % block;
        if (within === 0) blocks.push(new Int32Array(block));
        const taken = tokens.subarray(at, at + block - within);
        blocks[blocks.length - 1].set(taken, within);
        at += taken.length;
        total += taken.length;
      }
    },
    read: async (from, count) => {
      const tokens = new Int32Array(count);
      for (let at = 0; at < count; ) {
        const within = (from + at) % block;
        const taken = blocks[Math.floor((from + at) / block)].subarray(within, within + count - at);
        tokens.set(taken, at);
        at += taken.length;
      }
      return tokens;
    },
    close: async () => {
      blocks.length = 0;
    },
  };
}
