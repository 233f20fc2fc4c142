import { readFile } from 'node:fs/promises';
import { FarfieldError } from '../errors.ts';

/** A file that an option names. @throws FarfieldError with the option, the path and why it cannot be read. */
export async function readInputFile(path: string, option: string): Promise<Uint8Array> {
  try {
    return await readFile(path);
  } catch (cause) {
    throw new FarfieldError(`${option} ${path}: ${describeReadError(cause)}`, { cause });
  }
}

function describeReadError(error: unknown): string {
  switch (error instanceof Error && 'code' in error ? error.code : undefined) {
    case 'ENOENT':
    case 'ENOTDIR':
      return 'there is no such file';
    case 'EISDIR':
      return 'it is a folder; name a file in it';
    case 'EACCES':
    case 'EPERM':
      return 'permission denied; you may not read it';
    default:
      return error instanceof Error ? error.message : String(error);
  }
}
