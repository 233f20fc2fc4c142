import { counted, plural } from '../counted.ts';
import { ArgumentError } from '../errors.ts';
import { formatPattern } from '../pattern/format.ts';
import { BLOCK_SIDE, type BlockMask } from './block-mask.ts';
import { isCompiledMask } from './block-reader.ts';
import { type CellGrid, squareGrid } from './density.ts';
import type { PatternBlocks } from './pattern-blocks.ts';
import { maskOfBatchEntry } from './read.ts';

/** Most cells along a side; a cell then covers several pairs, or several blocks. */
const MAX_CELLS = 200;

/** Most blocks along a side that get a grid of thin lines. */
const MAX_GRID_BLOCKS = 24;

/** Blue and orange, which the common kinds of colour blindness keep apart, on light and on dark ground. */
const FULL_COLOUR = '#4480b3';
const PARTIAL_COLOUR = '#dd9a45';
const TEXT_COLOUR = '#808080';

/** Opacity of cells by the share of pairs allowed: up to 1/8, 3/8, 7/8, more. */
const OPACITY = [0.5, 0.65, 0.82, 1];

const MARGIN = { left: 58, right: 14, top: 62, bottom: 36 };

/**
 * A picture of one head's mask as an SVG document: keys from left to right, queries from top to bottom, blocks that are full
 * in blue and partial ones in orange, fainter where few of a cell's pairs are allowed. Without a ground of its own, in tones
 * for light and dark pages. At most 200 x 200 cells, however long the sequence. `size` is the longer side of the drawn mask
 * in pixels (default 480); `title` defaults to the pattern. Of a refined mask, `entry` is the batch entry. Throws ArgumentError for a bad
 * size, head or entry, or an empty mask.
 */
export function drawSvg(
  subject: BlockMask | PatternBlocks,
  options: { head?: number; size?: number; title?: string; entry?: number } = {},
): string {
  const mask = isCompiledMask(subject) ? maskOfBatchEntry(subject, options.entry) : subject;
  const { head = 0, size = 480, title = formatPattern(mask.pattern) } = options;
  const { queries, keys, queryOffset } = mask;
  if (!Number.isFinite(size) || size < 40) {
    throw new ArgumentError(`drawSvg: size is ${String(size)}; it must be a number of at least 40`);
  }
  if (queries === 0 || keys === 0) {
    throw new ArgumentError(
      `drawSvg: the mask has ${counted(queries, 'query', 'queries')} and ${counted(keys, 'key')}; there is nothing to draw`,
    );
  }
  const scale = size / Math.max(queries, keys);
  // A single query over many keys is still drawn as a band that can be seen.
  const width = Math.max(24, round(keys * scale));
  const height = Math.max(24, round(queries * scale));
  const frameWidth = Math.max(width, 300) + MARGIN.left + MARGIN.right;
  const frameHeight = height + MARGIN.top + MARGIN.bottom;
  const grid = squareGrid(mask, head, cellSide(Math.max(queries, keys), isCompiledMask(mask)));
  const text = shorten(title, Math.floor((frameWidth - MARGIN.left) / 7));
  const subtitle = `${count(queries)} ${plural(queries, 'query', 'queries')}, ${count(keys)} ${plural(keys, 'key')}, head ${head}`;

  return [
    `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${frameWidth} ${frameHeight}" width="${frameWidth}" height="${frameHeight}" role="img" font-family="system-ui, sans-serif" font-size="11" fill="${TEXT_COLOUR}">`,
    `<title>${escapeXml(`${shorten(title, 200)}: ${subtitle}`)}</title>`,
    `<text x="${MARGIN.left}" y="17" font-size="13" font-weight="600">${escapeXml(text)}</text>`,
    `<text x="${MARGIN.left}" y="33">${subtitle}</text>`,
    `<g transform="translate(${MARGIN.left} ${MARGIN.top})">`,
    `<g shape-rendering="crispEdges">`,
    ...drawCells(grid, width / keys, height / queries),
    `</g>`,
    ...drawBlockLines(mask, width, height),
    `<rect width="${width}" height="${height}" fill="none" stroke="${TEXT_COLOUR}"/>`,
    ...drawAxes(width, height, keys, queryOffset, queries),
    ...drawLegend(height),
    `</g>`,
    `</svg>`,
  ].join('\n');
}

/** Tokens along a cell: the smallest power of two up to T, or multiple of T (power of two where blocks are not stored), that gives few enough cells. */
function cellSide(length: number, isStored: boolean): number {
  for (let side = 1; isStored ? side <= BLOCK_SIDE : true; side *= 2) {
    if (length / side <= MAX_CELLS) return side;
  }
  return Math.ceil(length / BLOCK_SIDE / MAX_CELLS) * BLOCK_SIDE;
}

/** One path for each tone: cells in a row that look alike are one rectangle, and so are equal rectangles below each other. */
function drawCells(grid: CellGrid, xScale: number, yScale: number): string[] {
  const { rows, columns, rowEdge, columnEdge } = grid;
  const tones = cellTones(grid);
  const paths = new Map<number, string>();
  const open = new Map<string, { tone: number; left: number; right: number; top: number }>();
  for (let r = 0; r <= rows; r++) {
    const runs = new Map<string, { tone: number; left: number; right: number }>();
    for (let c = 0; r < rows && c < columns; ) {
      const tone = tones[r * columns + c] ?? 0;
      const left = c;
      while (c < columns && tones[r * columns + c] === tone) c++;
      if (tone > 0) runs.set(`${tone} ${left} ${c}`, { tone, left, right: c });
    }
    for (const [key, { tone, left, right, top }] of open) {
      if (runs.has(key)) continue;
      const x = round((columnEdge[left] ?? 0) * xScale);
      const y = round((rowEdge[top] ?? 0) * yScale);
      const x1 = round((columnEdge[right] ?? 0) * xScale);
      const y1 = round((rowEdge[r] ?? 0) * yScale);
      paths.set(tone, `${paths.get(tone) ?? ''}M${x} ${y}H${x1}V${y1}H${x}z`);
      open.delete(key);
    }
    for (const [key, run] of runs) {
      if (!open.has(key)) open.set(key, { ...run, top: r });
    }
  }
  return [...paths]
    .sort(([a], [b]) => a - b)
    .map(([tone, path]) => {
      const colour = tone > OPACITY.length ? FULL_COLOUR : PARTIAL_COLOUR;
      const opacity = OPACITY[(tone - 1) % OPACITY.length] ?? 1;
      return `<path fill="${colour}"${opacity === 1 ? '' : ` fill-opacity="${opacity}"`} d="${path}"/>`;
    });
}

/** 0 for an empty cell, 1 to 4 for one in partial blocks, 5 to 8 for one with more full blocks than partial ones, by density. */
function cellTones({ density, balance }: CellGrid): Uint8Array {
  return Uint8Array.from(density, (share, cell) => {
    if (share === 0) return 0;
    const level = share <= 1 / 8 ? 1 : share <= 3 / 8 ? 2 : share <= 7 / 8 ? 3 : 4;
    return (balance[cell] ?? 0) > 0 ? OPACITY.length + level : level;
  });
}

function drawBlockLines(mask: BlockMask | PatternBlocks, width: number, height: number): string[] {
  const { queries, keys } = mask;
  if (Math.max(queries, keys) > MAX_GRID_BLOCKS * BLOCK_SIDE) return [];
  let path = '';
  for (let k = BLOCK_SIDE; k < keys; k += BLOCK_SIDE) path += `M${round((k / keys) * width)} 0v${height}`;
  for (let q = BLOCK_SIDE; q < queries; q += BLOCK_SIDE) path += `M0 ${round((q / queries) * height)}h${width}`;
  return path === '' ? [] : [`<path stroke="${TEXT_COLOUR}" stroke-opacity="0.35" stroke-width="0.75" d="${path}"/>`];
}

/** The names of the axes, and the positions of their first and last token. */
function drawAxes(width: number, height: number, keys: number, queryOffset: number, queries: number): string[] {
  const axes = [`<text x="${width / 2}" y="-8" text-anchor="middle">keys</text>`];
  if (width >= 120) {
    axes.push(`<text x="0" y="-8">0</text>`);
    axes.push(`<text x="${width}" y="-8" text-anchor="end">${count(keys - 1)}</text>`);
  }
  axes.push(
    height >= 60
      ? `<text transform="translate(-8 ${height / 2}) rotate(-90)" text-anchor="middle">queries</text>`
      : `<text x="-8" y="${height / 2 + 4}" text-anchor="end">queries</text>`,
  );
  if (height >= 120) {
    axes.push(`<text x="-8" y="9" text-anchor="end">${count(queryOffset)}</text>`);
    axes.push(`<text x="-8" y="${height}" text-anchor="end">${count(queryOffset + queries - 1)}</text>`);
  }
  return axes;
}

function drawLegend(height: number): string[] {
  const y = height + 14;
  return [
    `<rect y="${y}" width="10" height="10" fill="${FULL_COLOUR}"/>`,
    `<text x="15" y="${y + 9}">full blocks</text>`,
    `<rect x="92" y="${y}" width="10" height="10" fill="${PARTIAL_COLOUR}"/>`,
    `<text x="107" y="${y + 9}">partial blocks, fainter with fewer pairs</text>`,
  ];
}

function count(value: number): string {
  return value.toLocaleString('en-US');
}

function round(value: number): number {
  return Math.round(value * 100) / 100;
}

function shorten(text: string, length: number): string {
  return text.length > length ? `${text.slice(0, Math.max(1, length - 1))}…` : text;
}

function escapeXml(text: string): string {
  return text.replaceAll('&', '&amp;').replaceAll('<', '&lt;').replaceAll('>', '&gt;').replaceAll('"', '&quot;');
}
