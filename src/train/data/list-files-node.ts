/** The files of a data set on disk, in Node. */
import { readdir, stat } from 'node:fs/promises';
import { basename, join, resolve } from 'node:path';
import { fileSource } from '../../checkpoint/node.ts';
import { DataError } from '../../errors.ts';
import { byName, type DataFile } from './files.ts';
import { globMatcher } from './glob.ts';

export interface ListOptions {
  /** Files that fit one of these patterns; default all. See globMatcher. */
  readonly include?: readonly string[];
  /** Files and whole folders that fit one of these are left out; default names that start with a dot, and node_modules. */
  readonly exclude?: readonly string[];
  readonly signal?: AbortSignal;
}

const EXCLUDED = ['.*', 'node_modules'];

/**
 * The files of `paths`, each a file or a folder that is searched with all folders in it, sorted by name. A file that is named itself
 * is taken whatever the patterns say. Names are paths below the folder that was given, with that folder's own name before them where
 * several paths were given: a data set stays the same when it moves. Links inside a folder are not followed. Only names and sizes are read.
 *
 * @throws DataError where a path does not exist, or nothing fits.
 */
export async function listFiles(paths: string | readonly string[], options: ListOptions = {}): Promise<DataFile[]> {
  const roots = typeof paths === 'string' ? [paths] : paths;
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
