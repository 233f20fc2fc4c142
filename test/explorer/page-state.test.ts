import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { FIRST_STATE, readTokens, stateFromHash, stateToHash } from '../../explorer/src/state/page-state.ts';
import { ArgumentError, PatternError } from '../../src/errors.ts';
import { arbitraryPattern } from '../../src/pattern/arbitrary.ts';

describe("the state in the page's address", () => {
  it('comes back as it went', () => {
    fc.assert(
      fc.property(
        fc.array(arbitraryPattern(), { minLength: 1, maxLength: 4 }),
        fc.integer({ min: 16, max: 2 ** 20 }),
        fc.integer({ min: 1, max: 64 }),
        fc.integer({ min: 1, max: 128 }),
        fc.nat(),
        fc.dictionary(fc.stringMatching(/^[a-z]+\.[a-z]+$/), fc.string()),
        (patterns, tokens, heads, layers, any, own) => {
          const state = {
            patterns: patterns.map((pattern) => JSON.stringify(pattern)),
            tokens,
            heads,
            layers,
            head: any % heads,
            layer: any % layers,
            section: any % 2 === 0 ? 'cost' : 'matrix',
            own,
          };
          expect(stateFromHash(stateToHash(state))).toEqual(state);
        },
      ),
    );
    const text = { ...FIRST_STATE, patterns: ['sinks:4 + window:64 & !global:0,7', 'dense'], tokens: 4096 };
    expect(stateFromHash(stateToHash(text))).toEqual(text);
    expect(stateFromHash('')).toEqual(FIRST_STATE);
  });

  it('is refused with a reason', () => {
    expect(() => stateFromHash('#pattern=windo:3')).toThrow(PatternError);
    expect(() => stateFromHash('#n=15')).toThrow(ArgumentError);
    expect(() => stateFromHash('#heads=4&head=4')).toThrow(/head is "4".*from 0 to 3/);
    for (const text of ['', '1e9', '16.5', 'many', '1048577']) expect(() => readTokens(text)).toThrow(/16 to 1048576/);
  });
});
