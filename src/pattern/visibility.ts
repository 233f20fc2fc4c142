import { checkPattern } from './check.ts';
import { distinctHeads } from './heads.ts';
import { cut, type KeyRange, merge } from './key-ranges.ts';
import { definitionOf } from './kinds/registry.ts';
import { visibleInFamily } from './kinds/visible.ts';
import type { Pattern } from './pattern.ts';
import { checkInteger } from './values.ts';

export type { KeyRange } from './key-ranges.ts';

/**
 * The keys below `keyEnd` that some query at position `fromQuery` or later can see in some of heads 0 to `heads` - 1, as
 * ascending, disjoint, non-adjacent ranges. A key-value cache whose next query stands at `fromQuery` may drop all others,
 * for good: the keys of a later query are among them.
 *
 * Exact, except that an intersection keeps a key where every part has a later query that sees it, even if it is not the
 * same query. That can only happen where an intersection combines global queries, or a window with dilation above 1, with
 * a part other than dense, sinks, global keys, and (for the window) causal, or a complement. Never too few keys. For the kinds
 * that kinds/ defines see kinds/visible.ts: exact where a bound is known, else all keys.
 *
 * Throws PatternError for a bad pattern or a bound that is not a non-negative integer.
 */
export function keysVisibleLater(pattern: Pattern, heads: number, keyEnd: number, fromQuery: number): KeyRange[] {
  checkInteger('keysVisibleLater heads', heads, 1);
  checkInteger('keysVisibleLater keyEnd', keyEnd);
  checkInteger('keysVisibleLater fromQuery', fromQuery);
  checkPattern(pattern);
  const { patterns } = distinctHeads(pattern, heads);
  return merge(patterns.flatMap((own) => visible(own, { start: 0, end: keyEnd }, fromQuery)));
}

/**
 * Whether any query at position `fromQuery` or later, in any of heads 0 to `heads` - 1, can see any key of
 * [keyStart, keyEnd). Exact or true, as keysVisibleLater says: never false for a key that is needed. Throws PatternError.
 */
export function visibleLater(
  pattern: Pattern,
  heads: number,
  keyStart: number,
  keyEnd: number,
  fromQuery: number,
): boolean {
  checkInteger('visibleLater heads', heads, 1);
  checkInteger('visibleLater keyStart', keyStart);
  checkInteger('visibleLater keyEnd', keyEnd);
  checkInteger('visibleLater fromQuery', fromQuery);
  checkPattern(pattern);
  const { patterns } = distinctHeads(pattern, heads);
  return patterns.some((own) => visible(own, { start: keyStart, end: keyEnd }, fromQuery).length > 0);
}

/** Ranges among `keys`, for a pattern without perHead. */
function visible(pattern: Pattern, keys: KeyRange, fromQuery: number): KeyRange[] {
  switch (pattern.kind) {
    case 'dense':
    case 'causal':
      return cut(keys, 0, Infinity);
    case 'window':
      // The last query that sees key k stands `left` steps after it.
      return cut(keys, fromQuery - pattern.left * (pattern.dilation ?? 1), Infinity);
    case 'sinks':
      return cut(keys, 0, pattern.count);
    case 'global': {
      const direction = pattern.direction ?? 'both';
      if (direction !== 'keys' && pattern.positions.some((position) => position >= fromQuery)) {
        return cut(keys, 0, Infinity);
      }
      if (direction === 'queries') return [];
      return merge(pattern.positions.flatMap((position) => cut(keys, position, position + 1)));
    }
    case 'union':
      return merge(pattern.of.flatMap((part) => visible(part, keys, fromQuery)));
    case 'intersect':
      return pattern.of.reduce<KeyRange[]>(
        (ranges, part) => common(ranges, visible(part, hull(ranges), fromQuery)),
        cut(keys, 0, Infinity),
      );
    case 'complement':
      return hidden(pattern.of, keys, fromQuery);
    case 'perHead':
      throw new Error('visible: a perHead must be resolved by headPattern first');
    case 'shift': {
      const moved = { start: keys.start - pattern.keys, end: keys.end - pattern.keys };
      const from = { start: Math.max(0, moved.start), end: moved.end };
      const ranges = visible(pattern.of, from, fromQuery - pattern.queries);
      return ranges.map(({ start, end }) => ({ start: start + pattern.keys, end: end + pattern.keys }));
    }
    default: {
      const expanded = definitionOf(pattern).expand?.(pattern);
      return expanded === undefined ? visibleInFamily(pattern, keys, fromQuery) : visible(expanded, keys, fromQuery);
    }
  }
}

/** The keys that some later query does not see under `pattern`: a superset for global tokens and where parts are combined. */
function hidden(pattern: Pattern, keys: KeyRange, fromQuery: number): KeyRange[] {
  switch (pattern.kind) {
    case 'dense':
      return [];
    case 'causal':
      return cut(keys, fromQuery + 1, Infinity);
    case 'sinks':
      return cut(keys, pattern.count, Infinity);
    case 'window':
    case 'global':
      return cut(keys, 0, Infinity);
    case 'union':
      return visible({ kind: 'intersect', of: pattern.of.map(complementOf) }, keys, fromQuery);
    case 'intersect':
      return visible({ kind: 'union', of: pattern.of.map(complementOf) }, keys, fromQuery);
    case 'complement':
      return visible(pattern.of, keys, fromQuery);
    case 'perHead':
      throw new Error('hidden: a perHead must be resolved by headPattern first');
    default: {
      const expanded = definitionOf(pattern).expand?.(pattern);
      return expanded === undefined ? cut(keys, 0, Infinity) : hidden(expanded, keys, fromQuery);
    }
  }
}

function complementOf(of: Pattern): Pattern {
  return { kind: 'complement', of };
}

function hull(ranges: readonly KeyRange[]): KeyRange {
  return { start: ranges[0]?.start ?? 0, end: ranges.at(-1)?.end ?? 0 };
}

/** The keys in both lists, each of which is ascending and disjoint. */
function common(a: readonly KeyRange[], b: readonly KeyRange[]): KeyRange[] {
  const ranges: KeyRange[] = [];
  let j = 0;
  for (const own of a) {
    // A range of b that reaches past this one may also meet the next.
    for (let other = b[j]; other !== undefined && other.start < own.end; other = b[++j]) {
      ranges.push(...cut(own, other.start, other.end));
      if (other.end >= own.end) break;
    }
  }
  return ranges;
}
