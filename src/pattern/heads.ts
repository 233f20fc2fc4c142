import type { Pattern } from './pattern.ts';

/** The pattern that one head uses: `pattern` with every perHead replaced by its entry for `head`. */
export function headPattern(pattern: Pattern, head: number): Pattern {
  switch (pattern.kind) {
    case 'perHead': {
      const part = pattern.heads[head % pattern.heads.length];
      return part ?? { kind: 'union', of: [] };
    }
    case 'union':
    case 'intersect':
      return hasPerHead(pattern)
        ? { kind: pattern.kind, of: pattern.of.map((part) => headPattern(part, head)) }
        : pattern;
    case 'complement':
      return hasPerHead(pattern) ? { kind: 'complement', of: headPattern(pattern.of, head) } : pattern;
    default:
      return pattern;
  }
}

/** Whether heads can differ. */
export function hasPerHead(pattern: Pattern): boolean {
  if (pattern.kind === 'perHead') return true;
  if (pattern.kind === 'complement') return hasPerHead(pattern.of);
  return (pattern.kind === 'union' || pattern.kind === 'intersect') && pattern.of.some(hasPerHead);
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
