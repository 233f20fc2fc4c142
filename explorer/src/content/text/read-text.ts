import { ArgumentError } from '../../../../src/errors.ts';

/** Longest text, in bytes of UTF-8. */
export const MOST_BYTES = 2000;

/** A text to begin with: a name and a number that come back far from where they were first said. */
export const EXAMPLE = `Captain Verena Holt kept the lighthouse at Dunmarrow for thirty-one years. Every evening at six she climbed the stair, \
counted the hundred and forty steps, and wrote the weather into a green book.

In the winter of the long ice no ship came for nine weeks. The harbour was still, the gulls walked on the water, and the people of \
the village carried wood across the bay on sledges. At night they saw the lamp turn, and knew that somebody was awake.

When the ice broke, the first boat brought letters, salt and a new lamp. The sailors asked who had kept the light. The people pointed \
up the hill, to the house with the green door, and said: that was Captain Verena Holt, at the lighthouse at Dunmarrow.`;

/** Throws ArgumentError for a text that the page does not run. */
export function checkText(text: string): void {
  const { length } = new TextEncoder().encode(text);
  if (text.trim() === '') throw new ArgumentError('the text is empty; type some, or choose a text file');
  if (length > MOST_BYTES) {
    throw new ArgumentError(
      `the text has ${length.toLocaleString('en')} bytes; the page runs at most ${MOST_BYTES.toLocaleString('en')}. Shorten it`,
    );
  }
}

/** A file's text, cut to what the page runs where it is longer. Throws ArgumentError for a file that is no UTF-8 text. */
export async function readText(file: File): Promise<{ readonly text: string; readonly isCut: boolean }> {
  const isCut = file.size > MOST_BYTES;
  const bytes = new Uint8Array(await file.slice(0, MOST_BYTES).arrayBuffer());
  let end = bytes.length;
  // A character must not be cut in two: its bytes but the first are 10xxxxxx.
  if (isCut) while (end > 0 && (bytes[end - 1] & 0xc0) === 0x80) end--;
  if (isCut && end > 0 && bytes[end - 1] >= 0xc0) end--;
  try {
    const text = new TextDecoder('utf-8', { fatal: true }).decode(bytes.subarray(0, end));
    if (text.includes('\0')) throw new TypeError('a zero byte');
    return { text, isCut };
  } catch {
    throw new ArgumentError(`${file.name} is not a text in UTF-8`);
  }
}
