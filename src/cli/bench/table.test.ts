import { describe, expect, it } from 'vitest';
import { parsePattern } from '../../pattern/index.ts';
import { type DecoderContenderName, decoderContenders } from './decoder/contenders.ts';
import { describeDecoderBench } from './decoder/report.ts';
import { type ModelContenderName, modelContenders } from './model/contenders.ts';
import { describeModelBench, type ModelBenchResult } from './model/report.ts';
import type { Subject } from './model/subject.ts';
import { byteUnit, formatRange, formatRatio, timeUnit } from './table.ts';

describe('figures of a column', () => {
  it('are in one unit, with three figures', () => {
    const short = timeUnit([0.0123, 9994]);
    expect([short.name, short.format(0.01234), short.format(9994), short.format(undefined)]).toEqual([
      'ms',
      '0.0123',
      '9,990',
      '',
    ]);
    const long = timeUnit([12, 61_234]);
    expect([long.name, long.format(12), formatRange([61_234, 59_870], long)]).toEqual(['s', '0.0120', '59.9 to 61.2']);
    const small = byteUnit([5 * 2 ** 20]);
    expect([small.name, small.format(5 * 2 ** 20)]).toEqual(['MiB', '5.00']);
    const large = byteUnit([2 ** 20, 12 * 2 ** 30]);
    expect([large.name, large.format(12 * 2 ** 30)]).toEqual(['GiB', '12.0']);
    expect([formatRatio(3, 2), formatRatio(3, undefined)]).toEqual(['1.50x', '']);
  });
});

describe('farfield bench model', () => {
  const runs = [59_870, 61_234, 60_000];

  it('has an encoder’s figures in 80 columns, with units in the headings', () => {
    const names = Object.keys(modelContenders) as ModelContenderName[];
    const results = [[65_536], Array.from({ length: 20 }, () => 16_384)].flatMap((lengths) =>
      names.map(
        (name, i): ModelBenchResult => ({
          lengths,
          name,
          milliseconds: 60_000 + i,
          runs: [...runs, 12.34],
          tokensPerSecond: 123_456,
          peakMemoryBytes: 12.34 * 2 ** 30 * (i + 1),
          largestDifference: 1.234e-7,
        }),
      ),
    );
    const subject: Subject = {
      geometry: 'longformer-base',
      layers: 1,
      pattern: parsePattern('sinks:4+window:1024'),
      positions: 'given',
      longest: 65_536,
      threads: 1,
    };
    const text = describeModelBench(subject, results, { repeat: 1, time: true, memory: true, columns: 80 });
    for (const line of text.split('\n')) expect(line.length, line).toBeLessThanOrEqual(80);
    expect(text).toMatch(/^ +s +range +ratio +tokens\/s +GiB +ratio$/m);
    expect(text).toContain('\n65,536 tokens\n');
    expect(text).toMatch(/^ {2}farfield +60\.0 +0\.0123 to 61\.2 +123,000 +12\.3$/m);
    expect(text).toMatch(/^ {2}onnxruntime-export +60\.0 +0\.0123 to 61\.2 +1\.00x +123,000 +61\.7 +5\.00x$/m);
    expect(text).toContain('the median of 1 run,');
  });

  it('has a decoder’s figures in 80 columns, with units in the headings', () => {
    const names = Object.keys(decoderContenders) as DecoderContenderName[];
    const results = names.map((name, i) => ({
      tokens: 65_536,
      name,
      prefillMilliseconds: 60_000 * (i + 1),
      prefillRuns: runs,
      prefillTokensPerSecond: 123_456,
      decodeTokensPerSecond: 1234.5,
      cacheBytes: 2.5 * 2 ** 20,
      peakMemoryBytes: 12.34 * 2 ** 30,
      largestDifference: 1.234e-7,
    }));
    const subject = { model: 'model.gguf', weights: 'quantized', decode: 1, longest: 65_536, threads: 2 } as const;
    const text = describeDecoderBench(subject, results, { repeat: 3, time: true, memory: true, columns: 80 });
    for (const line of text.split('\n')) expect(line.length, line).toBeLessThanOrEqual(80);
    expect(text).toMatch(/^ +s +ratio +tokens\/s +next\/s +cache, MiB +peak, GiB$/m);
    expect(text).toMatch(/^ {2}farfield +60\.0 +123,000 +1,230 +2\.50 +12\.3$/m);
    expect(text).toMatch(/^ {2}farfield-dense +120 +2\.00x +123,000 +1,230 +2\.50 +12\.3$/m);
    expect(text).toContain('next/s: tokens/s at generating 1 token behind it;');
  });
});
