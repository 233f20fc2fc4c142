import { describe, expect, it } from 'vitest';
import { ArgumentError } from '../../errors.ts';
import { globMatcher } from './glob.ts';

describe('globMatcher', () => {
  it.each([
    ['*.md', 'docs/a.md', true],
    ['*.md', 'a.mdx', false],
    ['*.{ts,js}', 'src/a/b.js', true],
    ['*.{ts,js}', 'src/a/b.json', false],
    ['docs/*.md', 'docs/a.md', true],
    ['docs/*.md', 'docs/a/b.md', false],
    ['docs/**/*.md', 'docs/a.md', true],
    ['docs/**/*.md', 'docs/a/b/c.md', true],
    ['docs/**', 'docs/a/b', true],
    ['docs/**', 'docs', false],
    ['**/test/**', 'a/test/b', true],
    ['**/test/**', 'test/b', true],
    ['**', 'a/b/c', true],
    ['?.txt', 'a.txt', true],
    ['?.txt', '.txt', false],
    ['a+b(1).txt', 'a+b(1).txt', true],
    ['a.c', 'abc', false],
    ['.*', '.git', true],
    ['*.txt', 'ä ö\u{1f600}.txt', true],
  ])('%s with %s: %s', (pattern, path, fits) => {
    expect(globMatcher(pattern)(path)).toBe(fits);
  });

  it.each(['', '*.{ts'])('refuses %j', (pattern) => {
    expect(() => globMatcher(pattern)).toThrow(ArgumentError);
  });
});
