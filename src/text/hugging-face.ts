/** Tokenizers from Hugging Face's tokenizer.json, run by `@huggingface/tokenizers` with the corrections of normalizers.ts and pre-tokenizers.ts. */
import { Tokenizer as Library } from '@huggingface/tokenizers';
import { TextError } from '../errors.ts';
import { tokenBytes } from './byte-level.ts';
import { isObject, type JsonObject, readDefinition, type Step, type TokenizerDefinition } from './definition.ts';
import { correctNormalizer } from './normalizers.ts';
import { canCut, cut } from './pieces.ts';
import { correctPreTokenizer } from './pre-tokenizers.ts';
import { byteStreamDecoder, windowStreamDecoder } from './stream-decoder.ts';
import type {
  DecodeOptions,
  EncodeInPiecesOptions,
  EncodeOptions,
  StreamDecoder,
  Surroundings,
  Tokenizer,
} from './tokenizer.ts';
import { cacheWords } from './word-cache.ts';

/**
 * A tokenizer from a parsed tokenizer.json and, where there is one, tokenizer_config.json (special tokens, chat template).
 * Text of byte-level vocabularies is decoded byte by byte, without "cleaning up" spaces, so that decoding undoes encoding.
 * `source` is what errors call it. Throws TextError where the definition is malformed or needs a part that does not exist.
 */
export function tokenizerFromJson(
  tokenizerJson: unknown,
  tokenizerConfig: unknown = {},
  source = 'tokenizer.json',
): Tokenizer {
  if (!isObject(tokenizerConfig)) throw new TextError(`${source}: tokenizer_config.json must be an object`);
  const definition = readDefinition(tokenizerJson, source);
  try {
    const { normalizer, pre_tokenizer } = definition;
    const corrected = {
      ...definition,
      normalizer: normalizer && correctNormalizer(normalizer),
      pre_tokenizer: pre_tokenizer && correctPreTokenizer(pre_tokenizer),
    };
    return new LibraryTokenizer(corrected, tokenizerConfig, source);
  } catch (cause) {
    throw new TextError(`${source}: ${cause instanceof Error ? cause.message : String(cause)}`, { cause });
  }
}

class LibraryTokenizer implements Tokenizer {
  readonly vocabularySize: number;
  readonly bosToken?: number;
  readonly eosToken?: number;
  readonly maskToken?: number;
  readonly chatTemplate?: string;
  readonly #library: Library;
  readonly #source: string;
  readonly #special = new Set<number>();
  readonly #added = new Map<number, string>();
  readonly #canCut: boolean;
  /** Of a byte-level vocabulary: the bytes of the ids met so far. */
  readonly #bytes: Map<number, Uint8Array> | undefined;
  readonly #cleanUp: boolean;
  /** The token of words that are not in the vocabulary. */
  readonly #unknown: string | number | undefined;
  /** What begins a token inside a word, e.g. "##". */
  readonly #continuing: string;

  constructor(definition: TokenizerDefinition, config: JsonObject, source: string) {
    this.#source = source;
    this.#library = new Library(definition, config);
    const { model } = this.#library;
    if (model !== null) model.encode = cacheWords(model.encode.bind(model));
    let largest = -1;
    for (const id of this.#library.get_vocab().values()) largest = Math.max(largest, id);
    this.vocabularySize = largest + 1;
    for (const token of definition.added_tokens) {
      this.#added.set(token.id, token.content);
      if (token.special) this.#special.add(token.id);
    }
    this.#canCut = canCut(definition, config);
    this.#bytes = isByteLevel(definition.decoder) ? new Map() : undefined;
    this.#cleanUp = config.clean_up_tokenization_spaces === true;
    const bos = this.#specialId(config.bos_token);
    if (bos !== undefined) this.bosToken = bos;
    const eos = this.#specialId(config.eos_token);
    if (eos !== undefined) this.eosToken = eos;
    const mask = this.#specialId(config.mask_token) ?? this.#specialId('[MASK]') ?? this.#specialId('<mask>');
    if (mask !== undefined) this.maskToken = mask;
    this.#unknown = unknownTokenOf(definition);
    this.#continuing = continuingPrefixOf(definition);
    const template = chatTemplateOf(config.chat_template);
    if (template !== undefined) this.chatTemplate = template;
  }

  encode(text: string, { addSpecialTokens = true }: EncodeOptions = {}): Int32Array {
    const ids: (number | undefined)[] = this.#library.encode(text, { add_special_tokens: addSpecialTokens }).ids;
    return Int32Array.from(ids, (id) => id ?? this.#fail('has no token for a part of the text, and no unknown token'));
  }

  async encodeInPieces(text: string, options: EncodeInPiecesOptions = {}): Promise<Int32Array> {
    const { addSpecialTokens = true, signal, onProgress } = options;
    signal?.throwIfAborted();
    const pieces = this.#canCut ? cut(text) : [text];
    if (pieces.length === 1) {
      const ids = this.encode(text, { addSpecialTokens });
      onProgress?.(text.length, text.length);
      return ids;
    }
    const [before, after] = addSpecialTokens ? this.#around() : [[], []];
    const parts: ArrayLike<number>[] = [before];
    let done = 0;
    for (const piece of pieces) {
      parts.push(this.encode(piece, { addSpecialTokens: false }));
      done += piece.length;
      onProgress?.(done, text.length);
      await new Promise((resume) => setTimeout(resume));
      signal?.throwIfAborted();
    }
    parts.push(after);
    return concatenate(parts);
  }

  decode(ids: Iterable<number>, options: DecodeOptions = {}): string {
    if (this.#bytes !== undefined) {
      const decoder = this.streamDecoder(options);
      let text = '';
      for (const id of ids) text += decoder.push(id);
      return text + decoder.flush();
    }
    const kept = Array.from(ids, (id) => this.#known(id)).filter((id) => !this.#skips(id, options));
    if (kept.length === 0) return '';
    return this.#library.decode(kept, { clean_up_tokenization_spaces: this.#cleanUp });
  }

  bytesOf(id: number): Uint8Array | undefined {
    const token = this.#library.id_to_token(this.#known(id)) ?? '';
    if (id === this.#unknown || token === this.#unknown) return undefined;
    if (this.#bytes !== undefined) return this.#bytesOf(id);
    const byte = /^<0x([0-9A-F]{2})>$/.exec(token)?.[1];
    if (byte !== undefined) return Uint8Array.of(Number.parseInt(byte, 16));
    const isInside = this.#continuing !== '' && token.startsWith(this.#continuing) && !this.#added.has(id);
    const text = isInside ? token.slice(this.#continuing.length) : token;
    return new TextEncoder().encode(text.replaceAll('\u2581', ' ').replace('</w>', ''));
  }

  aroundText(): Surroundings {
    const [before, after] = this.#around();
    return { before: [...before], between: [], after: [...after], secondKind: 0 };
  }

  aroundPair(): Surroundings {
    const plain = this.encode('a', { addSpecialTokens: false });
    const options = { text_pair: 'a', add_special_tokens: true, return_token_type_ids: true } as const;
    const { ids, token_type_ids: kinds } = this.#library.encode('a', options);
    const find = (from: number) =>
      ids.findIndex((_: number, i: number) => i >= from && plain.every((id, j) => ids[i + j] === id));
    const first = find(0);
    const second = find(first + plain.length);
    return {
      before: ids.slice(0, first),
      between: ids.slice(first + plain.length, second),
      after: ids.slice(second + plain.length),
      secondKind: kinds[second] ?? 0,
    };
  }

  streamDecoder(options: DecodeOptions = {}): StreamDecoder {
    const known = this.#bytes;
    if (known === undefined) return windowStreamDecoder((ids) => this.decode(ids, options));
    return byteStreamDecoder((id) => {
      if (this.#skips(id, options)) return new Uint8Array(0);
      let bytes = known.get(id);
      if (bytes === undefined) {
        bytes = this.#bytesOf(id);
        known.set(id, bytes);
      }
      return bytes;
    });
  }

  #bytesOf(id: number): Uint8Array {
    const added = this.#added.get(id);
    if (added !== undefined) return new TextEncoder().encode(added);
    return tokenBytes(this.#library.id_to_token(this.#known(id)) ?? '');
  }

  #known(id: number): number {
    if (this.#library.id_to_token(id) !== undefined) return id;
    return this.#fail(`there is no token ${id}; the vocabulary has ids 0 to ${this.vocabularySize - 1}`);
  }

  #skips(id: number, { skipSpecialTokens = false }: DecodeOptions): boolean {
    return skipSpecialTokens && this.#special.has(id);
  }

  /** The ids that are put before and after a text, seen on one letter. */
  #around(): [Int32Array, Int32Array] {
    const plain = this.encode('a', { addSpecialTokens: false });
    const all = this.encode('a', { addSpecialTokens: true });
    const at = all.findIndex((_, i) => plain.every((id, j) => all[i + j] === id));
    return [all.slice(0, at), all.slice(at + plain.length)];
  }

  /** tokenizer_config.json names a special token by its text or as { content }. */
  #specialId(token: unknown): number | undefined {
    const content = isObject(token) ? token.content : token;
    return typeof content === 'string' ? this.#library.token_to_id(content) : undefined;
  }

  #fail(message: string): never {
    throw new TextError(`${this.#source}: ${message}`);
  }
}

/** Its text, or of a Unigram model its id. */
function unknownTokenOf({ model }: TokenizerDefinition): string | number | undefined {
  const { unk_token: token, unk_id: id } = model;
  return typeof token === 'string' ? token : typeof id === 'number' ? id : undefined;
}

function continuingPrefixOf({ model }: TokenizerDefinition): string {
  const { continuing_subword_prefix: prefix } = model;
  return typeof prefix === 'string' ? prefix : model.type === 'WordPiece' ? '##' : '';
}

function isByteLevel(decoder: Step | null): boolean {
  return decoder?.type === 'ByteLevel';
}

/** A template, or of a list of named ones the one named default. */
function chatTemplateOf(value: unknown): string | undefined {
  if (typeof value === 'string') return value;
  if (!Array.isArray(value)) return undefined;
  const named = value.find((entry) => isObject(entry) && entry.name === 'default');
  return isObject(named) && typeof named.template === 'string' ? named.template : undefined;
}

function concatenate(parts: readonly ArrayLike<number>[]): Int32Array {
  const result = new Int32Array(parts.reduce((sum, part) => sum + part.length, 0));
  let at = 0;
  for (const part of parts) {
    result.set(part, at);
    at += part.length;
  }
  return result;
}
