/** Pathfinder: are two marks the ends of the same dashed path? (Linsley et al. 2018; Tay et al. 2021, "Long Range Arena", sections 2.2.5 and 2.2.6.) */
import type { Generator } from './generated-set.ts';
import {
  type Dash,
  drawScene,
  type PathfinderParameters,
  type PathfinderScene,
  squaredDistanceTo,
} from './pathfinder-scene.ts';

/** The Long Range Arena's own settings for its 32 x 32 images, with paths of 14 dashes ("hard"). */
export const pathfinder32: PathfinderParameters = {
  size: 32,
  padding: 1,
  dashLength: 2,
  thickness: 0.5,
  margins: [1],
  continuity: 1,
  pathDashes: 14,
  seedDistance: 7,
  distractors: 5,
  distractorDashes: 4,
  markRadius: 1.5,
  contrast: 0.75,
};

/** The same for its 128 x 128 images, Path-X. */
export const pathfinder128: PathfinderParameters = {
  size: 128,
  padding: 1,
  dashLength: 5,
  thickness: 1.5,
  margins: [2, 3],
  continuity: 1.8,
  pathDashes: 14,
  seedDistance: 20,
  distractors: 8,
  distractorDashes: 4,
  markRadius: 3,
  contrast: 0.9,
};

/** Grey values 0 to 255 are the tokens, 256 is the classification token. */
export function pathfinder(parameters: PathfinderParameters): Generator {
  return {
    name: `pathfinder ${JSON.stringify(parameters)}`,
    classes: 2,
    vocabularySize: 257,
    classificationToken: 256,
    maximumLength: parameters.size ** 2,
    generate: (random) => {
      const scene = drawScene(random, parameters);
      return scene && { tokens: Int32Array.from(drawImage(scene, parameters)), label: scene.label };
    },
  };
}

/**
 * Grey values [size, size], line by line. A pixel's value falls from the line's own to 0 over one pixel around its edge. `scale` draws the
 * same scene with as many pixels for one. `marks: false` leaves the marks out.
 */
export function drawImage(
  { paths, marks }: PathfinderScene,
  { size, thickness, markRadius, contrast }: PathfinderParameters,
  options: { readonly scale?: number; readonly marks?: boolean } = {},
): Uint8Array {
  const { scale = 1, marks: withMarks = true } = options;
  const side = size * scale;
  const pixels = new Uint8Array(side * side);
  const stroke = (dash: Dash, radius: number, grey: number): void => {
    const reach = radius + 1 / scale;
    const [left, right] = range(dash.tail.x, dash.head.x, reach, scale, side);
    const [top, bottom] = range(dash.tail.y, dash.head.y, reach, scale, side);
    for (let y = top; y < bottom; y++) {
      for (let x = left; x < right; x++) {
        const centre = { x: (x + 0.5) / scale, y: (y + 0.5) / scale };
        const distance = Math.sqrt(squaredDistanceTo(centre, dash));
        const cover = Math.max(0, Math.min(1, 0.5 + (radius - distance) * scale));
        pixels[y * side + x] = Math.max(pixels[y * side + x], Math.round(255 * grey * cover));
      }
    }
  };
  for (const dash of paths.flat()) stroke(dash, thickness / 2, contrast);
  if (withMarks) for (const mark of marks) stroke({ tail: mark, head: mark }, markRadius, 1);
  return pixels;
}

/** Pixels whose centres may lie within `reach` of a range, cut to the image. */
function range(a: number, b: number, reach: number, scale: number, side: number): [number, number] {
  const from = Math.floor((Math.min(a, b) - reach) * scale);
  const to = Math.ceil((Math.max(a, b) + reach) * scale);
  return [Math.max(0, from), Math.min(side, to)];
}
