/** Encoding a long text piece by piece, where the tokenizer's parts prove that the ids are the same. */
import type { AddedToken, JsonObject, TokenizerDefinition } from './definition.ts';
import { isLocal } from './normalizers.ts';
import { breaksAfterLetters } from './pre-tokenizers.ts';

/** UTF-16 units in a piece, before it is extended to the next place to cut. */
const PIECE = 1 << 16;

/** Whether a text may be cut after an ASCII letter that white space follows, and the parts encoded on their own. */
export function canCut(definition: TokenizerDefinition, config: JsonObject): boolean {
  const { normalizer, pre_tokenizer, added_tokens } = definition;
  return (
    (normalizer === null || isLocal(normalizer)) &&
    breaksAfterLetters(pre_tokenizer) &&
    added_tokens.every(survivesCut) &&
    config.remove_space !== true &&
    config.do_lowercase_and_remove_accent !== true
  );
}

/** A cut must not fall inside an added token, or between one and white space that it swallows. */
function survivesCut({ content, rstrip }: AddedToken): boolean {
  return !/[A-Za-z][ \t\r\n]/.test(content) && !(rstrip && /[A-Za-z]$/.test(content));
}

/** The text in parts of about PIECE units, each but the last ending in an ASCII letter that white space follows. */
export function cut(text: string, piece = PIECE): string[] {
  const pieces: string[] = [];
  const place = /[A-Za-z](?=[ \t\r\n])/g;
  let start = 0;
  while (text.length - start > piece) {
    place.lastIndex = start + piece;
    if (!place.test(text)) break;
    pieces.push(text.slice(start, place.lastIndex));
    start = place.lastIndex;
  }
  pieces.push(text.slice(start));
  return pieces;
}
