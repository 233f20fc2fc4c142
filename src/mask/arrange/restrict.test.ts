import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { allows } from '../../pattern/allows.ts';
import { arbitraryPattern } from '../../pattern/arbitrary.ts';
import { hasPerHead } from '../../pattern/heads.ts';
import { TokenClasses } from './classes.ts';
import { restrictPattern } from './restrict.ts';

const classes = fc.oneof(
  fc.integer({ min: 2, max: 70 }).map((step) => new TokenClasses([Infinity, step], [0])),
  fc
    .tuple(fc.integer({ min: 1, max: 9 }), fc.integer({ min: 1, max: 9 }))
    .map(([many, width]) => new TokenClasses([Infinity, many, width], [0, 2])),
  fc.constantFrom([0], [1], [0, 1], [0, 2]).map((free) => new TokenClasses([9, 6, 5], free)),
);

describe('restrictPattern', () => {
  it('is the pattern, said of indices', () => {
    let understood = 0;
    fc.assert(
      fc.property(
        arbitraryPattern().filter((pattern) => !hasPerHead(pattern)),
        classes,
        fc.array(fc.tuple(fc.nat({ max: 40 }), fc.nat({ max: 40 })), { minLength: 40, maxLength: 40 }),
        fc.nat(),
        (pattern, own, pairs, pick) => {
          const restricted = restrictPattern(pattern, own);
          if (restricted === undefined) return;
          understood++;
          const c = pick % own.count;
          const inner = restricted(c);
          for (const [a, b] of pairs) {
            const [q, k] = [own.size === Infinity ? a - 5 : a % own.size, b % own.size];
            expect(allows(inner, { head: 0, q, k })).toBe(
              allows(pattern, { head: 0, q: own.position(c, q), k: own.position(c, k) }),
            );
          }
        },
      ),
      { numRuns: 500 },
    );
    expect(understood).toBeGreaterThan(50);
  });
});
