import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { allows } from './allows.ts';
import { arbitraryPattern } from './arbitrary.ts';
import { causal, complement, globalTokens, intersect, perHead, sinks, union, window } from './constructors.ts';
import { isFamily } from './kinds/registry.ts';
import type { Pattern } from './pattern.ts';
import { keysVisibleLater, visibleLater } from './visibility.ts';

const REACH = 12;
const DILATION = 4;
const KEYS = 40;
/** Past this position no window reaches back to a key below KEYS, and no token is global. */
const LAST_QUERY = KEYS + REACH * DILATION + 1;

function bruteForce(pattern: Pattern, heads: number, k: number, fromQuery: number): boolean {
  for (let head = 0; head < heads; head++) {
    for (let q = fromQuery; q <= LAST_QUERY; q++) {
      if (allows(pattern, { head, q, k })) return true;
    }
  }
  return false;
}

/** The kinds of leaves in a pattern, with global queries and dilated windows told apart. */
function leaves(pattern: Pattern): string[] {
  switch (pattern.kind) {
    case 'union':
    case 'intersect':
      return pattern.of.flatMap(leaves);
    case 'perHead':
      return pattern.heads.flatMap(leaves);
    case 'complement':
      return leaves(pattern.of);
    case 'window':
      return [(pattern.dilation ?? 1) > 1 ? 'dilated' : 'window'];
    case 'global':
      return [pattern.direction === 'keys' ? 'globalKeys' : 'globalQueries'];
    default:
      return [pattern.kind];
  }
}

/** Whether the documentation promises an exact answer. */
function isExact(pattern: Pattern): boolean {
  if (isFamily(pattern)) return false;
  if (pattern.kind === 'union') return pattern.of.every(isExact);
  if (pattern.kind === 'perHead') return pattern.heads.every(isExact);
  if (pattern.kind === 'complement') return false;
  if (pattern.kind !== 'intersect') return true;
  if (!pattern.of.every(isExact)) return false;
  if (pattern.of.length === 1) return true;
  const special = pattern.of.filter((part) =>
    leaves(part).some((leaf) => leaf === 'dilated' || leaf === 'globalQueries'),
  );
  if (special.length === 0) return true;
  const plain = ['dense', 'sinks', 'globalKeys'];
  if (!special.flatMap(leaves).includes('globalQueries')) plain.push('causal');
  const others = pattern.of.filter((part) => !special.includes(part));
  return special.length === 1 && others.flatMap(leaves).every((leaf) => plain.includes(leaf));
}

describe('visibleLater and keysVisibleLater', () => {
  it('never miss a key, and are exact where promised', () => {
    let exact = 0;
    fc.assert(
      fc.property(
        arbitraryPattern(REACH, DILATION),
        fc.integer({ min: 1, max: 4 }),
        fc.nat({ max: KEYS }),
        fc.nat({ max: KEYS }),
        fc.nat({ max: KEYS + 10 }),
        (pattern, heads, keyStart, keyEnd, fromQuery) => {
          const want = Array.from({ length: keyEnd }, (_, k) => bruteForce(pattern, heads, k, fromQuery));
          const ranges = keysVisibleLater(pattern, heads, keyEnd, fromQuery);
          const got = want.map((_, k) => ranges.some(({ start, end }) => start <= k && k < end));
          const isPromised = isExact(pattern);
          if (isPromised) expect(got).toEqual(want);
          else expect(want.every((needed, k) => !needed || got[k])).toBe(true);
          for (const [i, { start, end }] of ranges.entries()) {
            expect(start).toBeLessThan(end);
            if (i > 0) expect(start).toBeGreaterThan(ranges[i - 1]?.end ?? Infinity);
          }
          const later = visibleLater(pattern, heads, keyStart, keyEnd, fromQuery);
          if (isPromised) expect(later).toBe(want.slice(keyStart).some(Boolean));
          else if (want.slice(keyStart).some(Boolean)) expect(later).toBe(true);
          if (isPromised) exact++;
        },
      ),
      { numRuns: 2500 },
    );
    expect(exact).toBeGreaterThan(500);
  });

  it('keep the sinks and the window of a streaming decoder, and nothing else', () => {
    const streaming = intersect(causal(), union(sinks(4), window(1024)));
    expect(keysVisibleLater(streaming, 12, 100_000, 100_000)).toEqual([
      { start: 0, end: 4 },
      { start: 98_976, end: 100_000 },
    ]);
    expect(visibleLater(streaming, 12, 4, 98_976, 100_000)).toBe(false);
    expect(visibleLater(streaming, 12, 4, 98_977, 100_000)).toBe(true);
  });

  it('keep everything for a global query that is still to come, and its key after it', () => {
    const pattern = union(window(8), globalTokens({ positions: [50, 200] }));
    expect(keysVisibleLater(pattern, 1, 100, 100)).toEqual([{ start: 0, end: 100 }]);
    expect(keysVisibleLater(pattern, 1, 300, 300)).toEqual([
      { start: 50, end: 51 },
      { start: 200, end: 201 },
      { start: 292, end: 300 },
    ]);
  });

  it('see what is left of sinks outside a window', () => {
    const sinksOnly = intersect(causal(), sinks(4), complement(window(8)));
    expect(keysVisibleLater(sinksOnly, 1, 100, 100)).toEqual([{ start: 0, end: 4 }]);
    expect(keysVisibleLater(complement(complement(window(8))), 1, 100, 100)).toEqual([{ start: 92, end: 100 }]);
  });

  it('look at the heads there are, and no others', () => {
    const pattern = perHead([window(2), window(30)]);
    expect(keysVisibleLater(pattern, 1, 100, 100)).toEqual([{ start: 98, end: 100 }]);
    expect(keysVisibleLater(pattern, 2, 100, 100)).toEqual([{ start: 70, end: 100 }]);
  });
});
