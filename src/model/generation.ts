/** How a publisher lets a model write: generation_config.json, and what config.json has of it in older checkpoints. */
import * as v from 'valibot';
import type { GgufMetadata } from '../checkpoint/index.ts';
import { count, index, parseConfig } from './encoder/architecture.ts';

const number = v.pipe(v.number('it must be a number'), v.finite('it must be finite'));

const schema = v.looseObject({
  eos_token_id: v.nullish(v.union([index, v.array(index)], 'it must be a token id, or a list of them')),
  forced_bos_token_id: v.nullish(index),
  forced_eos_token_id: v.nullish(v.union([index, v.array(index)], 'it must be a token id, or a list of them')),
  max_new_tokens: v.nullish(count),
  max_length: v.nullish(count),
  min_new_tokens: v.nullish(index),
  min_length: v.nullish(index),
  num_beams: v.nullish(count),
  length_penalty: v.nullish(number),
  no_repeat_ngram_size: v.nullish(index),
});

/** What a model's publisher says of its outputs. Undefined: nothing is said. */
export interface Generation {
  /** Tokens that end an output. */
  readonly endTokens: readonly number[];
  /** The token that an output begins with. */
  readonly firstToken: number | undefined;
  /** The token that ends an output which is cut at its longest. */
  readonly lastToken: number | undefined;
  /** Tokens of the longest and the shortest output, without the one that a decoder begins with. */
  readonly maxTokens: number | undefined;
  readonly minTokens: number | undefined;
  readonly beams: number | undefined;
  readonly lengthPenalty: number | undefined;
  /** No run of so many tokens appears twice. */
  readonly noRepeat: number | undefined;
}

export interface NamedJson {
  readonly json: unknown;
  /** What errors call it. */
  readonly source: string;
}

/** Reads files of which the first that says something counts. @throws ModelError that names the field. */
export function readGeneration(files: readonly NamedJson[]): Generation {
  const read = files.map(({ json, source }) => parseConfig(schema, json, source));
  const first = <T>(pick: (file: v.InferOutput<typeof schema>) => T | null | undefined): T | undefined => {
    for (const file of read) {
      const value = pick(file);
      if (value !== undefined && value !== null) return value;
    }
    return undefined;
  };
  const one = (ids: number | number[] | null | undefined) => (Array.isArray(ids) ? ids[0] : ids);
  return {
    endTokens: [first(({ eos_token_id }) => eos_token_id) ?? []].flat(),
    firstToken: first(({ forced_bos_token_id }) => forced_bos_token_id),
    lastToken: first(({ forced_eos_token_id }) => one(forced_eos_token_id)),
    // Lengths are published with the token that a decoder begins with.
    maxTokens: first(({ max_new_tokens, max_length }) => max_new_tokens ?? (max_length && max_length - 1)),
    minTokens: first(({ min_new_tokens, min_length }) => min_new_tokens ?? (min_length && min_length - 1)),
    beams: first(({ num_beams }) => num_beams),
    lengthPenalty: first(({ length_penalty }) => length_penalty),
    noRepeat: first(({ no_repeat_ngram_size }) => no_repeat_ngram_size),
  };
}

/** The tokens of a GGUF file that end a turn or a message, beside the end of text. */
export function endTokensOfGguf(metadata: GgufMetadata): number[] {
  return ['eos', 'eot', 'eom'].flatMap((name) => {
    const id = metadata.get(`tokenizer.ggml.${name}_token_id`);
    return typeof id === 'number' ? [id] : [];
  });
}
