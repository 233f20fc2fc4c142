import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { PatternError } from '../errors.ts';
import { arbitraryPattern } from './arbitrary.ts';
import { formatPattern } from './format.ts';
import { parsePatternJson } from './json.ts';
import { parsePattern } from './parse.ts';
import type { Pattern } from './pattern.ts';

function errorOf(run: () => unknown): string {
  try {
    run();
  } catch (error) {
    if (error instanceof PatternError) return error.message;
    throw error;
  }
  throw new Error('no error was thrown');
}

describe('parsePattern', () => {
  const cases: [string, Pattern][] = [
    ['dense', { kind: 'dense' }],
    [' causal ', { kind: 'causal' }],
    ['window:1024', { kind: 'window', left: 1024, right: 1024 }],
    ['window:256,0', { kind: 'window', left: 256, right: 0 }],
    ['window:256/2', { kind: 'window', left: 256, right: 256, dilation: 2 }],
    ['window: 7 , 3 / 2', { kind: 'window', left: 7, right: 3, dilation: 2 }],
    ['global:0,17', { kind: 'global', positions: [0, 17] }],
    ['global:5/keys', { kind: 'global', positions: [5], direction: 'keys' }],
    [
      'sinks:4+window:1024',
      {
        kind: 'union',
        of: [
          { kind: 'sinks', count: 4 },
          { kind: 'window', left: 1024, right: 1024 },
        ],
      },
    ],
    [
      'causal&dense+sinks:1',
      {
        kind: 'union',
        of: [
          { kind: 'intersect', of: [{ kind: 'causal' }, { kind: 'dense' }] },
          { kind: 'sinks', count: 1 },
        ],
      },
    ],
    [
      'causal&(dense+sinks:1)',
      {
        kind: 'intersect',
        of: [{ kind: 'causal' }, { kind: 'union', of: [{ kind: 'dense' }, { kind: 'sinks', count: 1 }] }],
      },
    ],
    ['((causal))', { kind: 'causal' }],
    ['causal|dense|causal', { kind: 'perHead', heads: [{ kind: 'causal' }, { kind: 'dense' }, { kind: 'causal' }] }],
    [
      'causal&(dense|sinks:2)',
      {
        kind: 'intersect',
        of: [{ kind: 'causal' }, { kind: 'perHead', heads: [{ kind: 'dense' }, { kind: 'sinks', count: 2 }] }],
      },
    ],
    [
      'causal & !(window:3)',
      {
        kind: 'intersect',
        of: [{ kind: 'causal' }, { kind: 'complement', of: { kind: 'window', left: 3, right: 3 } }],
      },
    ],
    ['!!dense', { kind: 'complement', of: { kind: 'complement', of: { kind: 'dense' } } }],
    ['{"kind":"sinks","count":3}', { kind: 'sinks', count: 3 }],
  ];
  it.each(cases)('reads %s', (text, pattern) => {
    expect(parsePattern(text)).toEqual(pattern);
  });

  const errors: [string, RegExp][] = [
    ['', /the text ends here; expected "\(", "!" or one of aShape, axial, .*causal, .*, window/],
    ['windw:3', /unknown word "windw"; did you mean "window"\?/],
    ['random:8', /unknown word "random"; did you mean "randomBlocks" or "randomTokens"\?/],
    ['Causal', /did you mean "causal"/],
    ['bigbird(block=8)', /did you mean "bigBird"/],
    ['bigBird:3', /expected "\(" after bigBird; its parameters are block, window, global, random/],
    ['bigBird(blocksize=3)', /expected a parameter of bigBird: block, .*\(character 9\)/],
    ['bigBird(block=3,block=3)', /block is there twice \(character 17\)/],
    ['bigBird(block=3,window=1,global=0,perHead=yes)', /expected true/],
    ['bigBird(block=0', /expected an integer from 1 /],
    ['strided(stride=3', /expected "," or "\)"/],
    ['strided()', /strided stride is undefined/],
    ['blocks(block=2,table=3)', /expected "\[" and a list/],
    ['blocks(block=2,table=[[1] 2])', /expected "," or "\]"/],
    ['neighbourhood(grid=[9],radius=[1],border=round)', /expected cut, clamp/],
    [`${'shift(queries=0,keys=0,of='.repeat(40)}dense${')'.repeat(40)}`, /nested more than 32 deep/],
    ['dense|shift(queries=0,keys=0,of=(dense|causal))', /"\|" inside another "\|"/],
    ['zzzzzzzz', /unknown word "zzzzzzzz" \(known/],
    ['window', /expected ":" and a number after window \(character 7\)/],
    ['window:-1', /expected an integer from 0 to 2\^53 - 1 \(character 8\)/],
    ['window:4/0', /expected an integer from 1 .*\(character 10\)/],
    ['sinks:99999999999999999999', /expected an integer from 0/],
    ['sinks:4 window:3', /expected "\+", "&", "\|" or the end \(character 9\)/],
    ['(causal', /this "\(" is not closed \(character 1\)/],
    ['causal)', /this "\)" closes nothing \(character 7\)/],
    ['causal+', /the text ends here/],
    ['dense|(causal|dense)', /"\|" inside another "\|"/],
    ['global:3/up', /expected both, keys, queries \(character 10\)/],
    ['{"kind":"sinks"', /pattern JSON: /],
    ['('.repeat(100), /parentheses are nested more than 32 deep \(character 33\)/],
    [Array(5000).fill('causal').join('+'), /more than 4096 parts/],
    ['['.repeat(2 ** 21), /at most 1048576 are read/],
    [`{"kind":"union","of":${'['.repeat(100_000)}`, /pattern JSON/],
    [
      `${'{"kind":"union","of":['.repeat(40_000)}{"kind":"dense"}${']}'.repeat(40_000)}`,
      /nested more than 32 deep|pattern JSON/,
    ],
  ];
  it.each(errors)('refuses %.40s', (text, message) => {
    expect(errorOf(() => parsePattern(text))).toMatch(message);
  });

  it('points at the place with a caret', () => {
    const message = errorOf(() => parsePattern('causal & windw:3'));
    const [, line = '', caret = ''] = message.split('\n');
    expect(line.slice(caret.indexOf('^')).startsWith('windw')).toBe(true);
    const late = errorOf(() => parsePattern(`${'causal&'.repeat(50)}windw:3`)).split('\n');
    expect(late[1]?.slice(late[2]?.indexOf('^')).startsWith('windw')).toBe(true);
    expect(late[1]?.length).toBeLessThan(100);
  });

  it('is the inverse of formatPattern', () => {
    fc.assert(
      fc.property(arbitraryPattern(), (pattern) => {
        expect(parsePattern(formatPattern(pattern))).toEqual(pattern);
      }),
      { numRuns: 1000 },
    );
  });

  it('formats without needless parentheses', () => {
    for (const text of [
      'causal&(window:512+sinks:4)',
      'sinks:4+window:9,0/3&causal',
      'window:1|window:2',
      '(dense+causal)+dense',
      '!(sinks:1+window:2)&!causal',
    ]) {
      expect(formatPattern(parsePattern(text))).toBe(text);
    }
    expect(formatPattern({ kind: 'union', of: [{ kind: 'dense' }] })).toBe('{"kind":"union","of":[{"kind":"dense"}]}');
  });

  it('throws nothing but PatternError, whatever the text', () => {
    const token = fc.constantFrom(
      'causal',
      'window',
      ':',
      '4',
      ',',
      '/',
      '(',
      ')',
      '+',
      '&',
      '|',
      ' ',
      'global',
      '{',
      '}',
      '"',
      'keys',
      '-',
      'é',
      '!',
    );
    const text = fc.oneof(
      fc.string(),
      fc.string({ unit: 'binary' }),
      fc.array(token, { maxLength: 30 }).map((parts) => parts.join('')),
    );
    fc.assert(
      fc.property(text, (input) => {
        try {
          const pattern = parsePattern(input);
          expect(parsePattern(formatPattern(pattern))).toEqual(pattern);
        } catch (error) {
          if (!(error instanceof PatternError)) throw error;
        }
      }),
      { numRuns: 5000 },
    );
  });
});

describe('parsePatternJson', () => {
  it('is the inverse of JSON.stringify, and copies', () => {
    fc.assert(
      fc.property(arbitraryPattern(), (pattern) => {
        const read = parsePatternJson(pattern);
        expect(read).not.toBe(pattern);
        expect(read).toEqual(pattern);
        expect(parsePattern(JSON.stringify(pattern))).toEqual(pattern);
      }),
    );
  });

  const dense = { kind: 'dense' };
  const deep = Array.from({ length: 40 }).reduce<unknown>((inner) => ({ kind: 'union', of: [inner] }), dense);
  const errors: [string, unknown, RegExp][] = [
    ['null', null, /the pattern is null; it must be an object with a kind/],
    ['a list', [dense], /the pattern is a list of 1/],
    ['no kind', { left: 3 }, /kind is undefined; it must be one of dense, causal/],
    ['an unknown kind', { kind: 'windw' }, /kind is "windw"; it must be one of dense, causal, window/],
    [
      'a bad part',
      { kind: 'union', of: [dense, { kind: 'window', left: -1, right: 0 }] },
      /^pattern JSON: of\[1\]\.left is -1; it must be an integer from 0 to 2\^53 - 1$/,
    ],
    [
      'a bad part deep down',
      { kind: 'perHead', heads: [dense, { kind: 'intersect', of: [{ kind: 'sinks', count: 1.5 }] }] },
      /heads\[1\]\.of\[0\]\.count is 1.5/,
    ],
    ['a text for a number', { kind: 'sinks', count: '4' }, /count is "4"/],
    ['a missing field', { kind: 'window', left: 3 }, /right is missing/],
    ['an unknown field', { kind: 'window', left: 3, right: 3, rigth: 4 }, /rigth is not a field/],
    ['dilation 0', { kind: 'window', left: 3, right: 3, dilation: 0 }, /dilation is 0; it must be an integer from 1/],
    [
      'a bad direction',
      { kind: 'global', positions: [1], direction: 'up' },
      /direction is "up"; it must be one of both, keys, queries/,
    ],
    ['a bad position', { kind: 'global', positions: [1, 2 ** 53] }, /positions\[1\] is 9007199254740992/],
    ['no parts', { kind: 'union', of: [] }, /of is a list of 0; it must have at least one pattern/],
    [
      'perHead inside perHead',
      { kind: 'perHead', heads: [{ kind: 'union', of: [{ kind: 'perHead', heads: [dense] }] }] },
      /heads\[0\]\.of\[0\] is a perHead inside another/,
    ],
    ['deep nesting', deep, /nested more than 32 deep/],
    ['many parts', { kind: 'union', of: Array(5000).fill(dense) }, /more than 4096 parts/],
  ];
  it.each(errors)('refuses %s', (_, value, message) => {
    expect(errorOf(() => parsePatternJson(value))).toMatch(message);
  });

  it('throws nothing but PatternError, whatever the value', () => {
    fc.assert(
      fc.property(fc.oneof(fc.anything(), fc.jsonValue()), (value) => {
        try {
          parsePatternJson(value);
        } catch (error) {
          if (!(error instanceof PatternError)) throw error;
        }
      }),
      { numRuns: 2000 },
    );
  });
});
