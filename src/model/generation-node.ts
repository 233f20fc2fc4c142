/** generation_config.json on disk, in Node. */
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { ModelError } from '../errors.ts';
import { type Generation, readGeneration } from './generation.ts';

/** What a model's folder says of its outputs. @throws ModelError for a file that is not JSON, or a field that is impossible. */
export async function generationIn(
  folder: string,
  config: { readonly json: unknown; readonly source: string },
): Promise<Generation> {
  const file = join(folder, 'generation_config.json');
  const text = await readFile(file, 'utf8').catch(() => undefined);
  if (text === undefined) return readGeneration([config]);
  let json: unknown;
  try {
    json = JSON.parse(text);
  } catch (cause) {
    throw new ModelError(`${file}: is not JSON`, { cause });
  }
  return readGeneration([{ json, source: file }, config]);
}
