import { expect, it } from 'vitest';
import type { ModelBenchResult } from '../bench/model/report.ts';
import { runCommandLine } from '../program.ts';

async function farfield(...args: string[]): Promise<{ code: number; stdout: string; stderr: string }> {
  let [stdout, stderr] = ['', ''];
  const code = await runCommandLine(['bench', 'model', ...args], {
    stdout: { columns: 80, write: (text) => (stdout += text) },
    stderr: { columns: 80, write: (text) => (stderr += text) },
  });
  return { code, stdout, stderr };
}

it('times a geometry beside its dense twins and its exported form, which agree where they compute the same', async () => {
  const { code, stdout } = await farfield(
    ...['--geometry', 'longformer-base', '--layers', '1', '--seq', '40,16+8', '--threads', '1', '--repeat', '1'],
    ...['--compare', 'onnxruntime-dense,onnxruntime-plain,onnxruntime-export', '--no-memory', '--json'],
  );
  expect(code).toBe(0);
  const { results } = JSON.parse(stdout) as { results: ModelBenchResult[] };
  expect(results.map(({ lengths, name }) => [lengths, name])).toEqual(
    [[40], [16, 8]].flatMap((lengths) =>
      ['farfield', 'onnxruntime-dense', 'onnxruntime-plain', 'onnxruntime-export'].map((name) => [lengths, name]),
    ),
  );
  for (const { lengths, name, milliseconds = 0, tokensPerSecond = 0, largestDifference } of results) {
    const tokens = lengths.reduce((sum, length) => sum + length, 0);
    expect(tokensPerSecond).toBeCloseTo((1000 * tokens) / milliseconds, 6);
    if (name === 'onnxruntime-export') expect(largestDifference).toBeLessThan(1e-4);
    else expect(largestDifference).toBeUndefined();
  }
}, 120_000);

it('says what it needs', async () => {
  expect(await farfield('--seq', '8')).toMatchObject({
    code: 1,
    stderr: expect.stringContaining('give either --model or --geometry'),
  });
  expect(await farfield('--geometry', 'bert-base', '--seq', '8+x')).toMatchObject({ code: 2 });
});
