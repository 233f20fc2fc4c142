import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { allows } from '../pattern/allows.ts';
import { arbitraryFamilies } from '../pattern/arbitrary-family.ts';
import { expand, isFamily } from '../pattern/kinds/registry.ts';
import type { Pattern } from '../pattern/pattern.ts';
import { keysVisibleLater } from '../pattern/visibility.ts';
import { compileMask } from './compile.ts';
import { toDense } from './read.ts';

function byDefinition(pattern: Pattern, head: number, queries: number, keys: number, offset: number): Uint8Array {
  const dense = new Uint8Array(queries * keys);
  for (let q = 0; q < queries; q++) {
    for (let k = 0; k < keys; k++) dense[q * keys + k] = allows(pattern, { head, q: q + offset, k }) ? 1 : 0;
  }
  return dense;
}

const length = fc.oneof(fc.constantFrom(1, 63, 64, 65, 192), fc.nat({ max: 280 }));

/** Kinds of which the page says that the keys seen later are exact. */
const EXACT = ['columns', 'rows', 'diagonals', 'blockLocal', 'blocks', 'documents', 'groups'];

describe.each(Object.entries(arbitraryFamilies(260)))('%s', (kind, arbitrary) => {
  it('compiles to what allows() says, alone, moved, cut to the past and turned around', () => {
    fc.assert(
      fc.property(
        arbitrary,
        length,
        length,
        fc.option(fc.integer({ min: -100, max: 200 }), { nil: undefined }),
        fc.constantFrom('alone', 'moved', 'past', 'complement'),
        fc.integer({ min: -100, max: 100 }),
        (own, queries, keys, queryOffset, how, by) => {
          const pattern: Pattern =
            how === 'moved'
              ? { kind: 'shift', queries: by, keys: -by + 7, of: own }
              : how === 'past'
                ? { kind: 'intersect', of: [own, { kind: 'causal' }] }
                : how === 'complement'
                  ? { kind: 'complement', of: own }
                  : own;
          const mask = compileMask(pattern, {
            length: Infinity,
            queries,
            keys,
            heads: 2,
            ...(queryOffset === undefined ? {} : { queryOffset }),
          });
          for (let head = 0; head < 2; head++) {
            const want = byDefinition(pattern, head, queries, keys, mask.queryOffset);
            expect(Buffer.compare(toDense(mask, head), want)).toBe(0);
          }
        },
      ),
      { numRuns: 60 },
    );
  });

  it('has an expansion that allows the same pairs', () => {
    fc.assert(
      fc.property(arbitrary, fc.integer({ min: -40, max: 300 }), fc.nat({ max: 300 }), (pattern, q, k) => {
        const { perHead: _, ...plain } = pattern as Pattern & { perHead?: true };
        const own = plain as Pattern;
        const expanded = isFamily(own) ? expand(own) : undefined;
        if (expanded === undefined) return;
        for (let near = 0; near < 30; near++) {
          const pair = { head: 0, q: q + near, k: near % 2 === 0 ? k : Math.max(0, q + near - (k % 7)) };
          expect(allows(expanded, pair)).toBe(allows(own, pair));
        }
      }),
      { numRuns: 100 },
    );
  });

  it('never loses a key that a later query sees', () => {
    // Beyond every table, document and period of these small patterns.
    const far = 2000;
    const small = arbitraryFamilies(60)[kind as keyof ReturnType<typeof arbitraryFamilies>];
    fc.assert(
      fc.property(small, fc.nat({ max: 80 }), fc.nat({ max: 70 }), (pattern, fromQuery, keyEnd) => {
        const ranges = keysVisibleLater(pattern, 2, keyEnd, fromQuery);
        for (let k = 0; k < keyEnd; k++) {
          let isSeen = false;
          for (let q = fromQuery; q < far && !isSeen; q++) {
            isSeen = allows(pattern, { head: 0, q, k }) || allows(pattern, { head: 1, q, k });
          }
          const isKept = ranges.some(({ start, end }) => start <= k && k < end);
          if (isSeen) expect(isKept).toBe(true);
          else if (EXACT.includes(kind)) expect(isKept).toBe(false);
        }
      }),
      { numRuns: 25 },
    );
  });
});
