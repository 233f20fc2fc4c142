import { describe, expect, it } from 'vitest';
import { allows } from '../../pattern/index.ts';
import { families } from '../bench/scaling/families.ts';
import type { Curve } from '../bench/scaling/measure.ts';
import { runCommandLine } from '../program.ts';

async function farfield(...args: string[]): Promise<{ code: number; stdout: string; stderr: string }> {
  let [stdout, stderr] = ['', ''];
  const code = await runCommandLine(args, {
    stdout: { columns: 80, write: (text) => (stdout += text) },
    stderr: { columns: 80, write: (text) => (stderr += text) },
  });
  return { code, stdout, stderr };
}

describe('farfield bench scaling', () => {
  it('counts the pairs that it times, and fits how they grow', async () => {
    const args = [
      '--from',
      '64',
      '--to',
      '256',
      '--heads',
      '1',
      '--dim',
      '16',
      '--repeat',
      '1',
      '--threads',
      '1',
      '--json',
    ];
    const { code, stdout } = await farfield('bench', 'scaling', ...args);
    expect(code).toBe(0);
    const curves: Curve[] = JSON.parse(stdout).families;
    expect(curves.map(({ name }) => name)).toEqual(families.map(({ name }) => name));
    for (const [f, { points, time }] of curves.entries()) {
      expect(points.map(({ length }) => length)).toEqual([64, 128, 256]);
      expect(Number.isFinite(time?.exponent)).toBe(true);
      const { length, pairs } = points[1] ?? { length: 0, pairs: 0 };
      const pattern = families[f]?.pattern(length) ?? { kind: 'dense' };
      let want = 0;
      for (let q = 0; q < length; q++) for (let k = 0; k < length; k++) if (allows(pattern, { head: 0, q, k })) want++;
      expect(pairs).toBe(want);
    }
    const dense = curves.at(-1);
    expect(dense?.pairs?.exponent).toBeCloseTo(2, 12);
  });

  it('fits in 80 columns and names what it leaves out', async () => {
    const args = [
      '--from',
      '64',
      '--to',
      '1024',
      '--repeat',
      '1',
      '--family',
      'window,dense',
      '--limit',
      '1',
      '--dim',
      '64',
    ];
    const { code, stdout } = await farfield('bench', 'scaling', ...args);
    expect(code).toBe(0);
    for (const line of stdout.split('\n')) expect(line.length).toBeLessThanOrEqual(80);
    expect(stdout).toContain('a  window  256 tokens to either side');
  });

  it('goes on with its times in a second table where the lengths do not fit beside each other', async () => {
    const small = [
      '--family',
      'window',
      '--from',
      '64',
      '--to',
      '32768',
      '--heads',
      '1',
      '--dim',
      '8',
      '--repeat',
      '1',
    ];
    const { code, stdout } = await farfield('bench', 'scaling', ...small, '--threads', '1', '--limit', '1000');
    expect(code).toBe(0);
    for (const line of stdout.split('\n')) expect(line.length, line).toBeLessThanOrEqual(80);
    const heads = stdout.split('\n').filter((line) => /^ +tokens /.test(line));
    expect(heads.length).toBe(2);
    expect(heads.flatMap((line) => line.trim().split(/ +/).slice(1))).toEqual(
      Array.from({ length: 10 }, (_, i) => (64 * 2 ** i).toLocaleString('en-US')),
    );
  });

  it('looks for the folder of the picture before it measures', async () => {
    const { code, stderr } = await farfield('bench', 'scaling', '--svg', 'no/such/folder/scaling.svg');
    expect({ code, stderr }).toEqual({
      code: 1,
      stderr: 'farfield: --svg no/such/folder/scaling.svg: its folder does not exist; make no/such/folder first\n',
    });
    // Measuring first would take minutes.
  }, 30_000);

  it('is a usage error for a family that is not there', async () => {
    expect(await farfield('bench', 'scaling', '--family', 'cubic')).toMatchObject({ code: 2, stdout: '' });
  });
});
