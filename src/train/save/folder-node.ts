/**
 * A save folder on disk:
 *
 *     step-00000200/             one folder for each save
 *     .step-00000300.part/       a save that is being written, or what a killed process left of one
 *     log.jsonl
 *
 * A save is written under its .part name, every file is synced, then the folder, which is renamed last: rename is atomic, so
 * a save has its name only when all of it is on disk.
 */
import { createHash } from 'node:crypto';
import type { FileHandle } from 'node:fs/promises';
import { mkdir, open, readdir, readFile, rename, rm, stat, truncate } from 'node:fs/promises';
import { join } from 'node:path';
import { fileSource } from '../../checkpoint/node.ts';
import { CheckpointError } from '../../errors.ts';
import type { FileDigest, LogFile, SaveFolder, SaveWriter } from './save-folder.ts';

/** Bytes that are read at once for a digest. */
const PIECE = 2 ** 20;

/** A folder on disk, made when the first save or log line is written. */
export function diskFolder(path: string): SaveFolder {
  return {
    name: path,
    log: diskLog(join(path, 'log.jsonl'), path),
    async saves() {
      const entries = await readdir(path, { withFileTypes: true }).catch((error: unknown) => {
        if (codeOf(error) === 'ENOENT') return [];
        throw new CheckpointError(`cannot keep saves in ${path}: ${messageOf(error)}`, { cause: error });
      });
      return entries.filter((entry) => entry.isDirectory() && !entry.name.startsWith('.')).map(({ name }) => name);
    },
    begin: (save) => explained(`save ${join(path, save)}`, () => beginSave(path, save)),
    open: (save, file) => fileSource(join(path, save, file)),
    digest: (save, file) => digestOf(join(path, save, file)),
    remove: (save) => explained(`remove ${join(path, save)}`, () => removeSave(path, save)),
  };
}

async function beginSave(path: string, save: string): Promise<SaveWriter> {
  await mkdir(path, { recursive: true });
  await removeLeftovers(path);
  const part = partName(path, save);
  const final = join(path, save);
  await mkdir(part);
  return {
    write: (file, pieces) => explained(`save ${final}`, () => writeFile(join(part, file), pieces)),
    commit: () =>
      explained(`save ${final}`, async () => {
        await syncFolder(part);
        // There is one only where it was found damaged: the training went on from an earlier one.
        await removeSave(path, save);
        await rename(part, final);
        await syncFolder(path);
      }),
    abandon: () => rm(part, { recursive: true, force: true }),
  };
}

function partName(path: string, save: string): string {
  return join(path, `.${save}.part`);
}

/** What killed processes left. */
async function removeLeftovers(path: string): Promise<void> {
  const names = await readdir(path);
  const leftovers = names.filter((name) => name.startsWith('.') && /\.(part|old)$/.test(name));
  await Promise.all(leftovers.map((name) => rm(join(path, name), { recursive: true, force: true })));
}

/** Takes its name away first, so that a half-removed save is never seen as one. */
async function removeSave(path: string, save: string): Promise<void> {
  const old = join(path, `.${save}.old`);
  await rm(old, { recursive: true, force: true });
  try {
    await rename(join(path, save), old);
  } catch (error) {
    if (codeOf(error) === 'ENOENT') return;
    throw error;
  }
  await rm(old, { recursive: true, force: true });
}

async function writeFile(path: string, pieces: Iterable<Uint8Array>): Promise<FileDigest> {
  const hash = createHash('sha256');
  let bytes = 0;
  await using handle = await open(path, 'wx');
  for (const piece of pieces) {
    await writeAll(handle, piece);
    hash.update(piece);
    bytes += piece.byteLength;
  }
  await handle.sync();
  return { bytes, sha256: hash.digest('hex') };
}

async function writeAll(handle: FileHandle, piece: Uint8Array): Promise<void> {
  for (let done = 0; done < piece.byteLength; ) {
    const { bytesWritten } = await handle.write(piece, done, piece.byteLength - done);
    done += bytesWritten;
  }
}

async function digestOf(path: string): Promise<FileDigest | undefined> {
  const hash = createHash('sha256');
  let bytes = 0;
  try {
    await using handle = await open(path, 'r');
    const piece = new Uint8Array(PIECE);
    for (;;) {
      const { bytesRead } = await handle.read(piece, 0, PIECE, bytes);
      if (bytesRead === 0) return { bytes, sha256: hash.digest('hex') };
      hash.update(piece.subarray(0, bytesRead));
      bytes += bytesRead;
    }
  } catch (error) {
    if (codeOf(error) === 'ENOENT') return undefined;
    throw new CheckpointError(`${path}: cannot be read: ${messageOf(error)}`, { cause: error });
  }
}

/** Makes names in a folder durable. Windows cannot, and does not need it. */
async function syncFolder(path: string): Promise<void> {
  if (process.platform === 'win32') return;
  await using handle = await open(path, 'r');
  await handle.sync();
}

function diskLog(path: string, folder: string): LogFile {
  return {
    async size() {
      try {
        return (await stat(path)).size;
      } catch (error) {
        if (codeOf(error) === 'ENOENT') return 0;
        throw error;
      }
    },
    async read() {
      try {
        return await readFile(path, 'utf8');
      } catch (error) {
        if (codeOf(error) === 'ENOENT') return '';
        throw error;
      }
    },
    append: (text) =>
      explained(`write ${path}`, async () => {
        await mkdir(folder, { recursive: true });
        await using handle = await open(path, 'a');
        await writeAll(handle, new TextEncoder().encode(text));
      }),
    sync: () =>
      explained(`write ${path}`, async () => {
        await using handle = await open(path, 'a');
        await handle.sync();
      }),
    cut: (bytes) =>
      explained(`write ${path}`, async () => {
        if ((await stat(path).catch(() => ({ size: 0 }))).size > bytes) await truncate(path, bytes);
      }),
  };
}

/** Turns the system's errors into ones that say what failed and why. */
async function explained<T>(what: string, work: () => Promise<T>): Promise<T> {
  try {
    return await work();
  } catch (error) {
    throw new CheckpointError(`cannot ${what}: ${messageOf(error)}`, { cause: error });
  }
}

function messageOf(error: unknown): string {
  switch (codeOf(error)) {
    case 'ENOSPC':
    case 'EDQUOT':
      return 'the disk is full; make room and resume';
    case 'EFBIG':
      return 'the file is larger than the system allows';
    case 'EROFS':
      return 'the disk is read-only';
    case 'EACCES':
    case 'EPERM':
      return 'permission denied';
    case 'ENOTDIR':
    case 'EEXIST':
      return 'a file stands where a folder is needed';
    default:
      return error instanceof Error ? error.message : String(error);
  }
}

function codeOf(error: unknown): unknown {
  return error instanceof Error && 'code' in error ? error.code : undefined;
}
