/** A text as a model of bytes has it: token 0 starts the document, then come the bytes of its UTF-8. */
import { START } from './model-files.ts';

export interface Character {
  readonly text: string;
  /** Its bytes are the tokens first .. end - 1. */
  readonly first: number;
  readonly end: number;
}

export function tokensOf(text: string): Int32Array {
  return Int32Array.of(START, ...new TextEncoder().encode(text));
}

export function charactersOf(text: string): Character[] {
  const encoder = new TextEncoder();
  let end = 1;
  return Array.from(text, (own) => {
    const first = end;
    end += encoder.encode(own).length;
    return { text: own, first, end };
  });
}

/** Sum of a character's tokens' values. */
export function sumOf({ first, end }: Character, values: ArrayLike<number>): number {
  let sum = 0;
  for (let token = first; token < end; token++) sum += values[token];
  return sum;
}
