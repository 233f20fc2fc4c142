/**
 * The directory of a zip archive (PKWARE, "APPNOTE.TXT - .ZIP File Format Specification", version 6.3), read from a file of which only
 * the end is looked at: what PyTorch's checkpoints need of the format, with its 64-bit extension.
 */
import { Inflate } from 'fflate';
import { CheckpointError } from '../errors.ts';
import { type ByteSource, readExactly } from './byte-source.ts';

export interface ZipEntry {
  readonly name: string;
  /** 0: stored; 8: deflated. */
  readonly method: number;
  /** Bytes in the archive, and of the content. */
  readonly compressedSize: number;
  readonly size: number;
  /** Of the local header. */
  readonly offset: number;
}

const END = 0x06054b50;
const END_64 = 0x06064b50;
const LOCATOR_64 = 0x07064b50;
const CENTRAL = 0x02014b50;
const LOCAL = 0x04034b50;

/** The end record is 22 bytes and a comment of up to 64 KiB. */
const LONGEST_END = 22 + 65535;
const LARGEST_DIRECTORY = 100_000_000;

/** Lists an archive's entries by name. Throws CheckpointError where it is no zip archive, truncated, or corrupt. */
export async function readZipDirectory(source: ByteSource): Promise<Map<string, ZipEntry>> {
  const fail = (why: string): never => {
    throw new CheckpointError(`${source.name}: ${why}: no zip archive, truncated, or corrupt`);
  };
  const { start, size, count } = await findDirectory(source, fail);
  if (size > LARGEST_DIRECTORY || start + size > source.size)
    fail(`its directory of ${size} bytes at ${start} is not inside`);
  const bytes = await readExactly(source, start, size, 'zip directory');
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const entries = new Map<string, ZipEntry>();
  let at = 0;
  for (let i = 0; i < count; i++) {
    if (at + 46 > size || view.getUint32(at, true) !== CENTRAL) fail(`directory entry ${i} is missing`);
    const [nameLength, extraLength, commentLength] = [28, 30, 32].map((field) => view.getUint16(at + field, true)) as [
      number,
      number,
      number,
    ];
    const end = at + 46 + nameLength + extraLength + commentLength;
    if (end > size) fail(`directory entry ${i} ends beyond the directory`);
    const name = new TextDecoder().decode(bytes.subarray(at + 46, at + 46 + nameLength));
    const sizes = withLargeSizes(
      view,
      at + 46 + nameLength,
      extraLength,
      [view.getUint32(at + 24, true), view.getUint32(at + 20, true), view.getUint32(at + 42, true)],
      () => fail(`directory entry "${name}" lacks its 64-bit sizes`),
    );
    const [contentSize, compressedSize, offset] = sizes as [number, number, number];
    if (offset + compressedSize > source.size) fail(`entry "${name}" lies beyond the end of the file`);
    if (entries.has(name)) fail(`there are two entries "${name}"`);
    entries.set(name, { name, method: view.getUint16(at + 10, true), compressedSize, size: contentSize, offset });
    at = end;
  }
  return entries;
}

/** Where the content of a stored entry begins: behind its local header. */
export async function contentOffset(source: ByteSource, entry: ZipEntry): Promise<number> {
  const header = await readExactly(source, entry.offset, 30, `zip entry "${entry.name}"`);
  const view = new DataView(header.buffer, header.byteOffset, 30);
  const start = entry.offset + 30 + view.getUint16(26, true) + view.getUint16(28, true);
  if (view.getUint32(0, true) !== LOCAL || start + entry.compressedSize > source.size) {
    throw new CheckpointError(
      `${source.name}: zip entry "${entry.name}" has no header where the directory says: corrupt`,
    );
  }
  return start;
}

/** The whole content of an entry, inflated where it is compressed; at most `largest` bytes. */
export async function readZipEntry(source: ByteSource, entry: ZipEntry, largest: number): Promise<Uint8Array> {
  const fail = (why: string): never => {
    throw new CheckpointError(`${source.name}: zip entry "${entry.name}" ${why}`);
  };
  if (entry.size > largest) fail(`has ${entry.size} bytes; at most ${largest} are read at once`);
  const bytes = await readExactly(
    source,
    await contentOffset(source, entry),
    entry.compressedSize,
    `zip entry "${entry.name}"`,
  );
  if (entry.method === 0) return entry.size === bytes.length ? bytes : fail('has two sizes: corrupt');
  if (entry.method !== 8)
    return fail(`is compressed by method ${entry.method}; Farfield reads stored and deflated ones`);
  const parts: Uint8Array[] = [];
  let size = 0;
  try {
    const inflate = new Inflate((part) => {
      size += part.length;
      // A bomb ends here, not where memory does.
      if (size > entry.size) throw new RangeError('too long');
      parts.push(part);
    });
    for (let from = 0; from < bytes.length; from += 65536) {
      inflate.push(bytes.subarray(from, from + 65536), from + 65536 >= bytes.length);
    }
  } catch (cause) {
    throw new CheckpointError(`${source.name}: zip entry "${entry.name}" cannot be inflated: corrupt`, { cause });
  }
  if (size !== entry.size) fail(`inflates to ${size} bytes, not ${entry.size}: corrupt`);
  const content = new Uint8Array(size);
  let at = 0;
  for (const part of parts) {
    content.set(part, at);
    at += part.length;
  }
  return content;
}

async function findDirectory(
  source: ByteSource,
  fail: (why: string) => never,
): Promise<{ start: number; size: number; count: number }> {
  const length = Math.min(source.size, LONGEST_END);
  const tail = await readExactly(source, source.size - length, length, 'end of a zip archive');
  const view = new DataView(tail.buffer, tail.byteOffset, tail.byteLength);
  let at = length - 22;
  while (at >= 0 && view.getUint32(at, true) !== END) at--;
  if (at < 0) fail('it has no end record');
  const [count, size, start] = [
    view.getUint16(at + 10, true),
    view.getUint32(at + 12, true),
    view.getUint32(at + 16, true),
  ];
  if (count !== 0xffff && size !== 0xffffffff && start !== 0xffffffff) return { start, size, count };
  if (at < 20 || view.getUint32(at - 20, true) !== LOCATOR_64) return { start, size, count };
  const end64 = safe(view.getBigUint64(at - 12, true), fail);
  const bytes = await readExactly(source, end64, 56, 'zip64 end record');
  const record = new DataView(bytes.buffer, bytes.byteOffset, 56);
  if (record.getUint32(0, true) !== END_64) fail('its 64-bit end record is not where it should be');
  return {
    count: safe(record.getBigUint64(32, true), fail),
    size: safe(record.getBigUint64(40, true), fail),
    start: safe(record.getBigUint64(48, true), fail),
  };
}

/** Sizes of which those that are all ones stand in the 64-bit extra field (section 4.5.3), in the order of the list. */
function withLargeSizes(
  view: DataView,
  start: number,
  length: number,
  sizes: readonly number[],
  fail: () => never,
): number[] {
  if (!sizes.includes(0xffffffff)) return [...sizes];
  for (let at = start; at + 4 <= start + length; ) {
    const end = at + 4 + view.getUint16(at + 2, true);
    if (view.getUint16(at, true) !== 1) {
      at = end;
      continue;
    }
    let next = at + 4;
    return sizes.map((size) => {
      if (size !== 0xffffffff) return size;
      if (next + 8 > Math.min(end, start + length)) return fail();
      next += 8;
      return safe(view.getBigUint64(next - 8, true), fail);
    });
  }
  return fail();
}

function safe(value: bigint, fail: (why: string) => never): number {
  return value <= Number.MAX_SAFE_INTEGER ? Number(value) : fail('a size is beyond all files');
}
