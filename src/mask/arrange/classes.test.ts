import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { TokenClasses } from './classes.ts';

const grid = fc.array(fc.integer({ min: 1, max: 6 }), { minLength: 1, maxLength: 4 });

/** Any axes of a grid, whose first one may be endless. */
const classes = fc
  .record({ sizes: grid, isEndless: fc.boolean(), picks: fc.array(fc.boolean(), { minLength: 4, maxLength: 4 }) })
  .map(({ sizes, isEndless, picks }) => {
    const free = sizes.map((_, axis) => axis).filter((axis) => picks[axis] || (isEndless && axis === 0));
    return new TokenClasses(isEndless ? [Infinity, ...sizes.slice(1)] : sizes, free);
  });

/** Class and position of every token from -50 to 400 that is in the grid, by the digits of its position. */
function tokensOf({ sizes, free }: TokenClasses): Map<string, number[]> {
  const byDigits = new Map<string, number[]>();
  for (let position = -50; position < 400; position++) {
    let rest = position;
    const digits = sizes.map(() => 0);
    for (let axis = sizes.length - 1; axis >= 0; axis--) {
      const size = axis === 0 ? Infinity : (sizes[axis] ?? 1);
      digits[axis] = size === Infinity ? rest : ((rest % size) + size) % size;
      rest = Math.floor(rest / size);
    }
    if ((digits[0] ?? 0) >= (sizes[0] ?? 1) || (sizes[0] !== Infinity && (digits[0] ?? 0) < 0)) continue;
    const key = digits.filter((_, axis) => !free.includes(axis)).join();
    byDigits.set(key, [...(byDigits.get(key) ?? []), position]);
  }
  return byDigits;
}

describe('TokenClasses', () => {
  it('numbers the tokens that agree on all other axes in the order of their positions', () => {
    fc.assert(
      fc.property(classes, fc.integer({ min: -60, max: 420 }), (own, from) => {
        for (const positions of tokensOf(own).values()) {
          const places = positions.map((position) => own.locate(position));
          const c = places[0]?.c ?? -1;
          expect(c).toBeGreaterThanOrEqual(0);
          expect(c).toBeLessThan(own.count);
          const zero = positions.findIndex((position) => position >= 0);
          for (const [i, position] of positions.entries()) {
            expect(places[i]).toEqual({ c, index: i - zero });
            expect(own.position(c, i - zero)).toBe(position);
          }
          const next = positions.findIndex((position) => position >= from);
          const isSeen = next > 0 || (next === 0 && own.size !== Infinity);
          if (isSeen) expect(own.indexFrom(c, from)).toBe(next - zero);
          if (next < 0 && own.size !== Infinity && own.size === positions.length) {
            expect(own.indexFrom(c, from)).toBe(own.size);
          }
        }
      }),
      { numRuns: 300 },
    );
  });

  it('knows the distance between neighbours where there is one', () => {
    expect(new TokenClasses([Infinity, 4], [0]).step).toBe(4);
    expect(new TokenClasses([8, 5, 3], [1]).step).toBe(3);
    expect(new TokenClasses([8, 5, 3], [0, 1]).step).toBe(3);
    expect(new TokenClasses([8, 5, 3], [0, 2]).step).toBeUndefined();
    expect(new TokenClasses([8, 1, 3], [0, 2]).step).toBe(1);
  });
});
