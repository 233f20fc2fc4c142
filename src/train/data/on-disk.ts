/** The parts of data sets that need Node, loaded when they are called. */
import type { DataFile } from './files.ts';
import type { TokenStore } from './tokenized-set.ts';

export interface ListOptions {
  /** Files that fit one of these patterns; default all. See globMatcher. */
  readonly include?: readonly string[];
  /** Files and whole folders that fit one of these are left out; default names that start with a dot, and node_modules. */
  readonly exclude?: readonly string[];
  readonly signal?: AbortSignal;
}

/**
 * The files of `paths`, each a file or a folder that is searched with all folders in it, sorted by name. A file that is named itself
 * is taken whatever the patterns say. Names are paths below the folder that was given, with that folder's own name before them where
 * several paths were given: a data set stays the same when it moves. Links inside a folder are not followed. Only names and sizes are read.
 * Needs Node; browsers have chosenFiles().
 *
 * @throws DataError where a path does not exist, or nothing fits.
 */
export async function listFiles(paths: string | readonly string[], options: ListOptions = {}): Promise<DataFile[]> {
  const { listOnDisk } = await import('./list-files-node.ts');
  return listOnDisk(typeof paths === 'string' ? [paths] : paths, options);
}

/** 4 bytes for a token, in a new file below `folder`, default the system's folder for temporary files; close() deletes it. Needs Node. */
export async function temporaryTokens(folder?: string): Promise<TokenStore> {
  const { tokensOnDisk } = await import('./token-file-node.ts');
  return tokensOnDisk(folder);
}
