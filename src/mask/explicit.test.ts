import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { allows } from '../pattern/allows.ts';
import { arbitraryPattern } from '../pattern/arbitrary.ts';
import { causal, perHead, window } from '../pattern/constructors.ts';
import { compileMask } from './compile.ts';
import {
  patternFromBsr,
  patternFromCoo,
  patternFromCsr,
  patternFromDense,
  patternFromMask,
  toBsr,
  toCoo,
  toCsr,
} from './explicit.ts';
import { compilePredicate } from './predicate.ts';
import { toDense } from './read.ts';

const length = fc.oneof(fc.constantFrom(0, 1, 63, 64, 65), fc.nat({ max: 140 }));

describe('explicit masks', () => {
  it('come back from every format, for any mask', () => {
    fc.assert(
      fc.property(
        arbitraryPattern(120),
        length,
        length,
        fc.integer({ min: 0, max: 30 }),
        (pattern, queries, keys, offset) => {
          const options = { queries, keys, heads: 2, queryOffset: offset, length: Infinity };
          const mask = compileMask(pattern, options);
          const dense = [0, 1].map((head) => toDense(mask, head));
          const [first = new Uint8Array()] = dense;
          const check = (again: Uint8Array, want: Uint8Array | undefined) =>
            expect(Buffer.compare(again, want ?? new Uint8Array())).toBe(0);
          const one = { ...options, heads: 1 };
          check(toDense(compileMask(patternFromCsr(toCsr(mask, 0), offset), one), 0), first);
          check(toDense(compileMask(patternFromCoo(toCoo(mask, 0), offset), one), 0), first);
          check(toDense(compileMask(patternFromDense(first, { queries, keys, queryOffset: offset }), one), 0), first);
          const both = Uint8Array.from([...first, ...(dense[1] ?? [])]);
          const asMask = compileMask(patternFromMask(mask), options);
          const fromDense = compileMask(patternFromDense(both, { ...options }), options);
          for (const head of [0, 1]) {
            check(toDense(asMask, head), dense[head]);
            check(toDense(fromDense, head), dense[head]);
          }
        },
      ),
      { numRuns: 80 },
    );
  });

  it('cover a mask by whole blocks in BSR', () => {
    const mask = compileMask(causal(), { queries: 130, keys: 130, heads: 1 });
    const bsr = toBsr(mask, 0);
    expect([...bsr.columns]).toEqual([0, 0, 1, 0, 1, 2]);
    const covering = toDense(compileMask(patternFromBsr(bsr), { queries: 130, keys: 130, heads: 1 }), 0);
    for (let q = 0; q < 130; q++) {
      for (let k = 0; k < 130; k++)
        expect(covering[q * 130 + k]).toBe(Math.floor(k / 64) <= Math.floor(q / 64) ? 1 : 0);
    }
  });

  it('give the blocks of any side that the pairs of a mask touch', () => {
    fc.assert(
      fc.property(
        arbitraryPattern(120),
        length,
        length,
        fc.integer({ min: 1, max: 70 }),
        (pattern, queries, keys, block) => {
          const mask = compileMask(pattern, { queries, keys, heads: 1, length: Infinity });
          const dense = toDense(mask, 0);
          const touched = new Set<string>();
          for (const [at, bit] of dense.entries()) {
            if (bit === 1)
              touched.add(`${Math.floor(Math.floor(at / keys) / block)} ${Math.floor((at % keys) / block)}`);
          }
          const { rowStart, columns } = toBsr(mask, 0, block);
          const got: string[] = [];
          for (let i = 0; i + 1 < rowStart.length; i++)
            for (let e = rowStart[i]; e < rowStart[i + 1]; e++) got.push(`${i} ${columns[e]}`);
          expect(rowStart).toHaveLength(Math.ceil(queries / block) + 1);
          expect(got.length).toBe(touched.size);
          expect(new Set(got)).toEqual(touched);
        },
      ),
      { numRuns: 60 },
    );
    expect(() => toBsr(compileMask(causal(), { queries: 3, keys: 3, heads: 1 }), 0, 0)).toThrow(/block is 0/);
  });

  it('refuse what is no mask', () => {
    expect(() => patternFromDense([1, 0], { queries: 2, keys: 2 })).toThrow(/has 2 numbers; 1 x 2 x 2 are needed/);
    expect(() => patternFromCoo({ rows: [0], columns: [] })).toThrow(/1 row and 0 columns/);
    expect(() => patternFromCoo({ rows: [-1], columns: [0] })).toThrow(/rows\[0\] is -1/);
    expect(() => patternFromCoo({ rows: [0], columns: [0.5] })).toThrow(/table\[0\]\[0\] is 0.5/);
    expect(() => patternFromCsr({ rowStart: [0, 3], columns: [1, 2] })).toThrow(
      /rowStart\[0\] and the next are 0 and 3/,
    );
    expect(() => patternFromBsr({ block: 0, rowStart: [0, 1], columns: [1] })).toThrow(/block is 0/);
  });
});

describe('compilePredicate', () => {
  it('compiles what allows() says to the mask that compileMask makes', () => {
    fc.assert(
      fc.property(arbitraryPattern(100), length, length, (pattern, queries, keys) => {
        const options = { queries, keys, heads: 3, length: Infinity };
        const want = compileMask(pattern, options);
        const got = compilePredicate((head, q, k) => allows(pattern, { head, q, k }), options);
        for (let head = 0; head < 3; head++) expect(Buffer.compare(toDense(got, head), toDense(want, head))).toBe(0);
      }),
      { numRuns: 60 },
    );
  });

  it('shares heads that are the same, and has a pattern that lists its pairs', () => {
    const pattern = perHead([window(3), causal(), window(3)]);
    const mask = compilePredicate((head, q, k) => allows(pattern, { head, q, k }), { queries: 9, keys: 9, heads: 3 });
    expect([...mask.headRows]).toEqual([0, 1, 0]);
    const again = compileMask(mask.pattern, { queries: 9, keys: 9, heads: 3 });
    for (let head = 0; head < 3; head++) expect(toDense(again, head)).toEqual(toDense(mask, head));
  });

  it('asks for a boolean', () => {
    expect(() => compilePredicate(() => 1 as unknown as boolean, { queries: 1, keys: 1, heads: 1 })).toThrow(
      /returned 1 for query 0 and key 0; it must return true or false/,
    );
  });
});
