import { describe, expect, it } from 'vitest';
import { PatternError } from '../../errors.ts';
import { parsePattern } from '../../pattern/index.ts';
import { noteBlindTokens } from './blind-tokens.ts';

/** What is noted of a pattern. */
function notes(pattern: string, tokens: number, isCausal: boolean): string[] {
  const said: string[] = [];
  noteBlindTokens(parsePattern(pattern), { tokens, heads: 4, isCausal }, { note: (text) => said.push(text) });
  return said;
}

describe('a pattern under which tokens see nothing', () => {
  it.each([
    ['window:64', 5000, true],
    ['!causal+window:0', 100, true],
    ['global:30000', 40_000, false],
    ['global:0', 40_000, true],
    ['dense|causal', 100, false],
  ])('is not %s', (pattern, tokens, isCausal) => {
    expect(notes(pattern, tokens, isCausal)).toEqual([]);
  });

  it.each([
    ['!window:0', 100, true, 'token 0 of 100 sees no token, not even itself; attention gives it zeros'],
    ['!causal', 100, false, 'token 99 of 100 sees no token, not even itself; attention gives it zeros'],
    [
      '!window:3',
      2001,
      true,
      '4 of 2,001 tokens, from token 0 on, see no token, not even themselves; attention gives them zeros',
    ],
    [
      'global:8',
      70_000,
      true,
      '8 of the first 16,384 tokens, from token 0 on, see no token, not even themselves; attention gives them zeros',
    ],
    [
      'window:3|!window:1|!dense',
      9,
      true,
      '9 of 9 tokens, from token 0 on, see no token in some head, not even themselves; attention gives them zeros',
    ],
  ])('is %s', (pattern, tokens, isCausal, said) => {
    expect(notes(pattern, tokens, isCausal)).toEqual([`--pattern: ${said}`]);
  });

  it('is refused where none sees any', () => {
    expect(() => notes('!causal', 300, true)).toThrow(PatternError);
    expect(() => notes('!causal', 300, true)).toThrow(
      '--pattern: none of 300 tokens sees any token, not even itself; the model sees the past alone, and the pattern must leave some of it',
    );
    expect(() => notes('!dense', 300, false)).toThrow(
      /^--pattern: none of 300 tokens sees any token, not even itself$/,
    );
  });
});
