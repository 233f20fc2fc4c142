import { describe, expect, it } from 'vitest';
import { cacheWords } from './word-cache.ts';

describe('cacheWords', () => {
  it('computes a short word once, and gives the same tokens in the same order', () => {
    const computed: string[] = [];
    const letters = cacheWords((words) => {
      computed.push(...words);
      return words.flatMap((word) => [...word]);
    });
    expect(letters(['ab', 'c', 'ab'])).toEqual(['a', 'b', 'c', 'a', 'b']);
    expect(letters(['c', ''])).toEqual(['c']);
    expect(computed).toEqual(['ab', 'c', '']);
  });

  it('stays bounded: it forgets when full, and does not keep long words', () => {
    let computed = 0;
    const count = cacheWords((words) => {
      computed += words.length;
      return words;
    });
    const long = 'x'.repeat(65);
    count([long, long]);
    expect(computed).toBe(2);
    const words = Array.from({ length: 50_001 }, (_, i) => `w${i}`);
    expect(count(words)).toEqual(words);
    count(['w50000', 'w0']);
    expect(computed).toBe(2 + 50_001 + 1);
  });
});
