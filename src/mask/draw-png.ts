import { counted } from '../counted.ts';
import { ArgumentError } from '../errors.ts';
import type { BlockMask } from './block-mask.ts';
import { isCompiledMask } from './block-reader.ts';
import { cellGrid, squareGrid } from './density.ts';
import type { PatternBlocks } from './pattern-blocks.ts';
import { encodePng } from './png.ts';
import { maskOfBatchEntry } from './read.ts';

/** Longest side that is drawn. */
const MAX_SIZE = 8192;

/** Shortest side: a mask of one query is drawn as a band of this height. */
const MIN_SIDE = 12;

/** Colours of no pair, of the first pair, and of all pairs: white, then light to dark blue, even in lightness. */
const NONE = [255, 255, 255];
const RAMP = [
  [158, 197, 229],
  [86, 146, 199],
  [36, 92, 156],
  [12, 44, 92],
];

/**
 * A picture of one head's mask as a PNG file: keys from left to right, queries from top to bottom, the longer side `size`
 * pixels (default 512). Each pixel's colour is the exact share of allowed pairs that it covers, from white for none through
 * light blue to dark blue for all; a single allowed pair shows. Small masks are enlarged by a whole factor, so that pairs
 * stay sharp, and may then be smaller than `size`; so may the picture of blocks that are not stored, whose pixels are 2^i tokens wide; a side of few tokens is stretched to 12 pixels. Of a refined mask, `entry` is the batch
 * entry. Throws ArgumentError for a bad size, an empty mask, or a head or entry that is not there.
 */
export function drawPng(
  subject: BlockMask | PatternBlocks,
  options: { head?: number; size?: number; entry?: number } = {},
): Uint8Array {
  const { head = 0, size = 512, entry } = options;
  const mask = isCompiledMask(subject) ? maskOfBatchEntry(subject, entry) : subject;
  const { queries, keys } = mask;
  if (!Number.isInteger(size) || size < 1 || size > MAX_SIZE) {
    throw new ArgumentError(`drawPng: size is ${String(size)}; it must be an integer from 1 to ${MAX_SIZE}`);
  }
  if (queries === 0 || keys === 0) {
    throw new ArgumentError(
      `drawPng: the mask has ${counted(queries, 'query', 'queries')} and ${counted(keys, 'key')}; there is nothing to draw`,
    );
  }
  const longer = Math.max(queries, keys);
  const zoom = Math.max(1, Math.floor(size / longer));
  const scale = Math.min(1, size / longer);
  const grid =
    isCompiledMask(mask) || longer <= size
      ? cellGrid(mask, head, Math.max(1, Math.round(queries * scale)), Math.max(1, Math.round(keys * scale)))
      : squareGrid(mask, head, 2 ** Math.ceil(Math.log2(longer / size)));
  const xZoom = Math.max(zoom, Math.ceil(MIN_SIDE / grid.columns));
  const yZoom = Math.max(zoom, Math.ceil(MIN_SIDE / grid.rows));
  const width = grid.columns * xZoom;
  const height = grid.rows * yZoom;
  const pixels = new Uint8Array(width * height);
  for (let y = 0; y < height; y++) {
    const row = Math.floor(y / yZoom) * grid.columns;
    for (let x = 0; x < width; x++) {
      pixels[y * width + x] = densityLevel(grid.density[row + Math.floor(x / xZoom)] ?? 0);
    }
  }
  return encodePng(width, height, pixels, palette());
}

/** 0 for none, 255 for all, and 1 to 254 in proportion between. */
export function densityLevel(density: number): number {
  if (density === 0 || density === 1) return density * 255;
  return 1 + Math.round(density * 253);
}

function palette(): Uint8Array {
  const colours = new Uint8Array(256 * 3);
  colours.set(NONE);
  for (let level = 1; level < 256; level++) {
    const place = ((level - 1) / 254) * (RAMP.length - 1);
    const step = Math.min(RAMP.length - 2, Math.floor(place));
    for (let channel = 0; channel < 3; channel++) {
      const from = RAMP[step]?.[channel] ?? 0;
      const to = RAMP[step + 1]?.[channel] ?? 0;
      colours[level * 3 + channel] = Math.round(from + (to - from) * (place - step));
    }
  }
  return colours;
}
