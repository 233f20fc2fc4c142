import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { TextError } from '../errors.ts';
import { readDocument, textDocument } from './document.ts';

const bytesOf = (text: string) => new TextEncoder().encode(text);
const between = (bytes: Uint8Array, from: number, to: number) => new TextDecoder().decode(bytes.slice(from, to));

/** Whole characters, as a tokenizer's spans are. */
const characters = fc.array(
  fc.oneof(fc.string({ unit: 'binary', minLength: 1, maxLength: 1 }), fc.constantFrom('\n', '\r\n', ' ', 'é', '😀')),
);

describe('readDocument', () => {
  it.each(['a.txt', 'a.md'])('gives %s as it is, and each part at its own bytes, line and column', (name) => {
    fc.assert(
      fc.property(characters, fc.nat(), fc.nat(), fc.boolean(), (given, a, b, hasMark) => {
        const list = given.map((each) => each.replaceAll('\0', 'x').replaceAll('\ufeff', 'x'));
        const text = list.join('');
        const bytes = bytesOf((hasMark ? '\ufeff' : '') + text);
        if (/^(GIF8|%PDF-|GGUF|PK)/.test(text)) return;
        const document = readDocument(bytes, name);
        expect(document.text).toBe(text);
        const [i, j] = [a % (list.length + 1), b % (list.length + 1)].sort((x, y) => x - y) as [number, number];
        const [start, end] = [list.slice(0, i).join('').length, list.slice(0, j).join('').length];
        const place = document.place(start, end);
        expect(between(bytes, place.start.byte, place.end.byte)).toBe(text.slice(start, end));
        const lines = text.slice(0, start).split(/\r\n|\r|\n/);
        // A part that starts between \r and \n is on the line that they end.
        if (text[start - 1] === '\r' && text[start] === '\n') return;
        expect(place.start.line).toBe(lines.length);
        expect(place.start.column).toBe([...(lines.at(-1) ?? '')].length + 1);
      }),
    );
  });

  it('shows html as a browser does, with the way back', () => {
    const html =
      '<!doctype html>\n<title>T &amp; U</title><style>p{}</style>\n<p>One  <b>two</b>\nthree&nbsp;&lt;4</p>\n' +
      '<script>no()</script><ul><li>a<li>b</ul><pre> x\n y</pre>last<br>line';
    const document = readDocument(bytesOf(html), 'page');
    expect(document.kind).toBe('html');
    expect(document.text).toBe('T & U\nOne two three\u00a0<4\na\nb\n x\n y\nlast\nline');
    const quote = (part: string) => {
      const at = document.text.indexOf(part);
      const { start, end } = document.place(at, at + part.length);
      return { source: between(bytesOf(html), start.byte, end.byte), line: start.line, column: start.column };
    };
    expect(quote('two three')).toEqual({ source: 'two</b>\nthree', line: 3, column: 12 });
    expect(quote('<4')).toEqual({ source: '&lt;4', line: 4, column: 12 });
    expect(quote('& U').source).toBe('&amp; U');
  });

  it('finds every word of any html at its place', () => {
    const tags = fc.constantFrom(
      '<p>',
      '</p>',
      '<b>',
      '</b>',
      '<div class="x">',
      '<br>',
      '&amp;',
      '&#x41;',
      '<',
      '&',
      '<!-- c -->',
    );
    const pieces = fc.array(fc.oneof(tags, fc.stringMatching(/^[a-z]{1,6}$/), fc.constantFrom(' ', '\n', 'ü', '😀')));
    fc.assert(
      fc.property(pieces, (list) => {
        const html = list.join('');
        const document = readDocument(bytesOf(html), 'a.html');
        let last = 0;
        for (const { 0: word, index } of document.text.matchAll(/[a-z]+/g)) {
          const { start, end } = document.place(index, index + word.length);
          const source = between(bytesOf(html), start.byte, end.byte);
          expect(source.replaceAll(/<[^<>]*>/g, '')).toBe(word);
          expect(start.byte).toBeGreaterThanOrEqual(last);
          last = end.byte;
        }
      }),
    );
  });

  it('reads or refuses any bytes, with a TextError', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 60 }), fc.constantFrom('a.html', 'a.md', 'a'), (bytes, name) => {
        try {
          const { text, place } = readDocument(bytes, name);
          expect(place(0, text.length).end.byte).toBeLessThanOrEqual(bytes.length);
        } catch (error) {
          expect(error).toBeInstanceOf(TextError);
        }
      }),
    );
  });

  it.each([
    [[0x89, 0x50, 0x4e, 0x47, 13, 10], 'this is a PNG image'],
    [[...bytesOf('%PDF-1.7')], 'this is a PDF'],
    [[0x50, 0x4b, 3, 4, 9], 'a ZIP archive, as .docx'],
    [[...bytesOf('abc\u00e9\0def')], 'byte 5 is NUL'],
    [[0x61, 0xe9, 0x62], 'byte 2 (0x62) is not valid'],
  ])('says what %j is', (bytes, message) => {
    const read = () => readDocument(Uint8Array.from(bytes), 'a.txt');
    expect(read).toThrow(TextError);
    expect(read).toThrow(message);
  });

  it('has no part outside the text', () => {
    expect(() => textDocument('abc').place(1, 4)).toThrow('the text has 3 units; there is no part from 1 to 4');
    expect(textDocument('').place(0, 0).start).toEqual({ byte: 0, line: 1, column: 1 });
  });
});
