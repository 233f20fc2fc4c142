/** A save folder in memory: for browsers, which may keep it where they like, and for tests. */
import { memorySource } from '../../checkpoint/index.ts';
import { CheckpointError } from '../../errors.ts';
import type { FileDigest, LogFile, SaveFolder } from './save-folder.ts';

export interface MemoryFolder extends SaveFolder {
  /** save -> file -> bytes */
  readonly files: Map<string, Map<string, Uint8Array<ArrayBuffer>>>;
}

export function memoryFolder(name = 'memory'): MemoryFolder {
  const files: MemoryFolder['files'] = new Map();
  return {
    name,
    files,
    log: memoryLog(),
    saves: async () => [...files.keys()],
    async begin(save) {
      const written = new Map<string, Uint8Array<ArrayBuffer>>();
      return {
        async write(file, pieces) {
          const bytes = joined(pieces);
          written.set(file, bytes);
          return digestOf(bytes);
        },
        async commit() {
          files.set(save, written);
        },
        async abandon() {
          written.clear();
        },
      };
    },
    async open(save, file) {
      const bytes = files.get(save)?.get(file);
      if (bytes === undefined) throw new CheckpointError(`${name}/${save}/${file}: there is no such file`);
      return memorySource(bytes, `${name}/${save}/${file}`);
    },
    async digest(save, file) {
      const bytes = files.get(save)?.get(file);
      return bytes === undefined ? undefined : digestOf(bytes);
    },
    async remove(save) {
      files.delete(save);
    },
  };
}

function memoryLog(): LogFile {
  let bytes = new Uint8Array(0);
  return {
    size: async () => bytes.length,
    read: async () => new TextDecoder().decode(bytes),
    async append(text) {
      bytes = joined([bytes, new TextEncoder().encode(text)]);
    },
    sync: async () => {},
    async cut(length) {
      bytes = bytes.slice(0, length);
    },
  };
}

function joined(pieces: Iterable<Uint8Array>): Uint8Array<ArrayBuffer> {
  const parts = [...pieces];
  const bytes = new Uint8Array(parts.reduce((sum, part) => sum + part.length, 0));
  let at = 0;
  for (const part of parts) {
    bytes.set(part, at);
    at += part.length;
  }
  return bytes;
}

async function digestOf(bytes: Uint8Array<ArrayBuffer>): Promise<FileDigest> {
  const hash = new Uint8Array(await crypto.subtle.digest('SHA-256', bytes));
  return { bytes: bytes.length, sha256: Array.from(hash, (byte) => byte.toString(16).padStart(2, '0')).join('') };
}
