/** One file of the hub to one blob of the cache: continued where it was left, checked, and named when it is whole. */
import { createHash, type Hash } from 'node:crypto';
import { type FileHandle, mkdir, open, rename, rm, stat, statfs } from 'node:fs/promises';
import { join } from 'node:path';
import { counted } from '../../counted.ts';
import { HubError } from '../../errors.ts';
import { diskError } from './cache-node.ts';
import { holdLock } from './lock-node.ts';
import { connectionFailure, type HubClient, hubFetch, wait } from './request-node.ts';

export interface HubFile {
  /** Relative to the repository. */
  readonly name: string;
  readonly size: number;
  /** Hexadecimal: SHA-256 of the content (large files), or SHA-1 of git's blob. Also the blob's name in the cache. */
  readonly digest: string;
  readonly algorithm: 'sha256' | 'git-sha1';
  readonly url: string;
}

/** `read`: these bytes came from the network just now. A negative number takes back bytes that proved worthless. */
export type OnBytes = (bytes: number, read: boolean) => void;

/**
 * Brings `file` into the folder `blobs`. Throws HubError; on abort what has come stays for the next
 * call.
 */
export async function downloadFile(client: HubClient, file: HubFile, blobs: string, onBytes: OnBytes): Promise<void> {
  const blob = join(blobs, file.digest);
  const isHere = async (): Promise<boolean> => (await stat(blob).catch(() => undefined))?.size === file.size;
  if (await isHere()) {
    onBytes(file.size, false);
    return;
  }
  await mkdir(blobs, { recursive: true }).catch((error: unknown) => {
    throw diskError(error, blobs);
  });
  const release = await holdLock(`${blob}.farfield.lock`, client.signal);
  try {
    if (await isHere()) {
      onBytes(file.size, false);
      return;
    }
    // Not Python's name for it: its lock is of a kind that Node does not have.
    const unfinished = `${blob}.farfield.incomplete`;
    // Bytes of an earlier call may be those that are wrong, so they get a second chance without them.
    while (!(await fetchOnce(client, file, unfinished, onBytes))) onBytes(-file.size, false);
    await rename(unfinished, blob);
  } catch (error) {
    throw diskError(error, blob);
  } finally {
    await release();
  }
}

/** False where the content is wrong but began with bytes of an earlier call; they are gone then. */
async function fetchOnce(client: HubClient, file: HubFile, unfinished: string, onBytes: OnBytes): Promise<boolean> {
  const handle = await openForUpdate(unfinished);
  let continued: boolean;
  let digest: string;
  try {
    const download = new Download(client, file, handle, onBytes);
    continued = await download.readWhatIsThere();
    await checkRoom(unfinished, file, download.position);
    await download.readFromHub();
    await handle.sync();
    digest = download.digest();
  } finally {
    await handle.close();
  }
  if (digest === file.digest) return true;
  await rm(unfinished, { force: true });
  if (continued) return false;
  const name = file.algorithm === 'sha256' ? 'SHA-256' : 'git SHA-1';
  throw new HubError(
    'content',
    `${client.repository}: ${file.name}: the checksum is wrong: the hub has ${name} ${file.digest} on record, what came has ${digest}; it was deleted`,
  );
}

class Download {
  position = 0;
  #hash: Hash;
  readonly #client: HubClient;
  readonly #file: HubFile;
  readonly #handle: FileHandle;
  readonly #onBytes: OnBytes;

  constructor(client: HubClient, file: HubFile, handle: FileHandle, onBytes: OnBytes) {
    this.#client = client;
    this.#file = file;
    this.#handle = handle;
    this.#onBytes = onBytes;
    this.#hash = startHash(file);
  }

  digest(): string {
    return this.#hash.digest('hex');
  }

  /** Hashes what an earlier call has left. Whether there was anything. */
  async readWhatIsThere(): Promise<boolean> {
    const { size } = await this.#handle.stat();
    if (size > this.#file.size) {
      await this.#handle.truncate(0);
      return false;
    }
    const buffer = new Uint8Array(1 << 20);
    while (this.position < size) {
      this.#client.signal?.throwIfAborted();
      const { bytesRead } = await this.#handle.read(buffer, 0, buffer.length, this.position);
      if (bytesRead === 0) break;
      this.#hash.update(buffer.subarray(0, bytesRead));
      this.position += bytesRead;
      this.#onBytes(bytesRead, false);
    }
    return this.position > 0;
  }

  /** Reads the rest; a connection that breaks is made again from where it broke, as long as each brings something. */
  async readFromHub(): Promise<void> {
    const { name, size } = this.#file;
    for (let tried = 0; this.position < size; tried++) {
      const before = this.position;
      const broken = await this.#readAsFarAsItGoes();
      if (this.position === size) return;
      if (this.position > before) tried = 0;
      if (tried >= this.#client.retries) {
        const why = broken === undefined ? 'the hub ends it' : `the connection breaks (${broken})`;
        throw new HubError(
          'unreachable',
          `${this.#client.repository}: ${name}: ${why} after ${this.position} of ${counted(size, 'byte')}; they are kept, the next call continues there`,
        );
      }
      await wait(this.#client, tried);
    }
  }

  /** One answer. What broke it, or undefined where it came to an end. */
  async #readAsFarAsItGoes(): Promise<string | undefined> {
    const { name, size, url } = this.#file;
    const { signal, stallTimeout, repository } = this.#client;
    const stalled = new AbortController();
    const either = signal === undefined ? stalled.signal : AbortSignal.any([signal, stalled.signal]);
    // Compressed bytes would be counted differently from those that are hashed.
    const headers = new Headers({ 'accept-encoding': 'identity' });
    if (this.position > 0) headers.set('range', `bytes=${this.position}-`);
    const what = `${repository}: ${name}`;
    const response = await hubFetch(this.#client, url, what, { headers, signal: either });
    if (!continuesAt(response, this.position)) await this.#startAgain();
    const reader = response.body?.getReader();
    if (reader === undefined) return undefined;
    let timer: NodeJS.Timeout | undefined;
    try {
      for (;;) {
        timer = setTimeout(() => stalled.abort(), stallTimeout);
        const { done, value } = await reader.read();
        clearTimeout(timer);
        if (done) return undefined;
        if (this.position + value.length > size) {
          throw new HubError('content', `${what}: more bytes come than the ${size} that the hub has on record`);
        }
        await this.#write(value);
      }
    } catch (error) {
      signal?.throwIfAborted();
      if (stalled.signal.aborted) return `nothing came for ${counted(stallTimeout / 1000, 'second')}`;
      if (error instanceof HubError || isOfTheDisk(error)) throw error;
      return connectionFailure(error);
    } finally {
      clearTimeout(timer);
      await reader.cancel().catch(() => undefined);
    }
  }

  async #write(bytes: Uint8Array): Promise<void> {
    let written = 0;
    while (written < bytes.length) {
      const rest = bytes.subarray(written);
      written += (await this.#handle.write(rest, 0, rest.length, this.position + written)).bytesWritten;
    }
    this.#hash.update(bytes);
    this.position += bytes.length;
    this.#onBytes(bytes.length, true);
  }

  async #startAgain(): Promise<void> {
    if (this.position === 0) return;
    this.#onBytes(-this.position, false);
    this.position = 0;
    this.#hash = startHash(this.#file);
    await this.#handle.truncate(0);
  }
}

/** git hashes a header with the size before the content. */
function startHash({ algorithm, size }: HubFile): Hash {
  return algorithm === 'sha256' ? createHash('sha256') : createHash('sha1').update(`blob ${size}\0`);
}

/** Servers may answer a range with the whole. */
function continuesAt(response: Response, position: number): boolean {
  if (response.status !== 206) return false;
  return /^bytes (\d+)-/.exec(response.headers.get('content-range') ?? '')?.[1] === String(position);
}

function isOfTheDisk(error: unknown): boolean {
  return error instanceof Error && 'syscall' in error && error.syscall === 'write';
}

async function openForUpdate(path: string): Promise<FileHandle> {
  return open(path, 'r+').catch((error: unknown) => {
    if (error instanceof Error && 'code' in error && error.code === 'ENOENT') return open(path, 'w+');
    throw error;
  });
}

/** Says before the first byte that the file will not fit. */
async function checkRoom(path: string, { name, size }: HubFile, have: number): Promise<void> {
  const { bavail, bsize } = await statfs(path);
  if (bavail * bsize >= size - have) return;
  throw new HubError(
    'disk',
    `${name}: ${size - have} bytes are still to come and the disk has room for ${bavail * bsize} at ${path}; make room, or put the cache elsewhere with HF_HUB_CACHE`,
  );
}
