/** What a file is that is not text, by its first bytes. */

interface Signature {
  readonly name: string;
  readonly bytes: readonly number[];
  readonly at?: number;
}

const ascii = (text: string): number[] => Array.from(text, (character) => character.charCodeAt(0));

/** From each format's own specification. */
const SIGNATURES: readonly Signature[] = [
  { name: 'a PNG image', bytes: [0x89, ...ascii('PNG')] },
  { name: 'a JPEG image', bytes: [0xff, 0xd8, 0xff] },
  { name: 'a GIF image', bytes: ascii('GIF8') },
  { name: 'a WebP image', bytes: ascii('WEBP'), at: 8 },
  { name: 'a TIFF image', bytes: [0x49, 0x49, 0x2a, 0x00] },
  { name: 'a TIFF image', bytes: [0x4d, 0x4d, 0x00, 0x2a] },
  { name: 'a PDF', bytes: ascii('%PDF-') },
  { name: 'a ZIP archive, as .docx, .odt and .epub are', bytes: [...ascii('PK'), 3, 4] },
  { name: 'a gzip file', bytes: [0x1f, 0x8b, 8] },
  { name: 'an old Word document', bytes: [0xd0, 0xcf, 0x11, 0xe0, 0xa1, 0xb1, 0x1a, 0xe1] },
  { name: 'a GGUF model', bytes: [...ascii('GGUF')] },
  { name: 'a program', bytes: [0x7f, ...ascii('ELF')] },
  { name: 'a WebAssembly module', bytes: [0, ...ascii('asm')] },
];

/** "a PNG image", or undefined where the first bytes are of no format that is known here. */
export function fileSignature(bytes: Uint8Array): string | undefined {
  return SIGNATURES.find(({ bytes: own, at = 0 }) => own.every((byte, i) => bytes[at + i] === byte))?.name;
}
