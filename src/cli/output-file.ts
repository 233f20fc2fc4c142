import { randomBytes } from 'node:crypto';
import { access, constants, mkdir, rename, rm, stat, writeFile } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';
import { FarfieldError } from '../errors.ts';

/**
 * Says, before the work that ends in it, that an option names a file that cannot be written.
 * @throws FarfieldError with the option, the path and what to do.
 */
export async function checkOutputFile(path: string, option: string): Promise<void> {
  const obstacle = await obstacleTo(path);
  if (obstacle !== undefined) throw new FarfieldError(`${option} ${path}: ${obstacle}`);
}

/** Makes a folder for files, unless there is one. @throws FarfieldError with the option, the path and why it cannot be. */
export async function makeOutputFolder(path: string, option: string): Promise<void> {
  try {
    await mkdir(path, { recursive: true });
    await access(path, constants.W_OK);
  } catch (cause) {
    const isInTheWay = codeOf(cause) === 'EEXIST' || codeOf(cause) === 'ENOTDIR';
    const why = isInTheWay ? 'a file is there; name a folder' : describeWriteError(cause);
    throw new FarfieldError(`${option} ${path}: ${why}`, { cause });
  }
}

/**
 * Writes a whole file or nothing: to a temporary name beside it, then renamed. Throws FarfieldError where the place
 * cannot be written, and the signal's reason when it was aborted; neither leaves anything behind.
 */
export async function writeOutputFile(path: string, data: string | Uint8Array, signal?: AbortSignal): Promise<void> {
  const temporary = await temporaryBeside(path);
  try {
    await writeFile(temporary, data, { flag: 'wx', signal });
    await rename(temporary, path);
  } catch (error) {
    await rm(temporary, { force: true });
    signal?.throwIfAborted();
    throw new FarfieldError(`cannot write ${path}: ${describeWriteError(error)}`, { cause: error });
  }
}

/** A new name in the file's folder. @throws FarfieldError where the file cannot be written. */
export async function temporaryBeside(path: string): Promise<string> {
  await checkOutputFile(path, 'cannot write');
  return join(dirname(path), `.${basename(path)}.${randomBytes(4).toString('hex')}.part`);
}

/** Why a file could not be written, for the person who named it. */
export function describeWriteError(error: unknown): string {
  switch (codeOf(error)) {
    case 'EACCES':
    case 'EPERM':
      return 'permission denied; choose a folder that you may write to';
    case 'ENOSPC':
    case 'EDQUOT':
      return 'the disk is full; make room, or choose another';
    case 'EROFS':
      return 'the disk is read-only; choose another';
    default:
      return error instanceof Error ? error.message : String(error);
  }
}

/** What keeps a file from being written, and what to do about it. */
async function obstacleTo(path: string): Promise<string | undefined> {
  const folder = dirname(path);
  try {
    const there = await find(path);
    if (there?.isDirectory() || /[/\\]$/.test(path)) return 'it is a folder; name a file in it';
    // The file would be put in its place.
    if (there !== undefined && !there.isFile()) return 'it is a device or a pipe; name a file';
    const parent = await find(folder);
    if (parent === undefined) return `its folder does not exist; make ${folder} first`;
    if (!parent.isDirectory()) return `${folder} is not a folder; name a file in one`;
    await access(folder, constants.W_OK);
    return undefined;
  } catch (error) {
    return describeWriteError(error);
  }
}

/** What is at a path; undefined for nothing. */
async function find(path: string) {
  try {
    return await stat(path);
  } catch (error) {
    if (codeOf(error) === 'ENOENT' || codeOf(error) === 'ENOTDIR') return undefined;
    throw error;
  }
}

function codeOf(error: unknown): unknown {
  return error instanceof Error && 'code' in error ? error.code : undefined;
}
