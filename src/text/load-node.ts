/** Tokenizers from a folder on disk, in Node. */
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { localPath, type OpenCheckpointOptions } from '../checkpoint/node.ts';
import { TextError } from '../errors.ts';
import { decodeText } from './decode-text.ts';
import { isObject } from './definition.ts';
import { tokenizerFromJson } from './hugging-face.ts';
import type { Tokenizer } from './tokenizer.ts';

/**
 * The tokenizer of a folder with tokenizer.json and perhaps tokenizer_config.json and chat_template.jinja, or of an id of the
 * Hugging Face hub. Throws TextError where there is none, HubError where the hub does not give it.
 */
export async function loadTokenizer(path: string, options: OpenCheckpointOptions = {}): Promise<Tokenizer> {
  const { hub, signal } = options;
  const folder = await localPath(path, { ...hub, files: 'tokenizer', ...(signal === undefined ? {} : { signal }) });
  const file = join(folder, 'tokenizer.json');
  const definition = await readJson(file);
  if (definition === undefined) throw new TextError(`${folder}: there is no tokenizer.json in this folder`);
  const config = (await readJson(join(folder, 'tokenizer_config.json'))) ?? {};
  const template = await readIfThere(join(folder, 'chat_template.jinja'));
  const withTemplate = isObject(config) && template !== undefined ? { ...config, chat_template: template } : config;
  return tokenizerFromJson(definition, withTemplate, file);
}

async function readJson(file: string): Promise<unknown> {
  const text = await readIfThere(file);
  if (text === undefined) return undefined;
  try {
    return JSON.parse(text);
  } catch (cause) {
    throw new TextError(`${file}: is not JSON`, { cause });
  }
}

async function readIfThere(file: string): Promise<string | undefined> {
  try {
    return decodeText(await readFile(file), file);
  } catch (error) {
    if (error instanceof Error && 'code' in error && error.code === 'ENOENT') return undefined;
    throw error;
  }
}
