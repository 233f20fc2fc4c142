import { describe, expect, it } from 'vitest';
import { compileMask, statistics } from '../../mask/index.ts';
import { runCommandLine } from '../program.ts';
import { parseBytes } from './advise.ts';

async function farfield(...args: string[]): Promise<{ code: number; stdout: string; stderr: string }> {
  let [stdout, stderr] = ['', ''];
  const code = await runCommandLine(args, {
    stdout: { columns: 80, write: (text) => (stdout += text) },
    stderr: { columns: 80, write: (text) => (stderr += text) },
  });
  return { code, stdout, stderr };
}

const small = ['--heads', '2', '--dim', '16', '--layers', '2', '--threads', '1'];

describe('farfield advise', () => {
  it('measures what it recommends, and counts the pairs of the pattern that it prints', async () => {
    const { code, stdout } = await farfield(
      'advise',
      '--task',
      'qa',
      '--length',
      '4000',
      '--memory',
      '1GB',
      ...small,
      '--json',
    );
    expect(code).toBe(0);
    const { task, memoryBytes, recommended, dense } = JSON.parse(stdout);
    expect({ task, memoryBytes }).toEqual({ task: 'question answering', memoryBytes: 1e9 });
    expect(recommended.length).toBeGreaterThanOrEqual(3);
    for (const { patterns, pairs, measured, predictedMilliseconds, source } of recommended) {
      const mask = compileMask(patterns[0], { queries: 4000, keys: 4000, heads: 2 });
      expect(pairs).toBe(statistics(mask).pairs);
      expect(measured.milliseconds).toBeGreaterThan(0);
      expect(predictedMilliseconds).toBeGreaterThan(0);
      expect(source.title).not.toBe('');
    }
    expect(dense.pairs).toBe(2 * 4000 ** 2);
  });

  it('fits in 80 columns, its pattern aside', async () => {
    const { code, stdout } = await farfield('advise', '--task', 'generation', '--length', '5000', ...small);
    expect(code).toBe(0);
    const lines = stdout.split('\n').filter((line) => !/^ +(?:causal&|window:)/.test(line));
    for (const line of lines) expect(line.length, line).toBeLessThanOrEqual(80);
    expect(stdout).toContain('  causal&(sinks:4+window:2047,0)\n');
  });

  it.each([
    [['--task', 'poetry', '--length', '100'], 1, 'there is no task "poetry"'],
    [['--task', 'qa', '--length', '100000', '--memory', '10MB'], 1, '100,000 tokens need at least'],
    [['--task', 'qa', '--length', '9', '--memory', '1KB'], 1, 'nothing fits in 1 KB: 9 tokens need at least 2'],
    [['--task', 'qa', '--length', '0'], 2, 'It must be a whole number of at least 1'],
    [['--task', 'qa', '--length', '9', '--memory', 'lots'], 2, 'It must be a size such as 4GB'],
    [['--length', '9'], 2, "option '--task <task>' is needed"],
  ])('refuses %s', async (args, code, message) => {
    const own = await farfield('advise', ...args);
    expect(own).toMatchObject({ code, stdout: '' });
    expect(own.stderr).toContain(message);
  });
});

describe('parseBytes', () => {
  it.each([
    ['4GB', 4e9],
    ['4g', 4e9],
    ['1.5 GiB', 1.5 * 2 ** 30],
    ['512MB', 512e6],
    ['64kib', 65_536],
    ['1000', 1000],
    ['20b', 20],
  ])('reads %s', (text, bytes) => expect(parseBytes(text)).toBe(bytes));

  it.each(['', 'GB', '-1GB', '4 GBs', '0', '1e9', '4GB 2MB'])('refuses %j', (text) => {
    expect(() => parseBytes(text)).toThrow('It must be a size');
  });
});
