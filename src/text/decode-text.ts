/** Files as text: strict UTF-8, with an answer for the person whose file is something else. */
import { TextError } from '../errors.ts';

/** As many bytes are looked at for the pattern of UTF-16. */
const SAMPLE = 4096;

/**
 * The text of a UTF-8 file, without byte order mark. Throws TextError that gives the offset of the first invalid byte, and the
 * likely encoding where a byte order mark or a pattern of NUL bytes shows it. `source` is what the error calls the file.
 */
export function decodeText(bytes: Uint8Array, source: string): string {
  const other = otherEncoding(bytes);
  if (other !== undefined) {
    throw new TextError(
      `${source}: UTF-8 is expected, but ${other.why} at byte ${other.at}: this looks like ${other.name}`,
    );
  }
  try {
    return new TextDecoder('utf-8', { fatal: true }).decode(bytes);
  } catch (cause) {
    const at = firstInvalidByte(bytes);
    const byte = (bytes[at] ?? 0).toString(16).padStart(2, '0');
    throw new TextError(
      at < bytes.length
        ? `${source}: UTF-8 is expected, but byte ${at} (0x${byte}) is not valid there; perhaps the file is in a one-byte encoding such as Windows-1252`
        : `${source}: UTF-8 is expected, but the file ends inside a character, at byte ${at}`,
      { cause },
    );
  }
}

interface Evidence {
  readonly name: string;
  readonly why: string;
  readonly at: number;
}

function otherEncoding(bytes: Uint8Array): Evidence | undefined {
  const [a, b, c, d] = bytes;
  const mark = 'there is a byte order mark';
  if (a === 0xff && b === 0xfe) {
    return { name: c === 0 && d === 0 ? 'UTF-32 (little-endian)' : 'UTF-16 (little-endian)', why: mark, at: 0 };
  }
  if (a === 0xfe && b === 0xff) return { name: 'UTF-16 (big-endian)', why: mark, at: 0 };
  if (a === 0 && b === 0 && c === 0xfe && d === 0xff) return { name: 'UTF-32 (big-endian)', why: mark, at: 0 };
  return alternatingNuls(bytes.subarray(0, SAMPLE));
}

/** Western text in UTF-16 has a NUL as every other byte, and none in between. */
function alternatingNuls(sample: Uint8Array): Evidence | undefined {
  const nuls = [0, 0];
  for (let i = 0; i < sample.length; i++) if (sample[i] === 0) nuls[i % 2] = (nuls[i % 2] ?? 0) + 1;
  const [even = 0, odd = 0] = nuls;
  const enough = sample.length / 5;
  const why = 'every other byte is NUL, the first';
  if (even === 0 && odd >= 2 && odd > enough) return { name: 'UTF-16 (little-endian)', why, at: sample.indexOf(0) };
  if (odd === 0 && even >= 2 && even > enough) return { name: 'UTF-16 (big-endian)', why, at: sample.indexOf(0) };
  return undefined;
}

/**
 * Offset of the first byte that cannot stand where it stands (The Unicode Standard, table 3-7), or the length where the bytes end inside a
 * character. The second byte has a narrower range after E0, ED, F0 and F4: no overlong forms, no surrogates, nothing beyond U+10FFFF.
 */
function firstInvalidByte(bytes: Uint8Array): number {
  let i = 0;
  while (i < bytes.length) {
    const lead = bytes[i++] ?? 0;
    if (lead < 0x80) continue;
    if (lead < 0xc2 || lead > 0xf4) return i - 1;
    const following = lead < 0xe0 ? 1 : lead < 0xf0 ? 2 : 3;
    let low = lead === 0xe0 ? 0xa0 : lead === 0xf0 ? 0x90 : 0x80;
    let high = lead === 0xed ? 0x9f : lead === 0xf4 ? 0x8f : 0xbf;
    for (let k = 0; k < following; k++, i++) {
      const byte = bytes[i];
      if (byte === undefined || byte < low || byte > high) return i;
      low = 0x80;
      high = 0xbf;
    }
  }
  return i;
}
