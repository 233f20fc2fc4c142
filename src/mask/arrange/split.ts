import { expand, isFamily } from '../../pattern/kinds/registry.ts';
import type { Pattern } from '../../pattern/pattern.ts';
import { TokenClasses } from './classes.ts';

/** Most parts that the unions inside intersections are multiplied out to. */
const MAX_PARTS = 16;

/** A part of a union all of whose pairs are between tokens of one class. */
export interface ScatteredPart {
  readonly classes: TokenClasses;
  readonly pattern: Pattern;
}

export interface SplitPattern {
  readonly plain: readonly Pattern[];
  /** One for each distinct choice of classes. */
  readonly scattered: readonly ScatteredPart[];
}

/** The parts of a pattern (without perHead) whose union it is; undefined where none of them is scattered. */
export function splitPattern(pattern: Pattern): SplitPattern | undefined {
  const plain: Pattern[] = [];
  const scattered = new Map<string, { classes: TokenClasses; of: Pattern[] }>();
  for (const part of partsOf(pattern)) {
    const classes = classesOf(part);
    if (classes === undefined) {
      plain.push(part);
      continue;
    }
    const key = JSON.stringify([classes.sizes, classes.free]);
    const known = scattered.get(key);
    if (known === undefined) scattered.set(key, { classes, of: [part] });
    else known.of.push(part);
  }
  if (scattered.size === 0) return undefined;
  return { plain, scattered: [...scattered.values()].map(({ classes, of }) => ({ classes, pattern: unionOf(of) })) };
}

export function unionOf(parts: readonly Pattern[]): Pattern {
  const [only] = parts;
  return only !== undefined && parts.length === 1 ? only : { kind: 'union', of: parts };
}

/** Intersections are multiplied out where a scattered part is inside. */
function partsOf(pattern: Pattern): Pattern[] {
  switch (pattern.kind) {
    case 'union':
      return pattern.of.flatMap(partsOf);
    case 'intersect': {
      let products: Pattern[][] = [[]];
      for (const factor of pattern.of) {
        const parts = partsOf(factor);
        const terms = parts.length > 1 && parts.some((part) => classesOf(part) !== undefined) ? parts : [factor];
        products = products.flatMap((product) => terms.map((term) => [...product, term]));
        if (products.length > MAX_PARTS) return [pattern];
      }
      return products.length === 1 ? [pattern] : products.map((of) => ({ kind: 'intersect', of }));
    }
    case 'axial':
      return pattern.axes.map((axes) => ({ ...pattern, axes: [axes] }));
    default: {
      const expanded = isFamily(pattern) ? expand(pattern) : undefined;
      return expanded === undefined ? [pattern] : partsOf(expanded);
    }
  }
}

/**
 * Classes of tokens such that every pair of the pattern is within one, where the tokens of a class do not stand beside each
 * other anyway.
 */
function classesOf(pattern: Pattern): TokenClasses | undefined {
  switch (pattern.kind) {
    case 'window':
      return pattern.left + pattern.right > 0 ? scattered([Infinity, pattern.dilation ?? 1], [0]) : undefined;
    case 'sameCoordinate':
      return scattered([Infinity, pattern.period / pattern.width, pattern.width], [0, 2]);
    case 'axial': {
      const [free] = pattern.axes;
      return free !== undefined && pattern.axes.length === 1 ? scattered(pattern.grid, free) : undefined;
    }
    case 'intersect':
      for (const part of pattern.of) {
        const classes = classesOf(part);
        if (classes !== undefined) return classes;
      }
      return undefined;
    default:
      return undefined;
  }
}

function scattered(sizes: readonly number[], free: readonly number[]): TokenClasses | undefined {
  const classes = new TokenClasses(sizes, free);
  return classes.step === 1 || classes.count === 1 ? undefined : classes;
}
