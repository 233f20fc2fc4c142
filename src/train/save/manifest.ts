/** The list of a save's files with their sizes and hashes. It is written last, so a save without it is not whole. */
import * as v from 'valibot';
import { readExactly } from '../../checkpoint/byte-source.ts';
import { counted } from '../../counted.ts';
import type { FileDigest, SaveFolder, SaveWriter } from './save-folder.ts';

const MANIFEST = 'manifest.json';

const schema = v.object({
  files: v.record(v.string(), v.object({ bytes: v.number(), sha256: v.pipe(v.string(), v.length(64)) })),
});

/** Files of a save, and their manifest after them. */
export async function writeWithManifest(
  writer: SaveWriter,
  files: readonly (readonly [name: string, pieces: Iterable<Uint8Array>])[],
): Promise<void> {
  const digests: Record<string, FileDigest> = {};
  for (const [name, pieces] of files) digests[name] = await writer.write(name, pieces);
  const json = `${JSON.stringify({ files: digests }, undefined, 2)}\n`;
  await writer.write(MANIFEST, [new TextEncoder().encode(json)]);
}

/** What is wrong with a save; undefined where every file has the size and the hash that the manifest lists. Reads all of it. */
export async function damageOf(folder: SaveFolder, save: string): Promise<string | undefined> {
  if ((await folder.digest(save, MANIFEST)) === undefined) return `${MANIFEST} is missing`;
  const files = await readManifest(folder, save);
  if (files === undefined) return `${MANIFEST} is not what was written`;
  for (const [file, expected] of Object.entries(files)) {
    const found = await folder.digest(save, file);
    if (found === undefined) return `${file} is missing`;
    if (found.bytes !== expected.bytes) return `${file} has ${counted(found.bytes, 'byte')}, not ${expected.bytes}`;
    if (found.sha256 !== expected.sha256) return `the SHA-256 of ${file} differs`;
  }
  return undefined;
}

async function readManifest(folder: SaveFolder, save: string): Promise<Record<string, FileDigest> | undefined> {
  try {
    return v.parse(schema, JSON.parse(await readText(folder, save, MANIFEST))).files;
  } catch {
    return undefined;
  }
}

/** A small file of a save as text. */
export async function readText(folder: SaveFolder, save: string, file: string): Promise<string> {
  const source = await folder.open(save, file);
  try {
    return new TextDecoder().decode(await readExactly(source, 0, source.size, 'the text'));
  } finally {
    await source.close?.();
  }
}
