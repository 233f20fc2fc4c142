import type { SaveFolder } from './save-folder.ts';

/** A folder on disk for saves and the log, made with the first of them. Needs Node; in browsers there is memoryFolder(). */
export async function saveFolder(path: string): Promise<SaveFolder> {
  const { diskFolder } = await import('./folder-node.ts');
  return diskFolder(path);
}
