import { readFile } from 'node:fs/promises';
import { join, sep } from 'node:path';
import { type FileServer, type FileServerOptions, serveFiles } from './serve-files.ts';

/** Serves folders to this machine alone, each below the path that is its name, such as "/" or "/models/". The longest path that fits counts. */
export function serveFolders(
  folders: Readonly<Record<string, string>>,
  options?: FileServerOptions,
): Promise<FileServer> {
  return serveFiles((path) => readFrom(folders, path), options);
}

/** The file that a path names, undefined where there is none. */
export async function readFrom(
  folders: Readonly<Record<string, string>>,
  path: string,
): Promise<Uint8Array | undefined> {
  const prefixes = Object.keys(folders).sort((a, b) => b.length - a.length);
  const prefix = prefixes.find((candidate) => path.startsWith(candidate));
  if (prefix === undefined) return undefined;
  const folder = folders[prefix];
  const file = join(folder, path.slice(prefix.length));
  // %2e%2e%2f and the like lead out of the folder.
  if (!file.startsWith(join(folder, sep))) return undefined;
  return readFile(file).catch(() => undefined);
}
