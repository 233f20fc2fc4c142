import { describe, expect, it } from 'vitest';
import { PatternError } from '../errors.ts';
import { allows } from './allows.ts';
import { causal, complement, dense, globalTokens, intersect, perHead, sinks, union, window } from './constructors.ts';
import type { Pattern } from './pattern.ts';

/** Rows of queries 0..n-1, one character per key. */
function picture(pattern: Pattern, n: number, head = 0): string[] {
  return Array.from({ length: n }, (_, q) =>
    Array.from({ length: n }, (_, k) => (allows(pattern, { head, q, k }) ? '#' : '.')).join(''),
  );
}

describe('allows', () => {
  it('is what the pictures of the papers show', () => {
    expect(picture(dense(), 2)).toEqual(['##', '##']);
    expect(picture(causal(), 4)).toEqual(['#...', '##..', '###.', '####']);
    expect(picture(window(1), 4)).toEqual(['##..', '###.', '.###', '..##']);
    expect(picture(window({ left: 2 }), 4)).toEqual(['#...', '##..', '###.', '.###']);
    expect(picture(window({ left: 1, right: 2, dilation: 2 }), 6)).toEqual([
      '#.#.#.',
      '.#.#.#',
      '#.#.#.',
      '.#.#.#',
      '..#.#.',
      '...#.#',
    ]);
    expect(picture(sinks(2), 3)).toEqual(['##.', '##.', '##.']);
    expect(picture(globalTokens({ positions: [1] }), 3)).toEqual(['.#.', '###', '.#.']);
    expect(picture(globalTokens({ positions: [1], direction: 'keys' }), 3)).toEqual(['.#.', '.#.', '.#.']);
    expect(picture(globalTokens({ positions: [1], direction: 'queries' }), 3)).toEqual(['...', '###', '...']);
    expect(picture(union(sinks(1), window(0)), 3)).toEqual(['#..', '##.', '#.#']);
    expect(picture(intersect(causal(), window(1)), 3)).toEqual(['#..', '##.', '.##']);
    expect(picture(intersect(causal(), complement(window(1))), 4)).toEqual(['....', '....', '#...', '##..']);
    const heads = perHead([window(0), causal()]);
    expect(picture(heads, 2, 0)).toEqual(['#.', '.#']);
    expect(picture(heads, 2, 1)).toEqual(['#.', '##']);
    expect(picture(heads, 2, 2)).toEqual(['#.', '.#']);
  });
});

describe('constructors', () => {
  it('give plain data', () => {
    expect(JSON.stringify(window(3))).toBe('{"kind":"window","left":3,"right":3}');
    expect(JSON.stringify(window({ left: 3, dilation: 2 }))).toBe('{"kind":"window","left":3,"right":0,"dilation":2}');
    expect(JSON.stringify(globalTokens({ positions: [1] }))).toBe('{"kind":"global","positions":[1]}');
    expect(union(causal())).toEqual(causal());
  });

  const positions = 3 as unknown as number[];
  const cases: [() => unknown, RegExp][] = [
    [() => window(-1), /window size is -1; it must be an integer from 0 to 2\^53 - 1/],
    [() => window({ left: 1.5 }), /window left is 1.5/],
    [() => window({ right: Number.NaN }), /window right is NaN/],
    [() => window({ left: 1, dilation: 0 }), /window dilation is 0; it must be an integer from 1/],
    [() => sinks(2 ** 53), /sinks count is 9007199254740992/],
    [() => globalTokens({ positions: [0, -4] }), /globalTokens positions\[1\] is -4/],
    [() => globalTokens({ positions }), /globalTokens positions is 3; it must be a list/],
    [
      () => globalTokens({ positions: [], direction: 'up' as 'both' }),
      /direction is "up"; it must be one of both, keys, queries/,
    ],
    [() => union(), /union has no parts/],
    [() => perHead([]), /perHead heads is a list of 0; it must be a list of at least 1/],
    [() => perHead([perHead([dense()])]), /heads\[0\] is a perHead inside another perHead/],
    [() => intersect(causal(), { kind: 'sinks', count: -1 }), /of\[1\]\.count is -1/],
    [() => intersect(causal(), { kind: 'no' } as unknown as Pattern), /of\[1\]\.kind is "no"; it must be one of dense/],
  ];
  it.each(cases)('refuse a bad argument by name: %s', (build, message) => {
    expect(build).toThrow(PatternError);
    expect(build).toThrow(message);
  });
});
