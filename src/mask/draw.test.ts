import { crc32, inflateSync } from 'node:zlib';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { ArgumentError } from '../errors.ts';
import { allows } from '../pattern/allows.ts';
import { arbitraryPattern } from '../pattern/arbitrary.ts';
import { causal, dense, globalTokens, intersect, perHead, sinks, union, window } from '../pattern/constructors.ts';
import type { Pattern } from '../pattern/pattern.ts';
import type { BlockMask } from './block-mask.ts';
import { compileMask } from './compile.ts';
import { cellGrid, squareGrid } from './density.ts';
import { densityLevel, drawPng } from './draw-png.ts';
import { drawSvg } from './draw-svg.ts';
import { drawText } from './draw-text.ts';

function compile(pattern: Pattern, queries: number, keys = queries): BlockMask {
  return compileMask(pattern, { queries, keys, heads: 2, length: Infinity });
}

const streaming = compile(intersect(causal(), union(window(512), sinks(4))), 1_000_000);

describe('cellGrid and squareGrid', () => {
  it('count exactly what allows() allows in each cell', () => {
    fc.assert(
      fc.property(
        arbitraryPattern(),
        fc.integer({ min: 1, max: 200 }),
        fc.integer({ min: 1, max: 200 }),
        fc.integer({ min: 1, max: 90 }),
        fc.integer({ min: 1, max: 90 }),
        fc.constantFrom(1, 2, 16, 64, 128),
        (pattern, queries, keys, rows, columns, side) => {
          const mask = compile(pattern, queries, keys);
          for (const grid of [cellGrid(mask, 1, rows, columns), squareGrid(mask, 1, side)]) {
            expect(grid.rowEdge.at(-1)).toBe(queries);
            expect(grid.columnEdge.at(-1)).toBe(keys);
            for (let r = 0; r < grid.rows; r++) {
              for (let c = 0; c < grid.columns; c++) {
                let pairs = 0;
                let all = 0;
                for (let q = grid.rowEdge[r] ?? 0; q < (grid.rowEdge[r + 1] ?? 0); q++) {
                  for (let k = grid.columnEdge[c] ?? 0; k < (grid.columnEdge[c + 1] ?? 0); k++) {
                    all++;
                    if (allows(pattern, { head: 1, q: q + keys - queries, k })) pairs++;
                  }
                }
                expect(grid.density[r * grid.columns + c]).toBe(pairs / all);
              }
            }
          }
        },
      ),
      { numRuns: 60 },
    );
  });
});

describe('drawText', () => {
  it('draws small masks pair by pair', () => {
    expect(drawText(compile(intersect(causal(), window(1)), 4))).toBe(
      ['┌────────┐', '│██ · · ·│', '│████ · ·│', '│ ·████ ·│', '│ · ·████│', '└────────┘'].join('\n'),
    );
  });

  it('shades large ones', () => {
    expect(drawText(compile(causal(), 8192), { columns: 10 })).toBe(
      ['┌────────┐', '│▓▄      │', '│██▓▄    │', '│████▓▄  │', '│██████▓▄│', '└────────┘'].join('\n'),
    );
    const lines = drawText(streaming).split('\n');
    expect(lines.every((line) => [...line].length === 64)).toBe(true);
    // The sinks are 4 keys of 1,000,000 and still show in every line.
    expect(lines.slice(1, -1).every((line) => line.startsWith('│░'))).toBe(true);
  });

  it('draws the head it is asked for, and any lengths', () => {
    const mask = compile(perHead([dense(), window(0)]), 2);
    expect(drawText(mask)).toBe('┌────┐\n│████│\n│████│\n└────┘');
    expect(drawText(mask, { head: 1 })).toBe('┌────┐\n│██ ·│\n│ ·██│\n└────┘');
    expect(() => drawText(mask, { head: 2 })).toThrow(/head is 2; the mask has heads 0 to 1/);
    expect(() => drawText(mask, { columns: 2 })).toThrow(ArgumentError);
    for (const [queries, keys] of [
      [0, 0],
      [0, 9],
      [9, 0],
      [1, 5000],
      [5000, 1],
      [3, 90],
    ] as const) {
      const lines = drawText(compile(dense(), queries, keys)).split('\n');
      expect(new Set(lines.map((line) => [...line].length)).size).toBe(1);
      expect(lines.length).toBeLessThanOrEqual(66);
    }
  });
});

/** Reads a file that drawPng wrote: size, and the palette index of each pixel. Checks signature and CRCs. */
function readPng(file: Uint8Array): { width: number; height: number; pixels: number[]; palette: Uint8Array } {
  const bytes = Buffer.from(file);
  expect(bytes.toString('latin1', 0, 8)).toBe('\x89PNG\r\n\x1a\n');
  const chunks = new Map<string, Buffer>();
  for (let at = 8; at < bytes.length; ) {
    const length = bytes.readUInt32BE(at);
    expect(bytes.readUInt32BE(at + 8 + length)).toBe(crc32(bytes.subarray(at + 4, at + 8 + length)));
    chunks.set(bytes.toString('latin1', at + 4, at + 8), bytes.subarray(at + 8, at + 8 + length));
    at += 12 + length;
  }
  expect([...chunks.keys()]).toEqual(['IHDR', 'PLTE', 'IDAT', 'IEND']);
  const header = chunks.get('IHDR') ?? Buffer.alloc(13);
  const [width, height] = [header.readUInt32BE(0), header.readUInt32BE(4)];
  expect([...header.subarray(8)]).toEqual([8, 3, 0, 0, 0]);
  const lines = inflateSync(chunks.get('IDAT') ?? Buffer.alloc(0));
  expect(lines).toHaveLength((width + 1) * height);
  const pixels = [...lines].filter((_, i) => i % (width + 1) !== 0);
  return { width, height, pixels, palette: chunks.get('PLTE') ?? Buffer.alloc(0) };
}

describe('drawPng', () => {
  it('gives each pixel the density it covers', () => {
    const pattern = union(window({ left: 20, right: 3, dilation: 2 }), globalTokens({ positions: [7, 150] }));
    const { width, height, pixels } = readPng(drawPng(compile(pattern, 200), { size: 100 }));
    expect([width, height]).toEqual([100, 100]);
    for (let y = 0; y < height; y++) {
      for (let x = 0; x < width; x++) {
        let pairs = 0;
        for (let pair = 0; pair < 4; pair++) {
          if (allows(pattern, { head: 0, q: 2 * y + (pair >> 1), k: 2 * x + (pair & 1) })) pairs++;
        }
        expect(pixels[y * width + x]).toBe(densityLevel(pairs / 4));
      }
    }
  });

  it('enlarges small masks by a whole factor and keeps thin ones visible', () => {
    const small = readPng(drawPng(compile(causal(), 3), { size: 32 }));
    expect([small.width, small.height]).toEqual([30, 30]);
    expect(small.pixels.map((level) => level === 255)).toEqual(
      Array.from({ length: 900 }, (_, i) => Math.floor((i % 30) / 10) <= Math.floor(i / 300)),
    );
    expect(readPng(drawPng(compile(dense(), 1, 4000))).height).toBe(12);
  });

  it('orders its colours from white to dark', () => {
    const { palette, pixels } = readPng(drawPng(streaming));
    const light = Array.from({ length: 256 }, (_, i) => palette.subarray(3 * i, 3 * i + 3).reduce((a, b) => a + b, 0));
    expect(light[0]).toBe(765);
    expect(light.every((value, i) => i === 0 || value <= (light[i - 1] ?? 0))).toBe(true);
    expect(light[1]).toBeLessThan(650);
    // 512 lines, each with a pixel of sinks and one or two of the window.
    expect(pixels.filter((level) => level > 0).length).toBeGreaterThan(1000);
    expect(densityLevel(1e-9)).toBe(1);
    expect(densityLevel(1 - 1e-9)).toBe(254);
  });

  it('refuses what it cannot draw', () => {
    expect(() => drawPng(compile(dense(), 0))).toThrow(/0 queries and 0 keys/);
    expect(() => drawPng(compile(dense(), 4), { size: 0 })).toThrow(/size is 0/);
  });
});

describe('drawSvg', () => {
  it('draws full and partial blocks as rectangles that cover just the cells', () => {
    // 4 x 4 blocks: 6 full below the diagonal, 4 partial on it; cells of 2 x 2 tokens.
    const svg = drawSvg(compile(causal(), 256), { size: 256 });
    const area = (colour: string): number => {
      let sum = 0;
      for (const [, path = ''] of svg.matchAll(new RegExp(`<path fill="${colour}"[^>]* d="([^"]*)"`, 'g'))) {
        for (const [, x, y, right, bottom] of path.matchAll(/M(\S+) (\S+)H(\S+)V(\S+)H\S+z/g)) {
          sum += (Number(right) - Number(x)) * (Number(bottom) - Number(y));
        }
      }
      return sum;
    };
    expect(area('#4480b3')).toBe(6 * 64 * 64);
    expect(area('#dd9a45')).toBe(4 * ((32 * 33) / 2) * 4);
  });

  it('says what it shows, escaped', () => {
    const svg = drawSvg(compile(intersect(causal(), window(9)), 100), { head: 1, title: 'a < b & "c"' });
    expect(svg).toContain('>a &lt; b &amp; &quot;c&quot;</text>');
    expect(svg).toContain('100 queries, 100 keys, head 1');
    expect(svg).toMatch(/>keys</);
    expect(svg).toMatch(/>queries</);
    expect(drawSvg(compile(intersect(causal(), window(9)), 100))).toContain('<title>causal&amp;window:9: ');
  });

  it('stays small however many tokens and however ragged the mask', () => {
    const ragged = union(sinks(1), window({ left: 40, right: 40, dilation: 7 }));
    for (const mask of [streaming, compile(ragged, 199), compile(ragged, 3000)]) {
      const svg = drawSvg(mask);
      expect([...svg.matchAll(/M[\d.]+ [\d.]+H/g)].length).toBeLessThanOrEqual(200 * 200);
      expect(svg.length).toBeLessThan(1_000_000);
      // Every element that opens closes.
      const opened = [...svg.matchAll(/<[a-z][^>]*[^/]>/g)].length;
      expect([...svg.matchAll(/<\/[a-z]+>/g)].length).toBe(opened);
    }
  });

  it('refuses what it cannot draw', () => {
    expect(() => drawSvg(compile(dense(), 4, 0))).toThrow(/4 queries and 0 keys/);
    expect(() => drawSvg(compile(dense(), 4), { size: Number.NaN })).toThrow(/size is NaN/);
  });
});
