import { open, rename, rm } from 'node:fs/promises';
import { FarfieldError } from '../errors.ts';
import { describeWriteError, temporaryBeside } from './output-file.ts';

/**
 * Writes a file part by part, or nothing: to a temporary name beside it, then renamed. For files that do not fit in memory;
 * writeOutputFile() is for the others. Throws FarfieldError where the place cannot be written, and what `parts` or the signal
 * throws; none leaves anything behind.
 */
export async function writeOutputStream(
  path: string,
  parts: AsyncIterable<Uint8Array> | Iterable<Uint8Array>,
  options: { readonly onProgress?: (bytes: number) => void; readonly signal?: AbortSignal } = {},
): Promise<void> {
  const temporary = await temporaryBeside(path);
  const cannot = (cause: unknown): never => {
    throw new FarfieldError(`cannot write ${path}: ${describeWriteError(cause)}`, { cause });
  };
  const file = await open(temporary, 'wx').catch(cannot);
  try {
    let written = 0;
    for await (const part of parts) {
      options.signal?.throwIfAborted();
      // Node refuses single writes of 2 GiB and more.
      for (let from = 0; from < part.byteLength; from += 2 ** 30) {
        await file.writeFile(part.subarray(from, from + 2 ** 30)).catch(cannot);
      }
      written += part.byteLength;
      options.onProgress?.(written);
    }
    await file.close();
    await rename(temporary, path).catch(cannot);
  } catch (error) {
    await file.close().catch(() => undefined);
    await rm(temporary, { force: true });
    throw error;
  }
}
