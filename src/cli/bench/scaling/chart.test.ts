import { describe, expect, it } from 'vitest';
import { drawChart, logTicks } from './chart.ts';
import { drawChartSvg } from './chart-svg.ts';

const lines = [
  { name: 'linear', points: [1, 10, 100, 1000].map((x) => ({ x, y: x })) },
  { name: 'flat & <low>', points: [1, 10, 100, 1000].map((x) => ({ x, y: 1 })) },
];

describe('drawChart', () => {
  it('puts powers on straight lines', () => {
    const drawing = drawChart(lines, { columns: 29, rows: 7, formatX: String, formatY: String });
    expect(drawing.split('\n')).toEqual([
      '1000 ┤                    ·a',
      '     │                ····',
      ' 100 ┤             ·a·',
      '     │         ····',
      '  10 ┤      ·a·',
      '     │  ····',
      '   1 ┤a······b······b······b',
      '     └┬──────┬──────┬──────┬',
      '      1     10     100  1000',
    ]);
  });

  it('draws nothing of nothing, and one length as a column', () => {
    const options = { columns: 30, rows: 4, formatX: String, formatY: String };
    expect(drawChart([], options)).toBe('');
    expect(drawChart([{ name: 'x', points: [{ x: 5, y: 3 }] }], options)).toContain('a');
  });
});

describe('logTicks', () => {
  it('are powers of ten, or finer where there are few of them', () => {
    expect(logTicks(0.5, 4000)).toEqual([1, 10, 100, 1000]);
    expect(logTicks(3, 60)).toEqual([5, 10, 20, 50]);
  });
});

describe('drawChartSvg', () => {
  it('escapes names and draws one path and its points for each line', () => {
    const options = { title: 'a < b', xName: 'tokens', yName: 'time', formatX: String, formatY: String };
    const svg = drawChartSvg(lines, options);
    expect(svg).toMatch(/^<svg [\s\S]*<\/svg>$/);
    expect(svg).toContain('flat &amp; &lt;low&gt;');
    expect(svg).not.toContain('NaN');
    expect(svg.match(/<circle/g)).toHaveLength(8);
  });
});
