import { ArgumentError } from '../errors.ts';
import type { BlockMask } from './block-mask.ts';
import { cellGrid } from './density.ts';
import { maskOfBatchEntry } from './read.ts';

/** Most lines of pairs, for masks with many more queries than keys. */
const MAX_LINES = 64;

/** Least width in characters to which such masks are narrowed, to keep their proportions. */
const MIN_WIDTH = 8;

/**
 * A picture of one head's mask in characters: keys from left to right, queries from top to bottom, in a frame. Small masks
 * are drawn pair by pair; in larger ones a character covers many pairs and its shade says how many of them are allowed:
 * blank for none, then light, medium and dark, and solid for all. A pair that is allowed never disappears.
 * `columns` is the greatest width, frame included (default 64). Of a refined mask, `entry` is the batch entry. Throws
 * ArgumentError for a head or an entry that is not there.
 */
export function drawText(
  subject: BlockMask,
  options: { head?: number; columns?: number; entry?: number } = {},
): string {
  const { head = 0, columns = 64, entry } = options;
  const mask = maskOfBatchEntry(subject, entry);
  if (!Number.isInteger(columns) || columns < 4) {
    throw new ArgumentError(`drawText: columns is ${String(columns)}; it must be an integer of at least 4`);
  }
  const width = columns - 2;
  const { queries, keys } = mask;
  const lines = 2 * keys <= width && queries <= MAX_LINES / 2 ? drawPairs(mask, head) : drawShades(mask, head, width);
  const rule = '─'.repeat([...(lines[0] ?? '')].length);
  return [`┌${rule}┐`, ...lines.map((line) => `│${line}│`), `└${rule}┘`].join('\n');
}

/** Two characters, which is about a square, for each pair. */
function drawPairs(mask: BlockMask, head: number): string[] {
  const { density, rows, columns } = cellGrid(mask, head, mask.queries, mask.keys);
  return Array.from({ length: rows }, (_, r) =>
    Array.from({ length: columns }, (_, c) => ((density[r * columns + c] ?? 0) > 0 ? '██' : ' ·')).join(''),
  );
}

/** One character for two cells, one above the other: a character is about twice as high as wide. */
function drawShades(mask: BlockMask, head: number, widest: number): string[] {
  const { queries, keys } = mask;
  const narrowed = Math.max(MIN_WIDTH, Math.floor((2 * MAX_LINES * keys) / Math.max(1, queries)));
  const width = Math.min(widest, narrowed, keys);
  const lineCount = Math.min(MAX_LINES, Math.max(1, Math.round((width * queries) / Math.max(1, keys) / 2)));
  const { density, rows, columns } = cellGrid(mask, head, 2 * lineCount, width);
  const lines: string[] = [];
  for (let r = 0; r < rows; r += 2) {
    let line = '';
    for (let c = 0; c < columns; c++) {
      const upper = density[r * columns + c] ?? 0;
      // An odd last row, of few queries, fills its line.
      line += shade(upper, r + 1 < rows ? (density[(r + 1) * columns + c] ?? 0) : upper);
    }
    lines.push(line);
  }
  return lines;
}

/** A half block where one half is mostly allowed and the other empty, so that edges stay sharp; else the mean as a shade. */
function shade(upper: number, lower: number): string {
  if (upper >= 0.5 && lower === 0) return '▀';
  if (lower >= 0.5 && upper === 0) return '▄';
  const mean = (upper + lower) / 2;
  if (mean === 0) return ' ';
  if (mean < 0.25) return '░';
  if (mean < 0.6) return '▒';
  return mean < 1 ? '▓' : '█';
}
