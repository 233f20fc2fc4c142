/** The geometry of a Pathfinder image: dashed paths that do not touch, and two marks. */
import type { RandomStream } from '../data/random.ts';

export interface Point {
  readonly x: number;
  readonly y: number;
}

/** A dash: a straight line from `tail` to `head`. */
export interface Dash {
  readonly tail: Point;
  readonly head: Point;
}

/** Lengths are in pixels. */
export interface PathfinderParameters {
  /** Side of the square image. */
  readonly size: number;
  /** Free border. */
  readonly padding: number;
  readonly dashLength: number;
  readonly thickness: number;
  /** Half the gap between two dashes of a path, one of these for an image. */
  readonly margins: readonly number[];
  /** How straight paths are: a turn by the angle a has the weight cos^2(min(continuity a, 90 degrees)). */
  readonly continuity: number;
  /** Dashes of the two long paths. */
  readonly pathDashes: number;
  /** Between the first dashes of the two. */
  readonly seedDistance: number;
  readonly distractors: number;
  readonly distractorDashes: number;
  readonly markRadius: number;
  /** Grey of dashes as a share of the marks'. */
  readonly contrast: number;
}

export interface PathfinderScene {
  /** The two long paths, then the distractors. */
  readonly paths: readonly (readonly Dash[])[];
  readonly margin: number;
  /** The first is the start of a long path. */
  readonly marks: readonly [Point, Point];
  /** 1 where the second mark is the end of the same path. */
  readonly label: 0 | 1;
}

/** Turns that are tried are multiples of this, in degrees. */
const TURN = 5;

/** Tries of a distractor's place before it is left out, as in the original. */
const DISTRACTOR_TRIES = 5;

/** Places that are tried for its first dash; the original lists all free ones. */
const START_TRIES = 50;

/**
 * Directions by degrees, made with sums and products only: unlike Math.cos, which may differ in the last bit between browsers, these are
 * the same everywhere.
 */
const DIRECTIONS: readonly Point[] = (() => {
  const cosine = 0.9998476951563913;
  const sine = 0.01745240643728351;
  const directions = [{ x: 1, y: 0 }];
  for (let degrees = 1; degrees < 360; degrees++) {
    const { x, y } = directions[degrees - 1];
    directions.push({ x: x * cosine - y * sine, y: x * sine + y * cosine });
  }
  return directions;
})();

/**
 * Draws a scene, or undefined where a path runs into a dead end. Linsley et al. 2018, "Learning long-range spatial dependencies with
 * horizontal gated recurrent units", section 3: two paths of equal length start a fixed distance apart and grow by turns, dash by dash; each new dash
 * lies ahead, more likely the straighter, and clear of all others; then shorter distractors fill the image. One mark stands at the start of one
 * path, the other at the end of the same or of the other path, with equal chance.
 */
export function drawScene(random: RandomStream, parameters: PathfinderParameters): PathfinderScene | undefined {
  const { size, margins, seedDistance, pathDashes, distractors, distractorDashes } = parameters;
  const label = random.integer(2) === 1 ? 1 : 0;
  const margin = margins[random.integer(margins.length)];
  const centre = { x: between(random, 2 * seedDistance, size), y: between(random, 2 * seedDistance, size) };
  const paths: Path[] = [];
  for (const start of [centre, step(centre, random.integer(360), seedDistance)]) {
    const path = startPath(random, parameters, margin, paths, start);
    if (path === undefined) return undefined;
    paths.push(path);
  }
  for (let dash = 1; dash < pathDashes; dash++) {
    for (const path of paths) if (!extend(random, parameters, margin, paths, path)) return undefined;
  }
  for (let distractor = 0; distractor < distractors; distractor++) {
    for (let tries = 0; tries < DISTRACTOR_TRIES; tries++) {
      const path = drawDistractor(random, parameters, margin, paths, distractorDashes);
      if (path === undefined) continue;
      paths.push(path);
      break;
    }
  }
  const from = random.integer(2);
  const to = label === 1 ? from : 1 - from;
  const marks = [paths[from].dashes[0].tail, paths[to].dashes[pathDashes - 1].head] as const;
  return { paths: paths.map(({ dashes }) => dashes), margin, marks, label };
}

interface Path {
  readonly dashes: Dash[];
  /** In degrees, 0 to 359. */
  direction: number;
}

function between(random: RandomStream, border: number, size: number): number {
  return border + random.unit() * (size - 2 * border);
}

function step({ x, y }: Point, degrees: number, length: number): Point {
  const { x: dx, y: dy } = DIRECTIONS[degrees];
  return { x: x + dx * length, y: y + dy * length };
}

function startPath(
  random: RandomStream,
  parameters: PathfinderParameters,
  margin: number,
  paths: readonly Path[],
  tail: Point,
): Path | undefined {
  const direction = random.integer(360);
  const dash = { tail, head: step(tail, direction, parameters.dashLength) };
  return isFree(dash, parameters, margin, paths, undefined) ? { dashes: [dash], direction } : undefined;
}

function drawDistractor(
  random: RandomStream,
  parameters: PathfinderParameters,
  margin: number,
  paths: readonly Path[],
  dashes: number,
): Path | undefined {
  const { size, padding } = parameters;
  let path: Path | undefined;
  for (let tries = 0; tries < START_TRIES && path === undefined; tries++) {
    const start = { x: between(random, padding, size), y: between(random, padding, size) };
    path = startPath(random, parameters, margin, paths, start);
  }
  if (path === undefined) return undefined;
  const all = [...paths, path];
  while (path.dashes.length < dashes) if (!extend(random, parameters, margin, all, path)) return undefined;
  return path;
}

/** Adds a dash to the end of a path. The middle of the gap lies straight ahead; there the path turns. */
function extend(
  random: RandomStream,
  parameters: PathfinderParameters,
  margin: number,
  paths: readonly Path[],
  path: Path,
): boolean {
  const { dashLength, continuity } = parameters;
  const pivot = step(path.dashes[path.dashes.length - 1].head, path.direction, margin);
  const candidates: { readonly dash: Dash; readonly direction: number; readonly weight: number }[] = [];
  let total = 0;
  for (let turn = -90; turn <= 90; turn += TURN) {
    const bent = Math.round(continuity * Math.abs(turn));
    if (bent >= 90) continue;
    const direction = (path.direction + turn + 360) % 360;
    const dash = { tail: step(pivot, direction, margin), head: step(pivot, direction, margin + dashLength) };
    if (!isFree(dash, parameters, margin, paths, path)) continue;
    const weight = DIRECTIONS[bent].x ** 2;
    total += weight;
    candidates.push({ dash, direction, weight });
  }
  let left = random.unit() * total;
  for (const { dash, direction, weight } of candidates) {
    left -= weight;
    if (left >= 0) continue;
    path.dashes.push(dash);
    path.direction = direction;
    return true;
  }
  return false;
}

/**
 * Whether a dash lies in the image and clear of all dashes but the last one of its own path: from edge to edge at least as far as
 * the gap of a path, so that the nearest dash ahead is always one's own.
 */
function isFree(
  dash: Dash,
  { size, padding, thickness, dashLength }: PathfinderParameters,
  margin: number,
  paths: readonly Path[],
  own: Path | undefined,
): boolean {
  for (const { x, y } of [dash.tail, dash.head]) {
    if (!(x >= padding && x <= size - padding && y >= padding && y <= size - padding)) return false;
  }
  const clearance = (2 * margin + thickness) ** 2;
  const far = (2 * margin + thickness + 2 * dashLength) ** 2;
  return paths.every((path) => {
    const last = path === own ? path.dashes.length - 1 : path.dashes.length;
    for (let i = 0; i < last; i++) {
      const other = path.dashes[i];
      // No point of a dash is farther from its tail than its length.
      if ((dash.tail.x - other.tail.x) ** 2 + (dash.tail.y - other.tail.y) ** 2 >= far) continue;
      if (squaredDistance(dash, other) < clearance) return false;
    }
    return true;
  });
}

/** Of two line segments. They are 0 apart where they cross, and else nearest at an end of one. */
function squaredDistance(a: Dash, b: Dash): number {
  if (cross(a, b)) return 0;
  return Math.min(
    squaredDistanceTo(a.tail, b),
    squaredDistanceTo(a.head, b),
    squaredDistanceTo(b.tail, a),
    squaredDistanceTo(b.head, a),
  );
}

export function squaredDistanceTo({ x, y }: Point, { tail, head }: Dash): number {
  const [dx, dy] = [head.x - tail.x, head.y - tail.y];
  const squaredLength = dx * dx + dy * dy;
  // A dash without length is a point.
  const along = squaredLength === 0 ? 0 : ((x - tail.x) * dx + (y - tail.y) * dy) / squaredLength;
  const t = Math.max(0, Math.min(1, along));
  return (tail.x + t * dx - x) ** 2 + (tail.y + t * dy - y) ** 2;
}

function cross(a: Dash, b: Dash): boolean {
  return side(a, b.tail) * side(a, b.head) < 0 && side(b, a.tail) * side(b, a.head) < 0;
}

/** Which side of a dash's line a point lies on: the sign. */
function side({ tail, head }: Dash, { x, y }: Point): number {
  return (head.x - tail.x) * (y - tail.y) - (head.y - tail.y) * (x - tail.x);
}
