import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { TextError } from '../errors.ts';
import { decodeText } from './index.ts';

const encode = (text: string) => new TextEncoder().encode(text);

function failure(bytes: Iterable<number>): string {
  try {
    decodeText(Uint8Array.from(bytes), 'a.txt');
  } catch (error) {
    expect(error).toBeInstanceOf(TextError);
    return (error as Error).message;
  }
  throw new Error('it was decoded');
}

const utf16 = (text: string, littleEndian: boolean) =>
  [...text].flatMap((char) => {
    const pair = [char.charCodeAt(0) & 255, char.charCodeAt(0) >> 8];
    return littleEndian ? pair : pair.reverse();
  });

describe('decodeText', () => {
  it('decodes UTF-8 and removes the byte order mark', () => {
    expect(decodeText(encode('naïve 日本 👍'), 'a.txt')).toBe('naïve 日本 👍');
    expect(decodeText(encode('\uFEFFx\uFEFFy'), 'a.txt')).toBe('x\uFEFFy');
    expect(decodeText(new Uint8Array(0), 'a.txt')).toBe('');
    fc.assert(
      fc.property(fc.string({ unit: 'grapheme', minLength: 8 }), (text) => {
        fc.pre(!text.includes('\0') && !text.startsWith('\uFEFF'));
        expect(decodeText(encode(text), 'a.txt')).toBe(text);
      }),
    );
  });

  it('says where the first invalid byte is', () => {
    expect(failure([...encode('日本'), 0xe9, 0x20])).toBe(
      'a.txt: UTF-8 is expected, but byte 7 (0x20) is not valid there; perhaps the file is in a one-byte encoding such as Windows-1252',
    );
    expect(failure([0x61, 0x80])).toContain('byte 1 (0x80)');
    expect(failure([0x61, 0xc0, 0xaf])).toContain('byte 1 (0xc0)');
    expect(failure([0xe0, 0x9f, 0xbf])).toContain('byte 1 (0x9f)');
    expect(failure([0xed, 0xa0, 0x80])).toContain('byte 1 (0xa0)');
    expect(failure([0xf4, 0x90, 0x80, 0x80])).toContain('byte 1 (0x90)');
    expect(failure([0xf5])).toContain('byte 0 (0xf5)');
    expect(failure([0x61, 0xe6, 0x97])).toContain('the file ends inside a character, at byte 3');
  });

  it('agrees with the platform on what is valid', () => {
    const alphabet = fc.constantFrom(
      0x41,
      0x80,
      0x8f,
      0x90,
      0x9f,
      0xa0,
      0xbf,
      0xc1,
      0xc2,
      0xe0,
      0xed,
      0xef,
      0xf0,
      0xf4,
    );
    fc.assert(
      fc.property(fc.array(alphabet, { maxLength: 8 }), (list) => {
        const bytes = Uint8Array.from(list);
        let valid = true;
        try {
          new TextDecoder('utf-8', { fatal: true }).decode(bytes);
        } catch {
          valid = false;
        }
        if (valid) decodeText(bytes, 'a.txt');
        else {
          const [, at] = /byte (\d+)/.exec(failure(list)) ?? [];
          // What comes before the reported byte is the start of something valid: decoding it as a stream succeeds.
          new TextDecoder('utf-8', { fatal: true }).decode(bytes.subarray(0, Number(at)), { stream: true });
        }
      }),
      { numRuns: 3000 },
    );
  });

  it('names the encoding that a mark or NULs show', () => {
    const text = 'Call me Ishmael.';
    expect(failure([0xff, 0xfe, ...utf16(text, true)])).toContain('UTF-16 (little-endian)');
    expect(failure([0xfe, 0xff, ...utf16(text, false)])).toContain('UTF-16 (big-endian)');
    expect(failure(utf16(text, true))).toBe(
      'a.txt: UTF-8 is expected, but every other byte is NUL, the first at byte 1: this looks like UTF-16 (little-endian)',
    );
    expect(failure(utf16(text, false))).toContain('the first at byte 0: this looks like UTF-16 (big-endian)');
    expect(failure([0xff, 0xfe, 0, 0, 0x61, 0, 0, 0])).toContain('UTF-32');
    expect(decodeText(encode('a\0b c d e f'), 'a.txt')).toBe('a\0b c d e f');
  });
});
