import { describe, expect, it } from 'vitest';
import { runCommandLine } from '../program.ts';

async function farfield(...args: string[]): Promise<{ code: number; stdout: string; stderr: string }> {
  let [stdout, stderr] = ['', ''];
  const code = await runCommandLine(args, {
    stdout: { columns: 80, write: (text) => (stdout += text) },
    stderr: { columns: 80, write: (text) => (stderr += text) },
  });
  return { code, stdout, stderr };
}

const SMALL = ['--steps', '1', '--tokens', '1024', '--held-out', '2', '--width', '8', '--layers', '1', '--heads', '1'];

describe('farfield lra', () => {
  it('prints a row for each task and pattern, published numbers of other data in brackets', async () => {
    const { code, stdout } = await farfield('lra', '--task', 'pathfinder-32,counted-shapes', ...SMALL);
    expect(code).toBe(0);
    const lines = stdout.split('\n');
    for (const line of lines) expect(line.length, line).toBeLessThanOrEqual(80);
    const titles = lines.filter((line) => / \(the commonest class: [\d.]+\)$/.test(line));
    expect(titles.map((title) => title.split(' ')[0])).toEqual(['pathfinder-32', 'counted-shapes']);
    const rows = lines.filter((line) => /^ {2}\S/.test(line));
    expect(rows).toHaveLength(10);
    expect(rows[0]).toMatch(/^ {2}dense .* ± .* 71\.40 /);
    expect(rows[8]).toMatch(/^ {2}window\+global .* ± .* \(42\.22\) /);
    expect(stdout).toContain('published on other data, which counted-shapes stands in for');
  });

  it('runs patterns of one’s own, with --json as one object', async () => {
    const { code, stdout } = await farfield(
      'lra',
      '--task',
      'counted-shapes',
      '--pattern',
      'window:4',
      '--json',
      ...SMALL,
    );
    expect(code).toBe(0);
    const { results, steps } = JSON.parse(stdout);
    expect(steps).toBe(1);
    expect(results).toHaveLength(1);
    expect(results[0]).toMatchObject({ task: 'counted-shapes', pattern: 'window:4', rows: 1025 });
    expect([0, 0.5, 1]).toContain(results[0].accuracy);
  });

  it('refuses a task and a pattern that do not exist', async () => {
    expect(await farfield('lra', '--task', 'imdb')).toMatchObject({ code: 2, stdout: '' });
    const { code, stderr } = await farfield('lra', '--pattern', 'windw:3');
    expect(code).toBe(1);
    expect(stderr).toContain('unknown word "windw"');
  });
});
