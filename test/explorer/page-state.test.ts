import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { FIRST_STATE, readTokens, stateFromHash, stateToHash } from '../../explorer/src/page-state.ts';
import { ArgumentError, PatternError } from '../../src/errors.ts';
import { arbitraryPattern } from '../../src/pattern/arbitrary.ts';

describe("the state in the page's address", () => {
  it('comes back as it went', () => {
    fc.assert(
      fc.property(arbitraryPattern(), fc.integer({ min: 16, max: 2 ** 20 }), (pattern, tokens) => {
        const state = { pattern: JSON.stringify(pattern), tokens };
        expect(stateFromHash(stateToHash(state))).toEqual(state);
      }),
    );
    const text = { pattern: 'sinks:4 + window:64 & !global:0,7', tokens: 4096 };
    expect(stateFromHash(stateToHash(text))).toEqual(text);
    expect(stateFromHash('')).toEqual(FIRST_STATE);
  });

  it('is refused with a reason', () => {
    expect(() => stateFromHash('#pattern=windo:3')).toThrow(PatternError);
    expect(() => stateFromHash('#n=15')).toThrow(ArgumentError);
    for (const text of ['', '1e9', '16.5', 'many', '1048577']) expect(() => readTokens(text)).toThrow(/16 to 1048576/);
  });
});
