/** Byte-level vocabularies: tokens are bytes, written as the 256 visible characters of GPT-2 (`bytes_to_unicode` in its encoder.py). */

/** Byte of each of the 256 characters: bytes that are visible in Latin-1 are themselves, the others follow from U+0100. */
const BYTE_OF: ReadonlyMap<string, number> = new Map(
  Array.from({ length: 256 }, (_, byte) => byte)
    .filter((byte) => !isVisible(byte))
    .map((byte, i): [string, number] => [String.fromCharCode(256 + i), byte])
    .concat(
      Array.from({ length: 256 }, (_, byte) => byte)
        .filter(isVisible)
        .map((byte) => [String.fromCharCode(byte), byte]),
    ),
);

function isVisible(byte: number): boolean {
  return (byte >= 0x21 && byte <= 0x7e) || (byte >= 0xa1 && byte <= 0xac) || byte >= 0xae;
}

/** The character that a byte-level vocabulary writes for each byte. */
export function byteCharacters(): string[] {
  const characters = Array<string>(256);
  for (const [character, byte] of BYTE_OF) characters[byte] = character;
  return characters;
}

const UTF8 = new TextEncoder();

/** The bytes that a token of the vocabulary stands for; its UTF-8 where it is not written in the 256 characters. */
export function tokenBytes(token: string): Uint8Array {
  const bytes = new Uint8Array(token.length);
  for (let i = 0; i < token.length; i++) {
    const byte = BYTE_OF.get(token[i] ?? '');
    if (byte === undefined) return UTF8.encode(token);
    bytes[i] = byte;
  }
  return bytes;
}
