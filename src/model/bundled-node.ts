/** The model that comes with the package. */
import { existsSync } from 'node:fs';
import { fileURLToPath } from 'node:url';

/** Models of the package by their names. */
const BUNDLED = ['farfield-small'] as const;

/** The folder of a model that comes with the package, where `path` is its name and nothing here is called so; else `path`. */
export function bundledPath(path: string): string {
  const name = BUNDLED.find((known) => known === path);
  if (name === undefined || existsSync(path)) return path;
  return fileURLToPath(new URL(`../../models/${name}`, import.meta.url));
}
