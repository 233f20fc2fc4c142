import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { ArgumentError } from '../../errors.ts';
import { randomStream } from '../data/random.ts';
import { generatedSet } from './generated-set.ts';
import { listOps, listOpsText, listOpsTokens } from './listops.ts';

/** Reads the text of an expression and works from the innermost brackets outwards, until one digit is left. */
function solve(text: string): number {
  const operations: Record<string, (values: number[]) => number> = {
    MIN: (values) => values.reduce((a, b) => (a < b ? a : b)),
    MAX: (values) => values.reduce((a, b) => (a > b ? a : b)),
    SM: (values) => Number(String(values.reduce((a, b) => a + b)).slice(-1)),
    MED: (values) => {
      const sorted = values.toSorted();
      const [low, high] = [sorted[Math.ceil(values.length / 2) - 1], sorted[Math.floor(values.length / 2)]];
      return Math.floor((low + high) / 2);
    },
  };
  let rest = text;
  for (;;) {
    const next = rest.replace(/\[(MIN|MAX|SM|MED)((?: \d)+) \]/g, (_, name: string, digits: string) =>
      String(operations[name](digits.trim().split(' ').map(Number))),
    );
    if (next === rest) break;
    rest = next;
  }
  expect(rest).toMatch(/^\d$/);
  return Number(rest);
}

/** The most brackets around a token, and the most arguments of an operator. */
function measure(tokens: Int32Array): { depth: number; most: number; fewest: number } {
  const open: number[] = [];
  let [depth, most, fewest] = [0, 0, Infinity];
  for (const token of tokens) {
    if (token === listOpsTokens.close) {
      const count = open.pop() ?? Number.NaN;
      most = Math.max(most, count);
      fewest = Math.min(fewest, count);
      continue;
    }
    if (open.length > 0) open[open.length - 1]++;
    if (token >= listOpsTokens.MIN) open.push(0);
    depth = Math.max(depth, open.length);
  }
  expect(open).toEqual([]);
  return { depth, most, fewest };
}

describe('listOps', () => {
  it('is solved by the reader of its text on the examples of the papers', () => {
    // Nangia and Bowman 2018, figure 1; Tay et al. 2021, section 2.2.1.
    expect(solve('[MAX 2 9 [MIN 4 7 ] 0 ]')).toBe(9);
    expect(solve('[MAX 4 3 [MIN 2 3 ] 1 0 [MED 1 5 8 9 2 ] ]')).toBe(5);
    expect(solve('[MED 1 2 5 6 ]')).toBe(3);
    expect(solve('[SM 5 6 [MED 1 2 ] ]')).toBe(2);
  });

  it('has the value of its expression as label, and keeps the limits of the original', () => {
    const set = generatedSet(listOps(), { size: 300, seed: 3, part: 'training' });
    let [deepest, widest] = [0, 0];
    for (let index = 0; index < set.size; index++) {
      const { tokens, label } = at(set, index);
      expect(label).toBe(solve(listOpsText(tokens)));
      expect(tokens.length).toBeGreaterThan(500);
      expect(tokens.length).toBeLessThan(2000);
      const { depth, most, fewest } = measure(tokens);
      deepest = Math.max(deepest, depth);
      widest = Math.max(widest, most);
      expect(fewest).toBe(2);
    }
    // Nodes at depth 10 are digits, so 9 operators stand inside one another; both limits are reached in so many tokens.
    expect(deepest).toBe(9);
    expect(widest).toBe(10);
  });

  it('has its value with other limits too', () => {
    const limits = fc.record({
      depth: fc.integer({ min: 2, max: 6 }),
      most: fc.integer({ min: 2, max: 6 }),
      longest: fc.integer({ min: 12, max: 200 }),
    });
    fc.assert(
      fc.property(limits, fc.nat(), ({ depth, most, longest }, seed) => {
        const generator = listOps({ depth, most, shortest: 0, longest });
        for (let draw = 0; draw < 30; draw++) {
          const sequence = generator.generate(randomStream(seed, draw));
          if (sequence === undefined) continue;
          expect(sequence.label).toBe(solve(listOpsText(sequence.tokens)));
          expect(sequence.tokens.length).toBeLessThan(longest);
          const measured = measure(sequence.tokens);
          expect(measured.depth).toBeLessThan(depth);
          expect(measured.most).toBeLessThanOrEqual(most);
        }
      }),
    );
  });

  it('draws operators with chance 1/4, of equal shares, with 2 to 10 arguments equally often', () => {
    // Depth 2 has one operator at most, above digits only: nothing is thrown away, so the chances are those of one draw.
    const generator = listOps({ depth: 2, shortest: 0 });
    const draws = 40_000;
    const operators = [0, 0, 0, 0];
    const argumentCounts = new Array<number>(11).fill(0);
    for (let draw = 0; draw < draws; draw++) {
      const { tokens } = generator.generate(randomStream(5, draw)) ?? { tokens: new Int32Array() };
      if (tokens.length === 1) continue;
      operators[tokens[0] - listOpsTokens.MIN]++;
      argumentCounts[tokens.length - 2]++;
    }
    for (const count of operators) expect(Math.abs(count - draws / 16)).toBeLessThan(4 * Math.sqrt(draws / 16));
    expect(argumentCounts.slice(0, 2)).toEqual([0, 0]);
    for (const count of argumentCounts.slice(2)) {
      expect(Math.abs(count - draws / 36)).toBeLessThan(4 * Math.sqrt(draws / 36));
    }
  });

  it('refuses limits that make no sense', () => {
    for (const options of [{ depth: 0 }, { most: 1 }, { shortest: 10, longest: 11 }, { shortest: -1 }]) {
      expect(() => listOps(options)).toThrow(ArgumentError);
    }
  });
});

function at(set: ReturnType<typeof generatedSet>, index: number): { tokens: Int32Array; label: number } {
  const sequence = set.at(index);
  if (sequence instanceof Promise) throw new Error('a generated set answers at once');
  return sequence;
}
