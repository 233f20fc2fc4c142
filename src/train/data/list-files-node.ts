/** The files of a data set on disk, in Node. */
import { readdir, stat } from 'node:fs/promises';
import { basename, join, resolve } from 'node:path';
import { fileSource } from '../../checkpoint/node.ts';
import { DataError } from '../../errors.ts';
import { byName, type DataFile } from './files.ts';
import { globMatcher } from './glob.ts';
import type { ListOptions } from './on-disk.ts';

const EXCLUDED = ['.*', 'node_modules'];

/** See listFiles() in on-disk.ts. */
export async function listOnDisk(roots: readonly string[], options: ListOptions): Promise<DataFile[]> {
  const included = (options.include ?? ['**']).map(globMatcher);
  const excluded = (options.exclude ?? EXCLUDED).map(globMatcher);
  const files: DataFile[] = [];
  for (const root of roots) {
    const prefix = roots.length > 1 ? `${basename(resolve(root))}/` : '';
    const entry = await stat(root).catch((cause: unknown) => {
      throw new DataError(`${root}: there is no such file or folder`, { cause });
    });
    if (entry.isFile()) {
      files.push(await diskFile(root, basename(root)));
      continue;
    }
    for await (const name of walk(root, '', (path) => excluded.some((fits) => fits(path)), options.signal)) {
      if (included.some((fits) => fits(name))) files.push(await diskFile(join(root, name), prefix + name));
    }
  }
  if (files.length === 0) {
    const patterns = options.include === undefined ? '' : ` that fits ${options.include.join(' or ')}`;
    throw new DataError(`${roots.join(', ')}: there is no file${patterns}`);
  }
  return files.sort(byName);
}

async function* walk(
  root: string,
  folder: string,
  isExcluded: (path: string) => boolean,
  signal: AbortSignal | undefined,
): AsyncGenerator<string> {
  signal?.throwIfAborted();
  for (const entry of await readdir(join(root, folder), { withFileTypes: true })) {
    const path = folder + entry.name;
    if (isExcluded(path)) continue;
    if (entry.isDirectory()) yield* walk(root, `${path}/`, isExcluded, signal);
    else if (entry.isFile()) yield path;
  }
}

async function diskFile(path: string, name: string): Promise<DataFile> {
  const absolute = resolve(path);
  const { size } = await stat(absolute);
  return { name, size, open: () => fileSource(absolute) };
}
