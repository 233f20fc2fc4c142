/** A file on disk as a ByteSource, in Node. */
import { open } from 'node:fs/promises';
import { CheckpointError } from '../errors.ts';
import type { ByteSource } from './byte-source.ts';

/** Node refuses single reads of 2 GiB and more. */
const LARGEST_READ = 2 ** 30;

/** Opens a file for random access. The caller closes it. */
export async function fileSource(path: string): Promise<ByteSource> {
  const handle = await open(path, 'r').catch((cause: unknown) => {
    throw new CheckpointError(`${path}: cannot be opened: ${describe(cause)}`, { cause });
  });
  const stat = await handle.stat();
  if (!stat.isFile()) {
    await handle.close();
    throw new CheckpointError(`${path}: is not a file`);
  }
  return {
    name: path,
    size: stat.size,
    async read(offset, length) {
      const bytes = new Uint8Array(length);
      let filled = 0;
      while (filled < length) {
        const { bytesRead } = await handle.read(
          bytes,
          filled,
          Math.min(length - filled, LARGEST_READ),
          offset + filled,
        );
        if (bytesRead === 0) break;
        filled += bytesRead;
      }
      return filled === length ? bytes : bytes.subarray(0, filled);
    },
    close: () => handle.close(),
  };
}

function describe(cause: unknown): string {
  if (cause instanceof Error && 'code' in cause && cause.code === 'ENOENT') return 'there is no such file';
  return cause instanceof Error ? cause.message : String(cause);
}
