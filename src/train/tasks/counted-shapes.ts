/** Images made by code, one token a pixel: a stand-in for the Long Range Arena's image classification, whose images (CIFAR-10) are not here. */
import { ArgumentError } from '../../errors.ts';
import type { RandomStream } from '../data/random.ts';
import type { Generator } from './generated-set.ts';

export interface CountedShapesOptions {
  /** Side of the square image in pixels. Default 32. */
  readonly size?: number;
}

/** Shapes in an image: 1 to this many. */
const MOST = 10;

/** Grey values: the background, a slope plus noise, ends below the darkest shape. */
const DARKEST_SHAPE = 150;
const BRIGHTEST_SHAPE = 235;
const SLOPE = 80;
const NOISE = 20;

/** Pixels between two shapes at least, so that a shape is what hangs together. */
const GAP = 1;

/** Tries to place a shape before all are placed anew, and to place all. */
const PLACINGS = 200;

/** Below this side ten shapes seldom find a place. */
const SMALLEST = 32;

interface Shape {
  readonly x: number;
  readonly y: number;
  /** From the centre to the edge, in pixels: 2 or 3. */
  readonly radius: number;
  readonly kind: number;
  readonly grey: number;
}

/** Which pixels of a square of side 2 r + 1 belong to a shape, by the offset from its centre. Every kind hangs together. */
const KINDS: readonly ((dx: number, dy: number, r: number) => boolean)[] = [
  // Disc and ring: the half makes small ones round.
  (dx, dy, r) => dx * dx + dy * dy <= (r + 0.5) ** 2,
  (dx, dy, r) => dx * dx + dy * dy <= (r + 0.5) ** 2 && dx * dx + dy * dy > (r - 0.7) ** 2,
  // Square and frame.
  () => true,
  (dx, dy, r) => Math.max(Math.abs(dx), Math.abs(dy)) === r,
  // Upright cross, diagonal cross, triangle.
  (dx, dy) => dx === 0 || dy === 0,
  (dx, dy) => Math.abs(dx) === Math.abs(dy),
  (dx, dy, r) => 2 * Math.abs(dx) <= dy + r,
];

/**
 * The class is the number of shapes less one; 10 classes, equally likely. Discs, rings, squares, frames, crosses and triangles of 5 or 7
 * pixels in different greys lie on a noisy slope; none touches another, not even at a corner. Grey values are 0 to 255, and 256 is the
 * classification token.
 */
export function countedShapes({ size = 32 }: CountedShapesOptions = {}): Generator {
  if (!Number.isInteger(size) || size < SMALLEST) {
    throw new ArgumentError(
      `countedShapes: size is ${size}; it must be an integer from ${SMALLEST}, so that ${MOST} shapes fit`,
    );
  }
  return {
    name: `counted shapes, ${size} x ${size}`,
    classes: MOST,
    vocabularySize: 257,
    classificationToken: 256,
    maximumLength: size * size,
    generate: (random) => {
      const count = 1 + random.integer(MOST);
      // The number is drawn once: crowded images need more tries, and must not be rarer for it.
      for (let tries = 0; tries < PLACINGS; tries++) {
        const shapes = placeShapes(random, size, count);
        if (shapes !== undefined) return { tokens: draw(random, size, shapes), label: count - 1 };
      }
      return undefined;
    },
  };
}

function placeShapes(random: RandomStream, size: number, count: number): Shape[] | undefined {
  const shapes: Shape[] = [];
  while (shapes.length < count) {
    const shape = placeShape(random, size, shapes);
    if (shape === undefined) return undefined;
    shapes.push(shape);
  }
  return shapes;
}

function placeShape(random: RandomStream, size: number, others: readonly Shape[]): Shape | undefined {
  const radius = 2 + random.integer(2);
  const kind = random.integer(KINDS.length);
  const grey = DARKEST_SHAPE + NOISE + random.integer(BRIGHTEST_SHAPE - DARKEST_SHAPE - NOISE + 1);
  for (let tries = 0; tries < PLACINGS; tries++) {
    const x = radius + random.integer(size - 2 * radius);
    const y = radius + random.integer(size - 2 * radius);
    const isFree = others.every(
      (other) => Math.max(Math.abs(other.x - x), Math.abs(other.y - y)) > other.radius + radius + GAP,
    );
    if (isFree) return { x, y, radius, kind, grey };
  }
  return undefined;
}

function draw(random: RandomStream, size: number, shapes: readonly Shape[]): Int32Array {
  const pixels = new Int32Array(size * size);
  const base = random.integer(30);
  const [right, down] = [random.integer(SLOPE / 2 + 1), random.integer(SLOPE / 2 + 1)];
  for (let y = 0; y < size; y++) {
    for (let x = 0; x < size; x++) pixels[y * size + x] = base + Math.floor((right * x + down * y) / size);
  }
  for (const { x, y, radius, kind, grey } of shapes) {
    for (let dy = -radius; dy <= radius; dy++) {
      for (let dx = -radius; dx <= radius; dx++) {
        if (KINDS[kind](dx, dy, radius)) pixels[(y + dy) * size + x + dx] = grey;
      }
    }
  }
  for (let i = 0; i < pixels.length; i++) pixels[i] = Math.max(0, pixels[i] + random.integer(2 * NOISE + 1) - NOISE);
  return pixels;
}
