/** Where a reader gets its bytes: a file, a Blob, or memory. Readers ask for ranges, so a large file is never whole in memory. */
import { counted } from '../counted.ts';
import { CheckpointError } from '../errors.ts';

/** Random access to a fixed number of bytes. */
export interface ByteSource {
  /** What error messages call it: a path or a file name. */
  readonly name: string;
  /** Bytes in all. */
  readonly size: number;
  /** Bytes `offset` to `offset + length`. The result may share memory with the source and must not be written to. */
  read(offset: number, length: number): Promise<Uint8Array>;
  close?(): Promise<void>;
}

/** Bytes that are already in memory. `read` gives views, not copies. */
export function memorySource(bytes: Uint8Array, name = 'memory'): ByteSource {
  return {
    name,
    size: bytes.byteLength,
    read: async (offset, length) => bytes.subarray(offset, offset + length),
  };
}

/** A Blob; with a File (a file a person chose in the browser) the name is the file's. */
export function blobSource(blob: Blob, name = 'name' in blob ? String(blob.name) : 'blob'): ByteSource {
  return {
    name,
    size: blob.size,
    read: async (offset, length) => new Uint8Array(await blob.slice(offset, offset + length).arrayBuffer()),
  };
}

/**
 * `length` bytes at `offset`, or a CheckpointError that says what they were for.
 * The range is checked against the size before anything is allocated.
 */
export async function readExactly(
  source: ByteSource,
  offset: number,
  length: number,
  purpose: string,
): Promise<Uint8Array> {
  if (offset + length > source.size) {
    throw new CheckpointError(
      `${source.name}: ${purpose} needs bytes ${offset} to ${offset + length}, but the file has ${source.size}: it is truncated or corrupt`,
    );
  }
  const bytes = await source.read(offset, length);
  if (bytes.byteLength !== length) {
    throw new CheckpointError(
      `${source.name}: ${purpose}: asked for ${counted(length, 'byte')} at ${offset}, got ${bytes.byteLength}; did the file change while it was read?`,
    );
  }
  return bytes;
}
