/** What is drawn on and around the cells of the matrix: block lines, the marked row and column, token labels. */
import { BLOCK_SIDE } from '../../../src/mask/index.ts';
import { colour } from '../style/colours.ts';
import type { Place } from './matrix-view.ts';

export interface ViewPort {
  /** Of the canvas, in CSS pixels, and the space for labels at its left and top. */
  readonly width: number;
  readonly height: number;
  readonly margin: number;
  readonly tokens: number;
  /** Pixels of a token, and the tokens at the corner. */
  readonly scale: number;
  readonly left: number;
  readonly top: number;
}

const FONT = '11px "Inter Variable", system-ui, sans-serif';
/** Narrowest cell with a label of its own. */
const LABELLED_CELL = 15;
/** Smallest block with lines around it. */
const LINED_BLOCK = 20;

/** Space for labels: more where tokens have names. */
export function labelMargin(tokens: number, words: readonly string[]): number {
  const longest = words.slice(0, tokens).reduce((most, word) => Math.max(most, word.length), 0);
  return Math.max(54, Math.min(110, longest * 6.5 + 36));
}

export function paintBlockLines(context: CanvasRenderingContext2D, port: ViewPort): void {
  const { width, height, margin, tokens, scale, left, top } = port;
  if (scale * BLOCK_SIDE < LINED_BLOCK || tokens <= BLOCK_SIDE) return;
  const [endX, endY] = [margin + (tokens - left) * scale, margin + (tokens - top) * scale];
  context.beginPath();
  for (let k = Math.ceil(left / BLOCK_SIDE) * BLOCK_SIDE; k < tokens; k += BLOCK_SIDE) {
    const x = Math.round(margin + (k - left) * scale) + 0.5;
    if (x > width) break;
    context.moveTo(x, margin);
    context.lineTo(x, Math.min(height, endY));
  }
  for (let q = Math.ceil(top / BLOCK_SIDE) * BLOCK_SIDE; q < tokens; q += BLOCK_SIDE) {
    const y = Math.round(margin + (q - top) * scale) + 0.5;
    if (y > height) break;
    context.moveTo(margin, y);
    context.lineTo(Math.min(width, endX), y);
  }
  context.globalAlpha = 0.28;
  context.lineWidth = 1;
  context.strokeStyle = colour('--line-strong');
  context.stroke();
  context.globalAlpha = 1;
}

export function paintMark(context: CanvasRenderingContext2D, port: ViewPort, place: Place, isLocked: boolean): void {
  const { width, height, margin, tokens, scale, left, top } = port;
  const size = Math.max(1, scale);
  const endX = Math.min(width, margin + (tokens - left) * scale);
  const endY = Math.min(height, margin + (tokens - top) * scale);
  const [x, y] = [margin + (place.key - left) * scale, margin + (place.query - top) * scale];
  context.globalAlpha = isLocked ? 0.3 : 0.18;
  context.fillStyle = colour('--mark');
  context.fillRect(margin, y, endX - margin, size);
  context.fillRect(x, margin, size, endY - margin);
  context.globalAlpha = 1;
  context.lineWidth = 2;
  context.strokeStyle = colour('--mark');
  const box = Math.max(9, size);
  const shift = (box - size) / 2;
  context.strokeRect(x - shift, y - shift, box, box);
}

/** Names or numbers of tokens along the keys and the queries. */
export function paintAxes(context: CanvasRenderingContext2D, port: ViewPort, words: readonly string[]): void {
  const { width, height, margin, tokens, scale, left, top } = port;
  const isEach = scale >= LABELLED_CELL;
  const step = isEach ? 1 : stepFor(64 / scale);
  // The middle of a cell where cells are wide, else its beginning.
  const middle = Math.min(scale / 2, 28);
  const name = (token: number): string => (isEach && words[token] !== undefined ? words[token] : short(token));
  context.font = FONT;
  context.fillStyle = colour('--quiet');
  context.textBaseline = 'middle';
  const isUpright = isEach && (scale < 34 || words.length > 0);
  for (let k = Math.ceil(left / step) * step; k < tokens; k += step) {
    const x = margin + (k - left) * scale + middle;
    if (x > width - (isUpright ? 6 : 14)) break;
    if (x < margin) continue;
    if (isUpright) {
      context.save();
      context.translate(x, margin - 8);
      context.rotate(-Math.PI / 2);
      context.textAlign = 'left';
      context.fillText(name(k), 0, 0);
      context.restore();
    } else {
      context.textAlign = x - margin < 12 ? 'left' : 'center';
      context.fillText(name(k), x - (context.textAlign === 'left' ? middle : 0), margin - 12);
    }
  }
  context.textAlign = 'right';
  for (let q = Math.ceil(top / step) * step; q < tokens; q += step) {
    const y = margin + (q - top) * scale + middle;
    if (y > height - 5) break;
    if (y >= margin) context.fillText(name(q), margin - 8, Math.max(y, margin + 5));
  }
  context.textAlign = 'left';
  context.font = `600 ${FONT}`;
  if (!isUpright) context.fillText('keys →', margin, 10);
  context.save();
  context.translate(8, margin);
  context.rotate(-Math.PI / 2);
  context.textAlign = 'right';
  context.fillText('queries', 0, 0);
  context.restore();
}

/** The least power of two that is at least `tokens`. */
function stepFor(tokens: number): number {
  return 2 ** Math.max(0, Math.ceil(Math.log2(tokens)));
}

function short(token: number): string {
  return token >= 10_000 && token % 1024 === 0 ? `${token / 1024}Ki` : String(token);
}
