/** Where a training is saved: a folder on disk (folder-node.ts), or memory. */
import type { ByteSource } from '../../checkpoint/index.ts';

/** What a file held when it was written. */
export interface FileDigest {
  readonly bytes: number;
  /** 64 lower-case hexadecimal digits. */
  readonly sha256: string;
}

/** A save that is being written. Until commit() it is not among the saves; a process that dies before leaves the others as they are. */
export interface SaveWriter {
  /** Writes one file of the save. The pieces are read before the next one is asked for. */
  write(file: string, pieces: Iterable<Uint8Array>): Promise<FileDigest>;
  /** Makes all files durable, and then the save visible at once. A save of the same name is replaced. */
  commit(): Promise<void>;
  /** Removes what was written. */
  abandon(): Promise<void>;
}

/** Lines of text that grow. */
export interface LogFile {
  /** Bytes in it. */
  size(): Promise<number>;
  read(): Promise<string>;
  append(text: string): Promise<void>;
  /** Makes what was appended durable. */
  sync(): Promise<void>;
  /** Keeps the first `bytes` bytes, or all where there are fewer. */
  cut(bytes: number): Promise<void>;
}

/** Saves, each a set of files under a name, and one log. One training at a time writes to it. */
export interface SaveFolder {
  /** What messages call it: a path. */
  readonly name: string;
  readonly log: LogFile;
  /** The names of all saves that were committed, in no order. */
  saves(): Promise<string[]>;
  /** @throws CheckpointError where it cannot be written, as do the writer's methods. */
  begin(save: string): Promise<SaveWriter>;
  /** @throws CheckpointError where there is no such file. */
  open(save: string, file: string): Promise<ByteSource>;
  /** What a file holds now; undefined where there is none. */
  digest(save: string, file: string): Promise<FileDigest | undefined>;
  remove(save: string): Promise<void>;
}
