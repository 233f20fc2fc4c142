/**
 * Where tokens stand in their text. Tokenizers change a text before they split it (lower case, accents, white space), so tokens and text
 * are compared in a form that none of this changes: each character decomposed, lowered, without marks and without white space.
 */
import { TextError } from '../errors.ts';
import type { Tokenizer } from './tokenizer.ts';

/** UTF-16 units of the text. A token of white space alone, or of marks alone, is empty. */
export interface TokenSpan {
  readonly start: number;
  readonly end: number;
}

/** Units behind an unknown word in which the next token is looked for. */
const REACH = 4096;

/**
 * The part of `text` that each of its ids stands for; `ids` without the special tokens that a tokenizer puts around. An unknown word goes
 * to where the next known token begins,
 * at the start of a word where there is such a place; neighbouring unknown words share a part unless white space tells them apart. A token that is a part of a character has the whole character.
 */
export function tokenSpans(tokenizer: Tokenizer, text: string, ids: ArrayLike<number>): TokenSpan[] {
  if (tokenizer.bytesOf === undefined) throw new TextError('this tokenizer does not say what its tokens stand for');
  const folded = foldText(text);
  const spans: TokenSpan[] = [];
  let at = 0;
  /** Bytes of a character that more than one token makes, and the first of these tokens. */
  let pending: number[] = [];
  let pendingFrom = 0;
  let unknownFrom: number | undefined;
  for (let i = 0; i < ids.length; i++) {
    const here = folded.starts[at] ?? text.length;
    spans.push({ start: here, end: here });
    const bytes = tokenizer.bytesOf(ids[i] ?? -1);
    if (bytes === undefined) {
      unknownFrom ??= i;
      pending = [];
      continue;
    }
    if (pending.length === 0) pendingFrom = i;
    pending.push(...bytes);
    const surface = decodeWhole(pending);
    if (surface === undefined) continue;
    pending = [];
    const wanted = foldText(surface).characters.join('');
    if (wanted === '') continue;
    const isAfterUnknown = unknownFrom !== undefined && unknownFrom < pendingFrom;
    const found = isAfterUnknown
      ? (find(folded, wanted, at + 1, REACH, text) ?? find(folded, wanted, at, REACH))
      : find(folded, wanted, at, wanted.length + 1);
    if (found === undefined) {
      unknownFrom ??= pendingFrom;
      continue;
    }
    if (unknownFrom !== undefined && found > at) {
      const gap = { start: folded.starts[at] ?? text.length, end: folded.ends[found - 1] ?? text.length };
      spans.splice(unknownFrom, pendingFrom - unknownFrom, ...divide(text, gap, pendingFrom - unknownFrom));
    }
    unknownFrom = undefined;
    at = found + wanted.length;
    const span = { start: folded.starts[found] ?? text.length, end: folded.ends[at - 1] ?? text.length };
    for (let j = pendingFrom; j <= i; j++) spans[j] = span;
  }
  if (unknownFrom !== undefined && at < folded.starts.length) {
    const gap = { start: folded.starts[at] ?? text.length, end: folded.ends.at(-1) ?? text.length };
    spans.splice(unknownFrom, spans.length, ...divide(text, gap, spans.length - unknownFrom));
  }
  return spans;
}

interface Folded {
  /** UTF-16 units of the comparable form, and where the character of each stands in the text. */
  readonly characters: readonly string[];
  readonly starts: readonly number[];
  readonly ends: readonly number[];
}

function foldText(text: string): Folded {
  const characters: string[] = [];
  const starts: number[] = [];
  const ends: number[] = [];
  let at = 0;
  for (const character of text) {
    const end = at + character.length;
    const form = character
      .normalize('NFKD')
      .toLowerCase()
      .replaceAll(/[\p{M}\p{White_Space}\p{Cc}\p{Cf}]/gu, '');
    for (const unit of form.replaceAll('ς', 'σ').split('')) {
      characters.push(unit);
      starts.push(at);
      ends.push(end);
    }
    at = end;
  }
  return { characters, starts, ends };
}

/** A span for each of `count` unknown words. */
function divide(text: string, gap: TokenSpan, count: number): TokenSpan[] {
  const words = Array.from(text.slice(gap.start, gap.end).matchAll(/\S+/g), ({ 0: word, index }) => ({
    start: gap.start + index,
    end: gap.start + index + word.length,
  }));
  return words.length === count ? words : Array.from({ length: count }, () => gap);
}

/** With `text`, only where a word or a mark begins. */
function find(folded: Folded, wanted: string, from: number, reach: number, text?: string): number | undefined {
  const { characters, starts } = folded;
  const end = Math.min(characters.length - wanted.length, from + reach - 1);
  for (let at = from; at <= end; at++) {
    let same = 0;
    while (same < wanted.length && characters[at + same] === wanted[same]) same++;
    if (same === wanted.length && (text === undefined || isWordStart(text, starts[at] ?? 0))) return at;
  }
  return undefined;
}

function isWordStart(text: string, at: number): boolean {
  return at === 0 || /[\p{White_Space}\p{P}]/u.test(text[at - 1] ?? '') || /\p{P}/u.test(text[at] ?? '');
}

/** undefined where the bytes end inside a character. */
function decodeWhole(bytes: readonly number[]): string | undefined {
  try {
    return new TextDecoder('utf-8', { fatal: true }).decode(Uint8Array.from(bytes));
  } catch {
    return bytes.length > 64 ? '' : undefined;
  }
}
