/** Documents: the text of a file, and the way back from a part of the text to its place in the file. */
import { counted } from '../counted.ts';
import { TextError } from '../errors.ts';
import { decodeText } from './decode-text.ts';
import { fileSignature } from './file-signature.ts';
import { htmlText, type MappedText, type TextRun } from './html-text.ts';

export type DocumentKind = 'txt' | 'md' | 'html';

/** A point in a file. */
export interface FilePoint {
  /** From 0. */
  readonly byte: number;
  /** From 1. */
  readonly line: number;
  /** From 1, in characters (code points). */
  readonly column: number;
}

/** A part of a file. In HTML there may be tags in it. */
export interface FilePlace {
  readonly start: FilePoint;
  /** Behind the last character. */
  readonly end: FilePoint;
}

export interface TextDocument {
  /** The file's name, or what errors call it. */
  readonly source: string;
  readonly kind: DocumentKind;
  /** What a model reads. Of txt and md: the file as it is, without byte order mark. Of html: what is shown. */
  readonly text: string;
  /** Where text.slice(start, end) stands in the file. UTF-16 units, as all offsets in strings. */
  place(start: number, end: number): FilePlace;
}

export interface DocumentOptions {
  /** Default: by the ending of the name, then by the first characters. */
  readonly kind?: DocumentKind;
}

/**
 * Reads a file as a document. Markdown keeps its marks: language models have read them in training, and a quoted passage is then the
 * file's own.
 * @throws TextError where the bytes are not UTF-8 text, with what they seem to be.
 */
export function readDocument(bytes: Uint8Array, source: string, { kind }: DocumentOptions = {}): TextDocument {
  const other = fileSignature(bytes);
  if (other !== undefined) throw new TextError(`${source}: this is ${other}; a document must be txt, md or html`);
  const file = decodeText(bytes, source);
  const nul = file.indexOf('\0');
  if (nul >= 0) {
    const at = new TextEncoder().encode(file.slice(0, nul)).length;
    throw new TextError(`${source}: byte ${at} is NUL, so this seems to be a binary file; a document must be text`);
  }
  const own = kind ?? kindOf(file, source);
  const { text, runs }: MappedText =
    own === 'html'
      ? htmlText(file)
      : { text: file, runs: [{ at: 0, length: file.length, sourceAt: 0, sourceLength: file.length }] };
  const hasMark = bytes[0] === 0xef && bytes[1] === 0xbb && bytes[2] === 0xbf;
  const pointOf = pointsOf(file, hasMark ? 3 : 0);
  return {
    source,
    kind: own,
    text,
    place(start, end) {
      if (!(Number.isInteger(start) && Number.isInteger(end) && start >= 0 && start <= end && end <= text.length)) {
        throw new TextError(
          `${source}: the text has ${counted(text.length, 'unit')}; there is no part from ${start} to ${end}`,
        );
      }
      const from = sourceOffset(runs, start, 'start');
      const to = end === start ? from : sourceOffset(runs, end, 'end');
      return { start: pointOf(from), end: pointOf(Math.max(from, to)) };
    },
  };
}

/** A text that was not read from a file. */
export function textDocument(text: string, source = 'text'): TextDocument {
  return readDocument(new TextEncoder().encode(text), source, { kind: 'txt' });
}

function kindOf(file: string, source: string): DocumentKind {
  if (/\.(html?|xhtml)$/i.test(source)) return 'html';
  if (/\.(md|markdown)$/i.test(source)) return 'md';
  if (/\.txt$/i.test(source)) return 'txt';
  return /^\s*(<!doctype html|<html[\s>])/i.test(file) ? 'html' : 'txt';
}

/** The unit of the source at which a unit of the text starts, or behind which the one before it ends. */
function sourceOffset(runs: readonly TextRun[], offset: number, side: 'start' | 'end'): number {
  const unit = side === 'start' ? offset : offset - 1;
  const run = runs[lastAtMost(runs.length, unit, (i) => runs[i]?.at ?? 0)];
  if (run === undefined) return 0;
  if (run.length === run.sourceLength) return run.sourceAt + Math.min(offset - run.at, run.length);
  // Behind the whole text, where nothing starts.
  if (side === 'start' && unit >= run.at + run.length) return run.sourceAt + run.sourceLength;
  return side === 'start' ? run.sourceAt : run.sourceAt + run.sourceLength;
}

/** From units of a text to bytes, lines and columns. */
function pointsOf(file: string, firstByte: number): (unit: number) => FilePoint {
  const starts = [0];
  for (const { index, 0: end } of file.matchAll(/\r\n|\n|\r/g)) starts.push(index + end.length);
  const encoder = new TextEncoder();
  const bytes: number[] = [];
  return (unit) => {
    // Not inside a character.
    const at = isInsideCharacter(file, unit) ? unit - 1 : unit;
    if (bytes.length === 0) {
      let sum = firstByte;
      for (const [i, start] of starts.entries()) {
        bytes.push(sum);
        sum += encoder.encode(file.slice(start, starts[i + 1])).length;
      }
    }
    const line = lastAtMost(starts.length, at, (i) => starts[i] ?? 0);
    const before = file.slice(starts[line], at);
    return {
      byte: (bytes[line] ?? firstByte) + encoder.encode(before).length,
      line: line + 1,
      column: Array.from(before).length + 1,
    };
  };
}

function isInsideCharacter(file: string, unit: number): boolean {
  return (file.codePointAt(unit - 1) ?? 0) > 0xffff;
}

/** The last of `count` ascending numbers that is at most `value`; 0 where none is. */
function lastAtMost(count: number, value: number, numberAt: (i: number) => number): number {
  let [low, high] = [0, count - 1];
  while (low < high) {
    const middle = Math.ceil((low + high) / 2);
    if (numberAt(middle) <= value) low = middle;
    else high = middle - 1;
  }
  return low;
}
