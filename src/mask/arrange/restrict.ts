import { expand, isFamily } from '../../pattern/kinds/registry.ts';
import { documentStarts } from '../../pattern/kinds/sequence.ts';
import type { FamilyPattern, Global, Pattern, Window } from '../../pattern/pattern.ts';
import type { TokenClasses } from './classes.ts';

/** A pattern between the tokens of class c, as a pattern of their indices. */
export type ClassPattern = (c: number) => Pattern;

/** Most documents times classes that are worth a look. */
const MAX_DOCUMENTS = 2 ** 18;

export const NOTHING: Pattern = { kind: 'union', of: [] };
/** k = q. */
const ITSELF: Pattern = { kind: 'window', left: 0, right: 0 };

/**
 * What a pattern (without perHead) allows between two tokens of one class, said of their indices in it; undefined where that is
 * not known to be a pattern again. Order is kept, so that whatever is said of order alone stays as it is; distances become
 * multiples of the classes' step.
 */
export function restrictPattern(pattern: Pattern, classes: TokenClasses): ClassPattern | undefined {
  switch (pattern.kind) {
    case 'dense':
    case 'causal':
      return () => pattern;
    case 'window':
      return restrictWindow(pattern, classes);
    case 'sinks':
      return (c) => ({ kind: 'sinks', count: Math.max(0, classes.indexFrom(c, pattern.count)) });
    case 'global':
      return restrictGlobal(pattern, classes);
    case 'union':
    case 'intersect': {
      const parts = pattern.of.map((part) => restrictPattern(part, classes));
      if (!parts.every((part) => part !== undefined)) return undefined;
      return (c) => ({ kind: pattern.kind, of: parts.map((part) => part(c)) });
    }
    case 'complement': {
      const part = restrictPattern(pattern.of, classes);
      return part && ((c) => ({ kind: 'complement', of: part(c) }));
    }
    default:
      return isFamily(pattern) ? restrictFamily(pattern, classes) : undefined;
  }
}

function restrictFamily(pattern: FamilyPattern, classes: TokenClasses): ClassPattern | undefined {
  const { step } = classes;
  switch (pattern.kind) {
    case 'columns':
    case 'rows': {
      const { kind, start, count, period } = pattern;
      if (period !== undefined) return undefined;
      return (c) => {
        const first = Math.max(0, classes.indexFrom(c, start));
        return { kind, start: first, count: Math.max(0, classes.indexFrom(c, start + count) - first) };
      };
    }
    case 'blockLocal': {
      const { block, back = 0, ahead = 0 } = pattern;
      if (step === undefined) return undefined;
      // A class starts within its first step, so that blocks of whole steps are blocks of its tokens.
      if (block % step === 0) return () => ({ ...pattern, block: block / step });
      if (step % block !== 0) return undefined;
      const blocks = step / block;
      return () => ({ kind: 'window', left: Math.floor(back / blocks), right: Math.floor(ahead / blocks) });
    }
    case 'sameCoordinate': {
      const { period, width } = pattern;
      return restrictSame([Infinity, period / width, width], [0, 2], classes);
    }
    case 'axial': {
      const groups = pattern.axes.map((free) => restrictSame(pattern.grid, free, classes));
      if (!groups.every((group) => group !== undefined)) return undefined;
      return (c) => ({ kind: 'union', of: groups.map((group) => group(c)) });
    }
    case 'documents': {
      const starts = documentStarts(pattern);
      if (starts.length * classes.count > MAX_DOCUMENTS) return undefined;
      return (c) => {
        const first = starts.map((start) => classes.indexFrom(c, start));
        const lengths = starts.map(
          (start, i) => classes.indexFrom(c, start + (pattern.lengths[i] ?? 0)) - (first[i] ?? 0),
        );
        return { kind: 'documents', lengths, starts: first };
      };
    }
    default: {
      const expanded = expand(pattern);
      return expanded && restrictPattern(expanded, classes);
    }
  }
}

/** Neighbours of a class are s tokens apart; those that the window reaches, every lcm(s, dilation) tokens. */
function restrictWindow({ left, right, dilation = 1 }: Window, { step }: TokenClasses): ClassPattern | undefined {
  if (step === undefined) return left === 0 && right === 0 ? () => ITSELF : undefined;
  const shared = greatestDivisor(step, dilation);
  const own = dilation / shared;
  const each = step / shared;
  const window: Window = { kind: 'window', left: Math.floor(left / each), right: Math.floor(right / each) };
  return () => (own === 1 ? window : { ...window, dilation: own });
}

function restrictGlobal({ positions, direction }: Global, classes: TokenClasses): ClassPattern {
  const byClass = new Map<number, number[]>();
  for (const position of positions) {
    const place = classes.locate(position);
    if (place === undefined) continue;
    const known = byClass.get(place.c);
    if (known === undefined) byClass.set(place.c, [place.index]);
    else known.push(place.index);
  }
  return (c) => {
    const own = byClass.get(c);
    if (own === undefined) return NOTHING;
    return direction === undefined ? { kind: 'global', positions: own } : { kind: 'global', positions: own, direction };
  };
}

/** Tokens of one class that also agree on every axis of `sizes` but the `free` ones. */
function restrictSame(
  sizes: readonly number[],
  free: readonly number[],
  classes: TokenClasses,
): ClassPattern | undefined {
  if (sizes.length !== classes.sizes.length || sizes.some((size, axis) => size !== classes.sizes[axis]))
    return undefined;
  const shared = classes.free.map((axis, i) => (free.includes(axis) ? i : -1)).filter((i) => i >= 0);
  if (shared.length === classes.free.length) return () => ({ kind: 'dense' });
  if (shared.length === 0) return () => ITSELF;
  const grid = classes.free.map((axis) => sizes[axis] ?? 1);
  return grid.includes(Infinity) ? undefined : () => ({ kind: 'axial', grid, axes: [shared] });
}

function greatestDivisor(a: number, b: number): number {
  return b === 0 ? a : greatestDivisor(b, a % b);
}
