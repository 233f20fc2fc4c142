/** The model that comes with the package. */
import { existsSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { ModelError } from '../errors.ts';

/** Models of the package by their names. */
const BUNDLED = ['farfield-small'] as const;

/**
 * The folder of a model that comes with the package, where `path` is its name and nothing here is called so; else `path`.
 * @throws ModelError for a name that begins as such a model's does, of which there is none.
 */
export function bundledPath(path: string): string {
  const name = BUNDLED.find((known) => known === path);
  if (existsSync(path)) return path;
  if (name === undefined) {
    if (!/^farfield-[\w.-]*$/.test(path)) return path;
    throw new ModelError(`${path}: there is no such file or folder; the model of the package is ${BUNDLED.join(', ')}`);
  }
  return fileURLToPath(new URL(`../../models/${name}`, import.meta.url));
}
