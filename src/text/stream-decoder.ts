/** Decoding ids as they arrive. */
import type { StreamDecoder } from './tokenizer.ts';

/** For byte-level vocabularies: exact, with work proportional to the bytes. `bytesOf` gives nothing for an id to skip. */
export function byteStreamDecoder(bytesOf: (id: number) => Uint8Array): StreamDecoder {
  const utf8 = new TextDecoder('utf-8', { ignoreBOM: true });
  return {
    push: (id) => utf8.decode(bytesOf(id), { stream: true }),
    flush: () => utf8.decode(),
  };
}

/**
 * For any other vocabulary, where the text of an id depends on its neighbours (a space between words, bytes of one character): decodes
 * the ids since the last place where text was given out, with and without the new ones, and gives out the difference.
 */
export function windowStreamDecoder(decode: (ids: number[]) => string): StreamDecoder {
  let window: number[] = [];
  let given = 0; // of `window`, how many ids have been given out as text
  const difference = () => decode(window).slice(given === 0 ? 0 : decode(window.slice(0, given)).length);
  return {
    push(id) {
      window.push(id);
      const text = difference();
      // U+FFFD at the end: perhaps a character of which bytes are missing.
      if (text === '' || text.endsWith('\uFFFD')) return '';
      window = window.slice(given);
      given = window.length;
      return text;
    },
    flush() {
      const text = given === window.length ? '' : difference();
      window = [];
      given = 0;
      return text;
    },
  };
}
