import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { emptySpans, intersectSpans, pushInterval, pushSpan, type Spans, unionSpans } from './spans.ts';

/** Spans with the given state of each block, 0 for none. */
function fromStates(states: number[]): Spans {
  const spans = emptySpans();
  for (const [block, state] of states.entries()) {
    if (state > 0) pushSpan(spans, block, block + 1, state);
  }
  return spans;
}

function toStates(spans: Spans, blocks: number): number[] {
  const states = Array.from({ length: blocks }, () => 0);
  let position = 0;
  for (let s = 0; s < spans.length; s += 3) {
    const [first = 0, end = 0, state = 0] = spans.runs.slice(s, s + 3);
    expect(first).toBeGreaterThanOrEqual(position);
    expect(end).toBeGreaterThan(first);
    expect([1, 2]).toContain(state);
    states.fill(state, first, end);
    position = end;
  }
  return states;
}

const states = fc.array(fc.integer({ min: 0, max: 2 }), { minLength: 20, maxLength: 20 });

describe('spans', () => {
  it('combine block by block: the larger state for a union, the smaller for an intersection', () => {
    fc.assert(
      fc.property(states, states, (a, b) => {
        const out = emptySpans();
        unionSpans(fromStates(a), fromStates(b), out);
        expect(toStates(out, 20)).toEqual(a.map((state, block) => Math.max(state, b[block] ?? 0)));
        intersectSpans(fromStates(a), fromStates(b), out);
        expect(toStates(out, 20)).toEqual(a.map((state, block) => Math.min(state, b[block] ?? 0)));
      }),
      { numRuns: 500 },
    );
  });

  it('of an interval cover every block it touches and are full in those it fills', () => {
    const token = fc.integer({ min: -100, max: 700 });
    fc.assert(
      fc.property(
        token,
        token,
        token,
        token,
        fc.integer({ min: 1, max: 640 }),
        (anyLow, anyHigh, allLow, allHigh, keys) => {
          fc.pre(anyLow <= allLow && allHigh <= anyHigh);
          const blocks = Math.ceil(keys / 64);
          const out = emptySpans();
          pushInterval(out, 0, blocks, anyLow, anyHigh, allLow, allHigh, keys);
          const want = Array.from({ length: blocks }, (_, block) => {
            const [first, last] = [block * 64, Math.min(keys, block * 64 + 64) - 1];
            if (first >= allLow && last <= allHigh) return 2;
            return anyLow <= block * 64 + 63 && anyHigh >= first ? 1 : 0;
          });
          expect(toStates(out, blocks)).toEqual(want);
        },
      ),
      { numRuns: 500 },
    );
  });
});
