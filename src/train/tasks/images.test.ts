import { describe, expect, it } from 'vitest';
import { ArgumentError } from '../../errors.ts';
import { randomStream } from '../data/random.ts';
import { countedShapes } from './counted-shapes.ts';
import { drawImage, pathfinder, pathfinder32, pathfinder128 } from './pathfinder.ts';
import { type Dash, drawScene, type PathfinderParameters, type PathfinderScene } from './pathfinder-scene.ts';

/** Numbers the groups of lit pixels [size, size] that hang together by steps of at most `reach` pixels; 0 is dark. */
function components(lit: (x: number, y: number) => boolean, size: number, reach: number): Int32Array {
  const group = new Int32Array(size * size);
  const steps: [number, number][] = [];
  for (let dy = -Math.floor(reach); dy <= reach; dy++) {
    for (let dx = -Math.floor(reach); dx <= reach; dx++) if (dx * dx + dy * dy <= reach * reach) steps.push([dx, dy]);
  }
  let groups = 0;
  for (let start = 0; start < size * size; start++) {
    if (group[start] !== 0 || !lit(start % size, Math.floor(start / size))) continue;
    groups++;
    group[start] = groups;
    const queue = [start];
    for (let pixel = queue.pop(); pixel !== undefined; pixel = queue.pop()) {
      const [x0, y0] = [pixel % size, Math.floor(pixel / size)];
      for (const [dx, dy] of steps) {
        const [x, y] = [x0 + dx, y0 + dy];
        if (x < 0 || y < 0 || x >= size || y >= size || group[y * size + x] !== 0 || !lit(x, y)) continue;
        group[y * size + x] = groups;
        queue.push(y * size + x);
      }
    }
  }
  return group;
}

describe('counted shapes', () => {
  it('have as many bright regions as the label says, all numbers equally often', () => {
    const generator = countedShapes();
    const counts = new Array<number>(10).fill(0);
    const images = 2000;
    for (let draw = 0; draw < images; draw++) {
      const sequence = generator.generate(randomStream(2, draw));
      expect(sequence).toBeDefined();
      if (sequence === undefined) continue;
      const { tokens, label } = sequence;
      expect(tokens.every((grey) => grey >= 0 && grey <= 255)).toBe(true);
      const groups = components((x, y) => tokens[y * 32 + x] >= 140, 32, Math.SQRT2);
      expect(groups.reduce((most, group) => Math.max(most, group), 0)).toBe(label + 1);
      counts[label]++;
    }
    for (const count of counts) expect(Math.abs(count - images / 10)).toBeLessThan(4 * Math.sqrt(images * 0.09));
  });

  it('need room', () => {
    expect(() => countedShapes({ size: 16 })).toThrow(ArgumentError);
  });
});

function scenes(parameters: PathfinderParameters, count: number): PathfinderScene[] {
  const found: PathfinderScene[] = [];
  for (let draw = 0; found.length < count; draw++) {
    const scene = drawScene(randomStream(6, draw), parameters);
    if (scene !== undefined) found.push(scene);
  }
  return found;
}

/** Points along a dash, both ends among them. */
function alongDash({ tail, head }: Dash): { x: number; y: number }[] {
  return Array.from({ length: 9 }, (_, i) => ({
    x: tail.x + ((head.x - tail.x) * i) / 8,
    y: tail.y + ((head.y - tail.y) * i) / 8,
  }));
}

/** Between dashes, by comparing points: at most half a step too far. */
function distance(a: Dash, b: Dash): number {
  let least = Infinity;
  for (const p of alongDash(a)) for (const q of alongDash(b)) least = Math.min(least, Math.hypot(p.x - q.x, p.y - q.y));
  return least;
}

describe.each([
  ['32', pathfinder32, 25, 8],
  ['128', pathfinder128, 10, 4],
] as const)('pathfinder %s', (_, parameters, count, scale) => {
  const all = scenes(parameters, count);

  it('connects the marks in the picture where the label says so, and nowhere else', () => {
    const size = parameters.size * scale;
    for (const scene of all) {
      const pixels = drawImage(scene, parameters, { scale, marks: false });
      // From edge to edge a path's own gap is at most 2 margins less a thickness, another path at least 2 margins away.
      const reach = (2 * scene.margin - parameters.thickness / 2) * scale;
      const groups = components((x, y) => pixels[y * size + x] > 64, size, reach);
      const groupAt = ({ x, y }: { x: number; y: number }): number => {
        const column = Math.min(size - 1, Math.floor(x * scale));
        const row = Math.min(size - 1, Math.floor(y * scale));
        return groups[row * size + column];
      };
      const [from, to] = scene.marks.map(groupAt);
      expect(from).toBeGreaterThan(0);
      expect(to).toBeGreaterThan(0);
      expect(from === to ? 1 : 0).toBe(scene.label);
      // Every path is one group, and no group has two.
      const ofPaths = scene.paths.map((path) => new Set(path.flatMap((dash) => alongDash(dash).map(groupAt))));
      expect(ofPaths.map((own) => own.size)).toEqual(scene.paths.map(() => 1));
      expect(new Set(ofPaths.flatMap((own) => [...own])).size).toBe(scene.paths.length);
    }
  });

  it('has paths of the right form', () => {
    const { dashLength, thickness, padding, size, pathDashes, distractorDashes, distractors, margins } = parameters;
    for (const { paths, margin, marks } of all) {
      expect(margins).toContain(margin);
      expect(paths.length).toBeLessThanOrEqual(2 + distractors);
      for (const [number, path] of paths.entries()) {
        expect(path.length).toBe(number < 2 ? pathDashes : distractorDashes);
        for (const [i, dash] of path.entries()) {
          expect(Math.hypot(dash.head.x - dash.tail.x, dash.head.y - dash.tail.y)).toBeCloseTo(dashLength, 9);
          for (const value of [dash.tail.x, dash.tail.y, dash.head.x, dash.head.y]) {
            expect(value).toBeGreaterThanOrEqual(padding);
            expect(value).toBeLessThanOrEqual(size - padding);
          }
          if (i > 0) {
            const gap = Math.hypot(dash.tail.x - path[i - 1].head.x, dash.tail.y - path[i - 1].head.y);
            expect(gap).toBeLessThanOrEqual(2 * margin + 1e-9);
          }
        }
      }
      let nearest = Infinity;
      const dashes = paths.flatMap((path, number) => path.map((dash, i) => ({ dash, number, i })));
      for (const a of dashes) {
        for (const b of dashes) {
          const isNext = a.number === b.number && Math.abs(a.i - b.i) <= 1;
          if (!isNext) nearest = Math.min(nearest, distance(a.dash, b.dash));
        }
      }
      expect(nearest).toBeGreaterThanOrEqual(2 * margin + thickness - 1e-9);
      const starts = paths.slice(0, 2).map(([{ tail }]) => tail);
      expect(Math.hypot(starts[0].x - starts[1].x, starts[0].y - starts[1].y)).toBeCloseTo(parameters.seedDistance, 9);
      const ends = paths.slice(0, 2).map((path) => path[pathDashes - 1].head);
      expect(starts).toContainEqual(marks[0]);
      expect(ends).toContainEqual(marks[1]);
    }
  });

  it('draws bright marks on grey dashes, the same picture smaller as larger', () => {
    const [scene] = all;
    const { size, contrast, markRadius } = parameters;
    const image = drawImage(scene, parameters);
    expect(image).toHaveLength(size * size);
    const marked = drawImage(scene, parameters, { scale });
    const bright = marked.filter((grey) => grey === 255).length / scale ** 2;
    const plain = drawImage(scene, parameters, { scale, marks: false });
    expect(Math.max(...new Set(plain))).toBe(Math.round(255 * contrast));
    const area = 2 * Math.PI * markRadius ** 2;
    expect(bright).toBeLessThan(area * 1.1);
    expect(bright).toBeGreaterThan(area * 0.5);
    const mean = (pixels: Uint8Array): number => pixels.reduce((sum, grey) => sum + grey, 0) / pixels.length;
    expect(Math.abs(mean(image) / mean(marked) - 1)).toBeLessThan(0.25);
  });
});

describe('pathfinder labels', () => {
  it('are fair', () => {
    let ones = 0;
    const images = 300;
    const generator = pathfinder(pathfinder32);
    for (let draw = 0, found = 0; found < images; draw++) {
      const sequence = generator.generate(randomStream(4, draw));
      if (sequence === undefined) continue;
      found++;
      ones += sequence.label;
    }
    expect(Math.abs(ones - images / 2)).toBeLessThan(4 * Math.sqrt(images / 4));
  });
});
