import fc from 'fast-check';
import { expect, it } from 'vitest';
import { allows } from '../pattern/allows.ts';
import { arbitraryPattern } from '../pattern/arbitrary.ts';
import { compileMask } from './compile.ts';
import { emptyRows } from './empty-rows.ts';

it('names the rows for which allows() allows nothing', () => {
  const size = fc.nat({ max: 150 });
  fc.assert(
    fc.property(arbitraryPattern(), size, size, fc.integer({ min: -80, max: 80 }), (pattern, queries, keys, at) => {
      const mask = compileMask(pattern, { queries, keys, heads: 2, queryOffset: at, length: Infinity });
      for (const head of [0, 1]) {
        const seesNothing = (q: number): boolean => {
          for (let k = 0; k < keys; k++) if (allows(pattern, { head, q: q + at, k })) return false;
          return true;
        };
        expect(emptyRows(mask, head)).toEqual(Array.from({ length: queries }, (_, q) => q).filter(seesNothing));
      }
    }),
    { numRuns: 100 },
  );
});
