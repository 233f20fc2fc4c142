/** The files of a data set, wherever they are: on disk, chosen in the browser, or in memory. */
import { type ByteSource, blobSource, memorySource } from '../../checkpoint/index.ts';
import { counted } from '../../counted.ts';
import { DataError } from '../../errors.ts';

/** A file that can be opened again and again. */
export interface DataFile {
  /** Its path in the data set, with `/` between parts: what the fingerprint and error messages call it. */
  readonly name: string;
  /** In bytes. */
  readonly size: number;
  open(): Promise<ByteSource>;
}

/** Texts and bytes that are in memory, as files. */
export function memoryFiles(contents: Readonly<Record<string, string | Uint8Array>>): DataFile[] {
  return Object.entries(contents).map(([name, content]) => {
    const bytes = typeof content === 'string' ? new TextEncoder().encode(content) : content;
    return { name, size: bytes.length, open: async () => memorySource(bytes, name) };
  });
}

/** Files that a person chose in the browser; those of a chosen folder have their path in it. Sorted by name. */
export function chosenFiles(files: Iterable<File>): DataFile[] {
  const named = Array.from(files, (file) => {
    const name = file.webkitRelativePath || file.name;
    return { name, size: file.size, open: async () => blobSource(file, name) };
  });
  return named.sort(byName);
}

/** By code units, which no locale changes. */
export function byName(a: { readonly name: string }, b: { readonly name: string }): number {
  return a.name < b.name ? -1 : a.name > b.name ? 1 : 0;
}

/** Files kept open at once. */
const OPEN_FILES = 32;

interface OpenFile {
  readonly source: Promise<ByteSource>;
  /** Reads that have not ended; a file is not closed below them. */
  reads: number;
}

/** Reads ranges of many files and keeps the files open that were read last. */
export class FileReader {
  readonly #files: readonly DataFile[];
  readonly #open = new Map<number, OpenFile>();

  constructor(files: readonly DataFile[]) {
    this.#files = files;
  }

  /** Bytes `offset` to `offset + length` of one file. @throws DataError where they cannot be had. */
  async read(file: number, offset: number, length: number): Promise<Uint8Array> {
    const entry = this.#openFile(file);
    entry.reads++;
    try {
      const bytes = await (await entry.source).read(offset, length);
      if (bytes.length === length) return bytes;
      throw new DataError(
        `${this.#files[file].name}: asked for ${counted(length, 'byte')} at ${offset}, got ${bytes.length}; did the file change while it was in use?`,
      );
    } finally {
      entry.reads--;
    }
  }

  async close(): Promise<void> {
    const entries = [...this.#open.values()];
    this.#open.clear();
    await Promise.all(entries.map(closeFile));
  }

  #openFile(file: number): OpenFile {
    const known = this.#open.get(file);
    // Deleting and setting again moves an entry to the end: a Map keeps the order of insertion, so the oldest stands first.
    this.#open.delete(file);
    const entry = known ?? { source: openChecked(this.#files[file]), reads: 0 };
    this.#open.set(file, entry);
    if (known === undefined) {
      // A file that could not be opened is tried anew the next time.
      entry.source.catch(() => this.#open.delete(file));
      this.#closeOldest(entry);
    }
    return entry;
  }

  #closeOldest(newest: OpenFile): void {
    for (const [file, entry] of this.#open) {
      if (this.#open.size <= OPEN_FILES) return;
      if (entry.reads > 0 || entry === newest) continue;
      this.#open.delete(file);
      void closeFile(entry);
    }
  }
}

async function closeFile({ source }: OpenFile): Promise<void> {
  const opened = await source.catch(() => undefined);
  await opened?.close?.();
}

async function openChecked(file: DataFile): Promise<ByteSource> {
  const source = await file.open().catch((cause: unknown) => {
    throw new DataError(`${file.name}: cannot be opened: ${cause instanceof Error ? cause.message : String(cause)}`, {
      cause,
    });
  });
  if (source.size === file.size) return source;
  await source.close?.();
  throw new DataError(
    `${file.name}: had ${counted(file.size, 'byte')} when the data set was listed, and has ${source.size} now: it changed`,
  );
}
