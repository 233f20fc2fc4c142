import { PatternError } from '../errors.ts';
import { checkPattern, DIRECTIONS, MAX_PATTERN_DEPTH, MAX_PATTERN_PARTS, PATTERN_KINDS } from './check.ts';
import { parsePatternJson } from './json.ts';
import type { Field } from './kinds/definition.ts';
import { FAMILIES, isFamilyKind } from './kinds/registry.ts';
import type { FamilyPattern, Pattern } from './pattern.ts';

/** Longest text that is read, in UTF-16 units. */
const MAX_TEXT = 2 ** 20;

/** Kinds that the text form has signs for, not words. */
const SIGNS: readonly string[] = ['union', 'intersect', 'complement', 'perHead'];

const WORDS = PATTERN_KINDS.filter((kind) => !SIGNS.includes(kind)).sort();

/**
 * Reads the text form of a pattern:
 *
 *     pattern   = union { "|" union }                heads in turn: window:64|window:256
 *     union     = intersect { "+" intersect }        sinks:4+window:1024
 *     intersect = atom { "&" atom }                  causal&window:64; binds tighter than "+"
 *     atom      = "dense" | "causal" | "sinks:" count
 *               | "window:" size [ "," right ] [ "/" dilation ]    window:256 to either side, window:256,0 back only
 *               | "global:" position { "," position } [ "/" ( "both" | "keys" | "queries" ) ]
 *               | kind "(" [ name "=" value { "," name "=" value } ] ")"        bigBird(block=64,window=3,global=2,table=[[4],[0,7]])
 *               | "!" atom                                 what the atom leaves out: causal&!window:64
 *               | "(" pattern ")"
 *     value     = integer | word | "[" [ value { "," value } ] "]" | pattern        what the kind's parameter is
 *
 * Spaces between tokens do not count. A text that starts with "{" is JSON. Throws PatternError that shows the place.
 */
export function parsePattern(text: string): Pattern {
  if (typeof text !== 'string') throw new PatternError(`parsePattern: the text is ${typeof text}; it must be a string`);
  if (text.length > MAX_TEXT) {
    throw new PatternError(`parsePattern: the text has ${text.length} characters; at most ${MAX_TEXT} are read`);
  }
  if (text.trimStart().startsWith('{')) return parsePatternJson(parseJson(text));
  return new Parser(text).parse();
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch (error) {
    throw new PatternError(`pattern JSON: ${error instanceof Error ? error.message : String(error)}`);
  }
}

/** Recursive descent; one method per rule of the grammar. */
class Parser {
  readonly #text: string;
  #at = 0;
  #parts = 0;
  #depth = 0;

  constructor(text: string) {
    this.#text = text;
  }

  parse(): Pattern {
    const pattern = this.#pattern();
    if (this.#at < this.#text.length) {
      throw this.#error(
        this.#peek() === ')' ? 'this ")" closes nothing' : 'expected "+", "&", "|" or the end',
        this.#at,
      );
    }
    checkPattern(pattern);
    return pattern;
  }

  #pattern(): Pattern {
    this.#skipSpaces();
    const start = this.#at;
    const heads = this.#list('|', () => this.#union());
    const [only] = heads;
    if (heads.length === 1 && only !== undefined) return only;
    if (heads.some(containsPerHead)) {
      throw this.#error('"|" inside another "|": give each head one pattern', start);
    }
    return { kind: 'perHead', heads };
  }

  #union(): Pattern {
    const of = this.#list('+', () => this.#intersect());
    const [only] = of;
    return of.length === 1 && only !== undefined ? only : { kind: 'union', of };
  }

  #intersect(): Pattern {
    const of = this.#list('&', () => this.#atom());
    const [only] = of;
    return of.length === 1 && only !== undefined ? only : { kind: 'intersect', of };
  }

  #list(operator: string, item: () => Pattern): Pattern[] {
    const items = [item()];
    while (this.#peek() === operator) {
      this.#take();
      items.push(item());
    }
    return items;
  }

  #atom(): Pattern {
    const start = this.#at;
    if (this.#peek() === '(') {
      this.#take();
      if (++this.#depth > MAX_PATTERN_DEPTH) {
        throw this.#error(`parentheses are nested more than ${MAX_PATTERN_DEPTH} deep`, start);
      }
      const pattern = this.#pattern();
      if (this.#peek() !== ')') throw this.#error('this "(" is not closed', start);
      this.#take();
      this.#depth--;
      return pattern;
    }
    if (this.#peek() === '!') {
      this.#take();
      if (++this.#depth > MAX_PATTERN_DEPTH) {
        throw this.#error(`the pattern is nested more than ${MAX_PATTERN_DEPTH} deep`, start);
      }
      const of = this.#atom();
      this.#depth--;
      return { kind: 'complement', of };
    }
    if (++this.#parts > MAX_PATTERN_PARTS) {
      throw this.#error(`the pattern has more than ${MAX_PATTERN_PARTS} parts`, start);
    }
    const word = this.#word();
    switch (word) {
      case 'dense':
      case 'causal':
        return { kind: word };
      case 'sinks':
        this.#colon(word);
        return { kind: 'sinks', count: this.#number(0) };
      case 'window':
        return this.#window();
      case 'global':
        return this.#global();
      default:
        if (isFamilyKind(word)) return this.#family(word);
        throw this.#unknownWord(word, start);
    }
  }

  #window(): Pattern {
    this.#colon('window');
    const left = this.#number(0);
    const right = this.#takeIf(',') ? this.#number(0) : left;
    return this.#takeIf('/')
      ? { kind: 'window', left, right, dilation: this.#number(1) }
      : { kind: 'window', left, right };
  }

  #global(): Pattern {
    this.#colon('global');
    const positions = [this.#number(0)];
    while (this.#takeIf(',')) positions.push(this.#number(0));
    if (!this.#takeIf('/')) return { kind: 'global', positions };
    const start = this.#at;
    const word = this.#word();
    const direction = DIRECTIONS.find((known) => known === word);
    if (direction === undefined) throw this.#error(`expected ${DIRECTIONS.join(', ')}`, start);
    return { kind: 'global', positions, direction };
  }

  /** A kind with named parameters, in any order. That all are there, and fit each other, is checked once the text is read. */
  #family(kind: FamilyPattern['kind']): Pattern {
    const fields: Readonly<Record<string, Field>> = FAMILIES[kind].fields;
    const names = Object.keys(fields).join(', ');
    if (!this.#takeIf('(')) throw this.#error(`expected "(" after ${kind}; its parameters are ${names}`, this.#at);
    const pattern: Record<string, unknown> = { kind };
    while (this.#peek() !== ')') {
      const start = this.#at;
      const name = this.#word();
      const field = Object.hasOwn(fields, name) ? fields[name] : undefined;
      if (field === undefined) throw this.#error(`expected a parameter of ${kind}: ${names}`, start);
      if (name in pattern) throw this.#error(`${name} is there twice`, start);
      if (!this.#takeIf('=')) throw this.#error(`expected "=" and a value after ${name}`, this.#at);
      pattern[name] = this.#value(field);
      if (!this.#takeIf(',') && this.#peek() !== ')') throw this.#error('expected "," or ")"', this.#at);
    }
    this.#take();
    return pattern as unknown as Pattern;
  }

  #value(field: Field): unknown {
    switch (field.type) {
      case 'integer':
        return this.#number(field.least);
      case 'word':
      case 'flag': {
        const words = field.type === 'flag' ? ['true'] : field.words;
        const start = this.#at;
        const word = this.#word();
        if (!words.includes(word)) throw this.#error(`expected ${words.join(', ')}`, start);
        return field.type === 'flag' ? true : word;
      }
      case 'list': {
        const items: unknown[] = [];
        if (!this.#takeIf('[')) throw this.#error('expected "[" and a list', this.#at);
        while (this.#peek() !== ']') {
          items.push(this.#value(field.item));
          if (!this.#takeIf(',') && this.#peek() !== ']') throw this.#error('expected "," or "]"', this.#at);
        }
        this.#take();
        return items;
      }
      case 'pattern': {
        const start = this.#at;
        if (++this.#depth > MAX_PATTERN_DEPTH) {
          throw this.#error(`the pattern is nested more than ${MAX_PATTERN_DEPTH} deep`, start);
        }
        const pattern = this.#pattern();
        this.#depth--;
        return pattern;
      }
    }
  }

  #colon(word: string): void {
    if (!this.#takeIf(':')) throw this.#error(`expected ":" and a number after ${word}`, this.#at);
  }

  #number(least: number): number {
    const digits = this.#run(least < 0 ? /-?[0-9]+/y : /[0-9]+/y);
    const start = this.#at - digits.length;
    const value = Number(digits) + 0;
    if (digits === '' || !Number.isSafeInteger(value) || value < least) {
      throw this.#error(`expected an integer from ${least} to 2^53 - 1`, start);
    }
    this.#skipSpaces();
    return value;
  }

  #word(): string {
    const word = this.#run(/[\p{L}\p{N}_-]+/uy);
    this.#skipSpaces();
    return word;
  }

  #run(token: RegExp): string {
    token.lastIndex = this.#at;
    const found = token.exec(this.#text)?.[0] ?? '';
    this.#at += found.length;
    return found;
  }

  #peek(): string {
    return this.#text.charAt(this.#at);
  }

  #take(): void {
    this.#at++;
    this.#skipSpaces();
  }

  #takeIf(character: string): boolean {
    if (this.#peek() !== character) return false;
    this.#take();
    return true;
  }

  #skipSpaces(): void {
    this.#run(/\s+/y);
  }

  #unknownWord(word: string, start: number): PatternError {
    const known = WORDS.join(', ');
    if (word === '') {
      const found = start >= this.#text.length ? 'the text ends here' : 'unexpected character';
      return this.#error(`${found}; expected "(", "!" or one of ${known}`, start);
    }
    const near = nearest(word).map((candidate) => `"${candidate}"`);
    const hint = near.length === 0 ? ` (known: ${known})` : `; did you mean ${near.join(' or ')}?`;
    return this.#error(`unknown word ${JSON.stringify(shorten(word))}${hint}`, start);
  }

  /** The message, then the line of the text with a caret below the place. Long texts are cut around it. */
  #error(message: string, at: number): PatternError {
    const start = Math.max(0, at - 40);
    const before = this.#text.slice(start, at).replace(/\s/g, ' ');
    const after = this.#text.slice(at, at + 40).replace(/\s/g, ' ');
    const lead = start > 0 ? '...' : '';
    const line = `${lead}${before}${after}${at + 40 < this.#text.length ? '...' : ''}`;
    const caret = `${' '.repeat(lead.length + before.length)}^`;
    return new PatternError(`pattern: ${message} (character ${at + 1})\n  ${line}\n  ${caret}`);
  }
}

/** Whether a "|" stands in the pattern. */
function containsPerHead(pattern: Pattern): boolean {
  if (pattern.kind === 'perHead') return true;
  if (pattern.kind === 'union' || pattern.kind === 'intersect') return pattern.of.some(containsPerHead);
  return (pattern.kind === 'complement' || pattern.kind === 'shift') && containsPerHead(pattern.of);
}

function shorten(word: string): string {
  return word.length > 40 ? `${word.slice(0, 40)}...` : word;
}

/** The known words that begin so; else the one with the fewest edits, if they are at most half of its letters. */
function nearest(word: string): string[] {
  const begun = WORDS.filter((known) => known.toLowerCase().startsWith(word.toLowerCase()));
  if (word.length >= 3 && begun.length > 0) return begun;
  const distances = WORDS.map((known) => ({
    known,
    distance: editDistance(word.slice(0, 32).toLowerCase(), known.toLowerCase()),
  }));
  distances.sort((a, b) => a.distance - b.distance);
  const [best] = distances;
  return best !== undefined && best.distance <= best.known.length / 2 ? [best.known] : [];
}

/** Levenshtein distance: insertions, deletions and replacements that turn a into b. */
function editDistance(a: string, b: string): number {
  let row = Array.from({ length: b.length + 1 }, (_, j) => j);
  for (let i = 1; i <= a.length; i++) {
    const next = [i];
    for (let j = 1; j <= b.length; j++) {
      const replaced = (row[j - 1] ?? 0) + (a[i - 1] === b[j - 1] ? 0 : 1);
      next[j] = Math.min(replaced, (row[j] ?? 0) + 1, (next[j - 1] ?? 0) + 1);
    }
    row = next;
  }
  return row[b.length] ?? 0;
}
