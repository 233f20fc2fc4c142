import { seededFor } from './kinds/random.ts';
import type { Pattern } from './pattern.ts';

/** The pattern that one head uses: every perHead replaced by its entry for `head`, and random draws of each head by that one's. */
export function headPattern(pattern: Pattern, head: number): Pattern {
  switch (pattern.kind) {
    case 'perHead': {
      const part = pattern.heads[head % pattern.heads.length];
      return part === undefined ? { kind: 'union', of: [] } : headPattern(part, head);
    }
    case 'union':
    case 'intersect':
      return hasPerHead(pattern)
        ? { kind: pattern.kind, of: pattern.of.map((part) => headPattern(part, head)) }
        : pattern;
    case 'complement':
    case 'shift':
      return hasPerHead(pattern) ? { ...pattern, of: headPattern(pattern.of, head) } : pattern;
    case 'randomTokens':
    case 'randomBlocks':
    case 'bigBird':
      return seededFor(pattern, head);
    default:
      return pattern;
  }
}

/** Whether heads can differ. */
export function hasPerHead(pattern: Pattern): boolean {
  switch (pattern.kind) {
    case 'perHead':
      return true;
    case 'union':
    case 'intersect':
      return pattern.of.some(hasPerHead);
    case 'complement':
    case 'shift':
      return hasPerHead(pattern.of);
    case 'randomTokens':
    case 'randomBlocks':
    case 'bigBird':
      return pattern.perHead === true;
    default:
      return false;
  }
}

/**
 * The distinct patterns of heads 0 to `heads` - 1, and for each head the index of its pattern. Patterns that are equal as
 * data share an entry.
 */
export function distinctHeads(pattern: Pattern, heads: number): { patterns: Pattern[]; headRows: Uint32Array } {
  const headRows = new Uint32Array(heads);
  if (!hasPerHead(pattern)) return { patterns: [pattern], headRows };
  const patterns: Pattern[] = [];
  const indexOf = new Map<string, number>();
  for (let head = 0; head < heads; head++) {
    const own = headPattern(pattern, head);
    const text = JSON.stringify(own);
    const index = indexOf.get(text) ?? patterns.length;
    if (index === patterns.length) {
      indexOf.set(text, index);
      patterns.push(own);
    }
    headRows[head] = index;
  }
  return { patterns, headRows };
}
