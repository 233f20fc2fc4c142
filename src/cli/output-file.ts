import { randomBytes } from 'node:crypto';
import { rename, rm, writeFile } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';
import { FarfieldError } from '../errors.ts';

/**
 * Writes a whole file or nothing: to a temporary name beside it, then renamed. Throws FarfieldError where the place
 * cannot be written, and the signal's reason when it was aborted; neither leaves anything behind.
 */
export async function writeOutputFile(path: string, data: string | Uint8Array, signal?: AbortSignal): Promise<void> {
  const temporary = join(dirname(path), `.${basename(path)}.${randomBytes(4).toString('hex')}.part`);
  try {
    await writeFile(temporary, data, { flag: 'wx', signal });
    await rename(temporary, path);
  } catch (error) {
    await rm(temporary, { force: true });
    signal?.throwIfAborted();
    throw new FarfieldError(`cannot write ${path}: ${describeWriteError(error)}`, { cause: error });
  }
}

/** Why a file could not be written, for the person who named it. */
export function describeWriteError(error: unknown): string {
  const code = error instanceof Error && 'code' in error ? error.code : undefined;
  if (code === 'ENOENT' || code === 'ENOTDIR') return 'its folder does not exist';
  if (code === 'EACCES' || code === 'EPERM') return 'permission denied';
  if (code === 'EISDIR') return 'it is a folder';
  if (code === 'ENOSPC') return 'the disk is full';
  if (code === 'EROFS') return 'the disk is read-only';
  return error instanceof Error ? error.message : String(error);
}
