/** Golden models as folders that a command can open: with a tokenizer of one token for each word, which they come without. */
import { mkdir, symlink, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { runCommandLine } from '../../src/cli/program.ts';
import { GOLDEN, readJson, readTensors } from './folders.ts';

/** A letter is among the words: on it a tokenizer looks for what is put around texts. */
export const wordOf = (id: number): string => (id === 5 ? 'a' : `w${id}`);

export interface WordTokenizer {
  readonly size: number;
  /** A post-processor's templates: an id, or the text "A" or "B". */
  readonly single?: readonly (number | 'A')[];
  readonly pair?: readonly (number | 'A' | 'B')[];
}

/** A tokenizer.json. */
export function wordTokenizerJson({ size, single = ['A'], pair }: WordTokenizer): object {
  const vocab = Object.fromEntries(Array.from({ length: size }, (_, id) => [wordOf(id), id]));
  const template = (parts: readonly (number | 'A' | 'B')[]) =>
    parts.map((part) =>
      typeof part === 'number'
        ? { SpecialToken: { id: wordOf(part), type_id: 0 } }
        : { Sequence: { id: part, type_id: 0 } },
    );
  const special = [...single, ...(pair ?? [])].filter((part) => typeof part === 'number');
  return {
    normalizer: null,
    pre_tokenizer: { type: 'WhitespaceSplit' },
    model: { type: 'WordLevel', vocab, unk_token: wordOf(3) },
    post_processor: {
      type: 'TemplateProcessing',
      single: template(single),
      pair: template(pair ?? [...single, 'B']),
      special_tokens: Object.fromEntries(
        special.map((id) => [wordOf(id), { id: wordOf(id), ids: [id], tokens: [wordOf(id)] }]),
      ),
    },
    decoder: null,
    added_tokens: [],
  };
}

/** Makes a folder `into` of a golden case, with a tokenizer and with files beside it. */
export async function wordModel(
  name: string,
  into: string,
  tokenizer: WordTokenizer,
  files: Readonly<Record<string, object>> = {},
): Promise<string> {
  await mkdir(into, { recursive: true });
  for (const file of ['config.json', 'model.safetensors']) {
    if (!(file in files)) await symlink(join(GOLDEN, 'hf', name, file), join(into, file));
  }
  const all = { 'tokenizer.json': wordTokenizerJson(tokenizer), ...files };
  for (const [file, json] of Object.entries(all)) await writeFile(join(into, file), JSON.stringify(json));
  return into;
}

/** The sequences of a case without their padding, and its tensors. */
export async function caseRows(name: string) {
  const io = await readTensors(GOLDEN, 'hf', name, 'io.safetensors');
  const { inputs } = readJson<{ inputs: string[] }>(GOLDEN, 'hf', name, 'case.json');
  const { data, shape } = io('input_ids');
  const [batch = 0, length = 0] = shape;
  const mask = inputs.includes('attention_mask') ? io('attention_mask').data : undefined;
  const rows = Array.from({ length: batch }, (_, row) =>
    Array.from({ length }, (_, i) => row * length + i)
      .filter((i) => mask === undefined || mask[i] === 1)
      .map((i) => data[i] ?? -1),
  );
  return { io, rows, length };
}

export const textOf = (ids: readonly number[]): string => ids.map(wordOf).join(' ');

/** Runs the command, and gives what it printed. */
export async function farfield(...args: string[]): Promise<{ code: number; stdout: string; stderr: string }> {
  let [stdout, stderr] = ['', ''];
  const code = await runCommandLine(args, {
    stdout: { columns: 80, write: (text) => (stdout += text) },
    stderr: { columns: 80, write: (text) => (stderr += text) },
  });
  return { code, stdout, stderr };
}
