/**
 * Tokenizers from the metadata of a GGUF file (keys `tokenizer.ggml.*`, https://github.com/ggml-org/ggml/blob/master/docs/gguf.md):
 * the equivalent tokenizer.json is built and given to the same library.
 */
import type { GgufMetadata, GgufValue } from '../checkpoint/index.ts';
import { TextError } from '../errors.ts';
import type { AddedToken, Step, TokenizerDefinition } from './definition.ts';
import { tokenizerFromJson } from './hugging-face.ts';
import { BYTES_ONLY, GPT2_WORDS, isolate, LLAMA3_WORDS, QWEN2_WORDS, sequence } from './pre-tokenizers.ts';
import type { Tokenizer } from './tokenizer.ts';

interface PreTokenization {
  readonly split: readonly string[];
  /** Text is brought to Unicode's composed form first. */
  readonly compose?: true;
  /** A word that is a token as a whole is not split by merges. */
  readonly wholeWords?: true;
}

const GPT2: PreTokenization = { split: [GPT2_WORDS] };
const DIGITS_APART: PreTokenization = { split: ['\\p{N}', GPT2_WORDS] };
const LLAMA3: PreTokenization = { split: [LLAMA3_WORDS], wholeWords: true };

/**
 * `tokenizer.ggml.pre` says how a text is split before merging. The names are llama.cpp's (llama-vocab.cpp), the
 * expressions those of the models' own tokenizer.json; `default` is llama.cpp's answer to files that do not say.
 */
const PRE_TOKENIZATIONS: ReadonlyMap<string, PreTokenization> = new Map<string, PreTokenization>([
  ['default', { split: ['[\\p{P}\\$\\+<=>\\^~\\|]+', GPT2_WORDS, '\\p{N}+', '[0-9][0-9][0-9]'] }],
  ['gpt-2', GPT2],
  ['gpt2', GPT2],
  ['phi-2', GPT2],
  ['olmo', GPT2],
  ['mpt', GPT2],
  ['roberta-bpe', GPT2],
  ['smollm', DIGITS_APART],
  ['starcoder', DIGITS_APART],
  ['refact', DIGITS_APART],
  ['command-r', DIGITS_APART],
  ['codeshell', DIGITS_APART],
  ['llama-bpe', LLAMA3],
  ['llama3', LLAMA3],
  ['llama-v3', LLAMA3],
  ['qwen2', { split: [QWEN2_WORDS], compose: true }],
  ['stablelm2', { split: [QWEN2_WORDS] }],
  ['deepseek-r1-qwen', { split: [QWEN2_WORDS] }],
]);

/** Values of `tokenizer.ggml.token_type` whose tokens are recognised in a text as they stand. */
const UNKNOWN = 2;
const CONTROL = 3;
const USER_DEFINED = 4;

/**
 * The tokenizer of a GGUF file whose `tokenizer.ggml.model` is gpt2 (byte-level byte-pair encoding). A first token is added in front
 * only where `tokenizer.ggml.add_bos_token` says so, a last one where `add_eos_token` does. `source` is what errors call the file.
 */
export function tokenizerFromGguf(metadata: GgufMetadata, source = 'GGUF file'): Tokenizer {
  const fail = (message: string): never => {
    throw new TextError(`${source}: ${message}`);
  };
  const model = metadata.get('tokenizer.ggml.model');
  if (model !== 'gpt2') {
    return fail(
      `tokenizer.ggml.model is ${show(model)}; Farfield reads "gpt2" (byte-level BPE) from GGUF. For others put the model's tokenizer.json beside the file`,
    );
  }
  const tokens = strings(metadata, 'tokenizer.ggml.tokens') ?? fail('has no tokenizer.ggml.tokens');
  const merges = strings(metadata, 'tokenizer.ggml.merges') ?? fail('has no tokenizer.ggml.merges');
  const pre = metadata.get('tokenizer.ggml.pre') ?? 'default';
  const preTokenization =
    PRE_TOKENIZATIONS.get(String(pre)) ??
    fail(`tokenizer.ggml.pre is ${show(pre)}; Farfield knows ${[...PRE_TOKENIZATIONS.keys()].join(', ')}`);

  const token = (key: string): number | undefined => {
    const id = metadata.get(key);
    if (id === undefined) return undefined;
    return typeof id === 'number' && tokens[id] !== undefined
      ? id
      : fail(`${key} is ${show(id)}, but there are ${tokens.length} tokens`);
  };
  const bos = token('tokenizer.ggml.bos_token_id');
  const eos = token('tokenizer.ggml.eos_token_id');
  const added = {
    first: metadata.get('tokenizer.ggml.add_bos_token') === true ? bos : undefined,
    last: metadata.get('tokenizer.ggml.add_eos_token') === true ? eos : undefined,
  };
  const definition: TokenizerDefinition = {
    normalizer: preTokenization.compose === true ? { type: 'NFC' } : null,
    pre_tokenizer: sequence(...preTokenization.split.map(isolate), BYTES_ONLY),
    model: {
      type: 'BPE',
      vocab: vocabulary(tokens, fail),
      merges: merges.map((merge) => pair(merge, fail)),
      ignore_merges: preTokenization.wholeWords === true,
    },
    post_processor: surround(tokens, added.first, added.last),
    decoder: { type: 'ByteLevel', add_prefix_space: false, trim_offsets: true, use_regex: true },
    added_tokens: addedTokens(tokens, metadata.get('tokenizer.ggml.token_type'), fail),
  };
  return tokenizerFromJson(
    definition,
    {
      bos_token: bos === undefined ? undefined : tokens[bos],
      eos_token: eos === undefined ? undefined : tokens[eos],
      chat_template: metadata.get('tokenizer.chat_template'),
    },
    source,
  );
}

function show(value: GgufValue | undefined): string {
  return typeof value === 'string' ? JSON.stringify(value) : String(value);
}

function strings(metadata: GgufMetadata, key: string): string[] | undefined {
  const value = metadata.get(key);
  return isStrings(value) && value.length > 0 ? value : undefined;
}

function isStrings(value: GgufValue | undefined): value is string[] {
  return Array.isArray(value) && value.every((entry) => typeof entry === 'string');
}

function vocabulary(tokens: readonly string[], fail: (message: string) => never): Record<string, number> {
  const ids = new Map<string, number>();
  for (const [id, token] of tokens.entries()) {
    const other = ids.get(token);
    if (other !== undefined) fail(`tokens ${other} and ${id} are both ${JSON.stringify(token)}`);
    ids.set(token, id);
  }
  return Object.fromEntries(ids);
}

/** A merge is its two tokens with a space between; the first may itself begin with one. */
function pair(merge: string, fail: (message: string) => never): [string, string] {
  const space = merge.indexOf(' ', 1);
  if (space < 0 || space === merge.length - 1) fail(`merge ${JSON.stringify(merge)} is not two tokens`);
  return [merge.slice(0, space), merge.slice(space + 1)];
}

function addedTokens(
  tokens: readonly string[],
  types: GgufValue | undefined,
  fail: (message: string) => never,
): AddedToken[] {
  if (types === undefined) return [];
  if (!Array.isArray(types) || types.length !== tokens.length) {
    return fail(`tokenizer.ggml.token_type must be a list of ${tokens.length} numbers`);
  }
  return tokens.flatMap((content, id) => {
    const type = types[id];
    if (type !== UNKNOWN && type !== CONTROL && type !== USER_DEFINED) return [];
    const special = type !== USER_DEFINED;
    return [{ id, content, special, single_word: false, lstrip: false, rstrip: false, normalized: false }];
  });
}

/** The post-processor that puts a token before and after a text. */
function surround(tokens: readonly string[], first?: number, last?: number): Step | null {
  if (first === undefined && last === undefined) return null;
  const special = (id: number | undefined) =>
    id === undefined ? [] : [{ SpecialToken: { id: tokens[id], type_id: 0 } }];
  const single = [...special(first), { Sequence: { id: 'A', type_id: 0 } }, ...special(last)];
  return { type: 'TemplateProcessing', single, pair: single, special_tokens: {} };
}
