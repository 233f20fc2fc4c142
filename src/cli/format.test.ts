import { describe, expect, it } from 'vitest';
import {
  formatBytes,
  formatCount,
  formatCounted,
  formatDuration,
  formatGroups,
  formatPercent,
  formatRate,
  formatTable,
  wrap,
} from './format.ts';

describe('numbers for a person', () => {
  it.each([
    [formatCount(1234567), '1,234,567'],
    [formatCounted(1, 'head'), '1 head'],
    [formatCounted(1234, 'query', 'queries'), '1,234 queries'],
    [formatRate(0.4213), '0.42'],
    [formatRate(12_437), '12,400'],
    [formatPercent(0.000516866614), '0.0517%'],
    [formatPercent(1), '100%'],
    [formatBytes(0), '0 B'],
    [formatBytes(999), '999 B'],
    [formatBytes(1024 ** 2 - 1), '1 MiB'],
    [formatBytes(1536), '1.5 KiB'],
    [formatBytes(3 * 2 ** 30), '3 GiB'],
    [formatDuration(0.8312), '0.831 ms'],
    [formatDuration(999.6), '1 s'],
    [formatDuration(59_960), '1 min 00 s'],
    [formatDuration(185_400), '3 min 05 s'],
    [formatDuration(3_599_600), '1 h 00 min'],
    [formatDuration(7_620_000), '2 h 07 min'],
  ])('%s', (text, wanted) => expect(text).toBe(wanted));
});

describe('text', () => {
  it('aligns columns', () => {
    const table = formatTable(
      [
        ['name', 'time'],
        ['a', '5'],
      ],
      [1],
    );
    expect(table).toBe('name  time\na        5');
  });

  it('aligns the columns of several groups of rows', () => {
    const groups = [
      { title: 'a title that is longer than the table', rows: [['x', '1']] },
      { title: 'b', rows: [['long', '1,000']] },
    ];
    expect(formatGroups(['', 'ms'], groups)).toBe(
      ['           ms', 'a title that is longer than the table', '  x         1', 'b', '  long  1,000'].join('\n'),
    );
  });

  it('wraps at spaces, and leaves a long word whole', () => {
    expect(wrap('one two three', 7)).toBe('one two\nthree');
    expect(wrap('a incomprehensible b', 5, '  ')).toBe('a\n  incomprehensible\n  b');
  });
});
