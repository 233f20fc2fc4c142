import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { surprisingPassages } from './passages.ts';

describe('surprisingPassages', () => {
  it('finds what stands out', () => {
    const losses = new Float32Array(1000).fill(1).fill(3, 400, 410).fill(5, 700, 705);
    const passages = surprisingPassages(losses, { count: 2, length: 10 });
    // Five tokens of 5 and five of 1, and ten of 3, have the same mean of 3; the first comes first.
    expect(passages).toEqual([
      { start: 400, end: 410, loss: 3 },
      { start: 695, end: 705, loss: 3 },
    ]);
  });

  it('gives the highest mean first, apart from each other, and each mean is that of its tokens', () => {
    const loss = fc.double({ min: 0, max: 20, noNaN: true });
    fc.assert(
      fc.property(
        fc.array(loss, { minLength: 1, maxLength: 80 }),
        fc.integer({ min: 1, max: 12 }),
        (losses, length) => {
          const passages = surprisingPassages(losses, { length, count: 4 });
          const size = Math.min(length, losses.length);
          const mean = (start: number) => losses.slice(start, start + size).reduce((sum, each) => sum + each, 0) / size;
          const best = Math.max(...Array.from({ length: losses.length - size + 1 }, (_, start) => mean(start)));
          expect(passages[0]?.loss).toBeCloseTo(best, 9);
          for (const [i, { start, end, loss }] of passages.entries()) {
            expect(end - start).toBe(size);
            expect(loss).toBeCloseTo(mean(start), 9);
            for (const other of passages.slice(0, i)) {
              expect(other.loss).toBeGreaterThanOrEqual(loss - 1e-9);
              expect(Math.abs(other.start - start)).toBeGreaterThanOrEqual(2 * size);
            }
          }
        },
      ),
    );
  });

  it('takes a short text whole, and none from nothing', () => {
    expect(surprisingPassages([1, 2, 3])).toEqual([{ start: 0, end: 3, loss: 2 }]);
    expect(surprisingPassages([])).toEqual([]);
    expect(() => surprisingPassages([1], { length: 0 })).toThrow('length is 0');
  });
});
