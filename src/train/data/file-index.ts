/** Looks once through all files of a data set: where its documents are, and a fingerprint of what it holds. */
import { counted } from '../../counted.ts';
import { ArgumentError, DataError } from '../../errors.ts';
import { DocumentIndex } from './document-index.ts';
import { type DataFile, FileReader } from './files.ts';
import { Fingerprint, hex, textFingerprint } from './fingerprint.ts';

/** Bytes looked at in one step. */
const STEP = 2 ** 20;

export interface IndexOptions {
  /**
   * What a document is: each file, the default; or what lies between separators, for example `{ separator: '\n' }` for a document on
   * each line. A separator belongs to no document; nothing between two of them is no document.
   */
  readonly documents?: 'file' | { readonly separator: string | Uint8Array };
  readonly signal?: AbortSignal;
  /** Called with bytes looked at and bytes in all. */
  readonly onProgress?: (done: number, total: number) => void;
}

export interface IndexedFile {
  readonly name: string;
  readonly size: number;
  /** XXH32 of the content, 8 hexadecimal digits. */
  readonly fingerprint: string;
}

export interface FileIndex {
  readonly files: readonly IndexedFile[];
  /** Documents in the order of the files; none is empty. */
  readonly documents: DocumentIndex;
  /** Of the names, sizes and contents of all files, and of what a document is. */
  readonly fingerprint: string;
  /** Bytes of all files. */
  readonly bytes: number;
}

/**
 * Reads every byte once, a mebibyte at a time. Files of the same name, and a set without a single byte in a document, are errors.
 *
 * @throws DataError, ArgumentError
 */
export async function indexFiles(files: readonly DataFile[], options: IndexOptions = {}): Promise<FileIndex> {
  const { documents: kind = 'file', signal, onProgress } = options;
  checkNames(files);
  const separator = kind === 'file' ? undefined : separatorBytes(kind.separator);
  const bytes = files.reduce((sum, file) => sum + file.size, 0);
  const documents = new DocumentIndex();
  const indexed: IndexedFile[] = [];
  const reader = new FileReader(files);
  let done = 0;
  try {
    for (const [number, file] of files.entries()) {
      const content = new Fingerprint();
      const scanner = separator === undefined ? undefined : new SeparatorScanner(separator);
      const add = (from: number, to: number): void => {
        if (to > from) documents.add(number, from, to - from);
      };
      for (let at = 0; at < file.size; at += STEP) {
        signal?.throwIfAborted();
        const step = await reader.read(number, at, Math.min(STEP, file.size - at));
        content.update(step);
        scanner?.scan(step, add);
        done += step.length;
        onProgress?.(done, bytes);
      }
      add(scanner?.documentStart ?? 0, file.size);
      indexed.push({ name: file.name, size: file.size, fingerprint: hex(content.digest()) });
    }
  } finally {
    await reader.close();
  }
  if (documents.count === 0) {
    throw new DataError(
      `the data set is empty: ${counted(files.length, 'file')} with ${counted(bytes, 'byte')}, and no document with a byte in it`,
    );
  }
  const list = indexed.map((file) => `${file.fingerprint} ${file.size} ${file.name}\n`).join('');
  const fingerprint = textFingerprint(`${separator === undefined ? 'file' : separator.join()}\n${list}`);
  return { files: indexed, documents, fingerprint, bytes };
}

function checkNames(files: readonly DataFile[]): void {
  const seen = new Set<string>();
  for (const { name } of files) {
    if (seen.has(name)) throw new ArgumentError(`the data set has two files of the name "${name}"; names must differ`);
    seen.add(name);
  }
}

function separatorBytes(separator: string | Uint8Array): Uint8Array {
  const bytes = typeof separator === 'string' ? new TextEncoder().encode(separator) : separator;
  if (bytes.length === 0) throw new ArgumentError('documents.separator is empty; it must have at least one byte');
  return bytes;
}

/** Finds separators in bytes that come in pieces, also those that lie across two (Knuth, Morris and Pratt 1977). */
class SeparatorScanner {
  /** Where the document after the last separator starts. */
  documentStart = 0;
  readonly #separator: Uint8Array;
  /** For each length of a match: the longest shorter one that its end is. */
  readonly #shorter: Int32Array;
  #matched = 0;
  #scanned = 0;

  constructor(separator: Uint8Array) {
    this.#separator = separator;
    this.#shorter = new Int32Array(separator.length + 1);
    let border = 0;
    for (let length = 2; length <= separator.length; length++) {
      while (border > 0 && separator[border] !== separator[length - 1]) border = this.#shorter[border];
      if (separator[border] === separator[length - 1]) border++;
      this.#shorter[length] = border;
    }
  }

  /** `found` is told the range of each document that a separator ends, in bytes of the file. */
  scan(bytes: Uint8Array, found: (from: number, to: number) => void): void {
    const separator = this.#separator;
    let matched = this.#matched;
    for (let i = 0; i < bytes.length; i++) {
      while (matched > 0 && separator[matched] !== bytes[i]) matched = this.#shorter[matched];
      if (separator[matched] === bytes[i]) matched++;
      if (matched < separator.length) continue;
      const end = this.#scanned + i + 1;
      found(this.documentStart, end - separator.length);
      this.documentStart = end;
      // Separators do not overlap.
      matched = 0;
    }
    this.#matched = matched;
    this.#scanned += bytes.length;
  }
}
