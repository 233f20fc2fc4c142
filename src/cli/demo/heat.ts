/** A text whose characters are marked by how much they surprised a model. */

/** A character, and the bits that were missing to predict it. */
export interface HeatedCharacter {
  readonly text: string;
  readonly bits: number;
}

/** Up to so many bits a character is expected, a little surprising, surprising, and above very surprising. */
export const HEAT_STEPS = [2, 4, 7] as const;
/** Marks of the levels where there are no colours. */
const MARKS = [' ', '.', ':', '#'] as const;
/** Backgrounds of the levels in the 256 colours of terminals; the first is the terminal's own. With black or white letters. */
const COLOURS = ['', '\u001b[48;5;187;38;5;16m', '\u001b[48;5;215;38;5;16m', '\u001b[48;5;160;38;5;231m'] as const;
const RESET = '\u001b[0m';

/** 0 (expected) to 3 (very surprising). */
export function heatLevel(bits: number): number {
  return HEAT_STEPS.filter((step) => bits > step).length;
}

/**
 * The characters of a text with the bits of their bytes. `bits`: of each byte of its UTF-8; characters are what Unicode calls code
 * points.
 */
export function heatedCharacters(text: string, bits: ArrayLike<number>): HeatedCharacter[] {
  const encoder = new TextEncoder();
  let at = 0;
  return Array.from(text, (character) => {
    let sum = 0;
    for (const end = at + encoder.encode(character).length; at < end; at++) sum += bits[at] ?? 0;
    return { text: character, bits: sum };
  });
}

/** Lines of at most `columns` characters for a terminal: in colours, or with a line of marks below each line of text. */
export function drawHeat(characters: readonly HeatedCharacter[], columns: number, colour: boolean): string[] {
  const lines: string[] = [];
  for (const line of linesOf(characters, columns)) {
    if (colour) {
      lines.push(coloured(line));
      continue;
    }
    lines.push(line.map(({ text }) => text).join(''));
    const marks = line.map(({ bits }) => MARKS[heatLevel(bits)]).join('');
    if (marks.trim() !== '') lines.push(marks.trimEnd());
  }
  return lines;
}

function coloured(line: readonly HeatedCharacter[]): string {
  let result = '';
  let level = 0;
  for (const { text, bits } of line) {
    const own = heatLevel(bits);
    if (own !== level) result += `${level === 0 ? '' : RESET}${COLOURS[own]}`;
    level = own;
    result += text;
  }
  return level === 0 ? result : `${result}${RESET}`;
}

/** Broken where the text breaks, and where a line is full. What cannot be printed becomes a space. */
function linesOf(characters: readonly HeatedCharacter[], columns: number): HeatedCharacter[][] {
  const lines: HeatedCharacter[][] = [[]];
  for (const { text, bits } of characters) {
    if (text === '\n') {
      // The bits of the break are marked at the end of its line.
      if (heatLevel(bits) > 0 && (lines.at(-1)?.length ?? 0) < columns) lines.at(-1)?.push({ text: ' ', bits });
      lines.push([]);
      continue;
    }
    if ((lines.at(-1)?.length ?? 0) >= columns) lines.push([]);
    lines.at(-1)?.push({ text: /\p{C}|\t|\r/u.test(text) ? ' ' : text, bits });
  }
  return lines.filter((line) => line.some(({ text }) => text !== ' '));
}
