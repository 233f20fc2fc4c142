import { expect, it } from 'vitest';
import type { DecoderBenchResult } from '../bench/decoder/report.ts';
import { runCommandLine } from '../program.ts';

async function farfield(...args: string[]): Promise<{ code: number; stdout: string; stderr: string }> {
  let [stdout, stderr] = ['', ''];
  const code = await runCommandLine(['bench', 'model', '--model', 'farfield-small', '--threads', '1', ...args], {
    stdout: { columns: 80, write: (text) => (stdout += text) },
    stderr: { columns: 80, write: (text) => (stderr += text) },
  });
  return { code, stdout, stderr };
}

it('times a decoder beside itself dense and its dense twin in ONNX Runtime, which agree', async () => {
  const { code, stdout } = await farfield(
    ...['--pattern', 'window:16', '--seq', '64,32', '--compare', 'farfield-dense,onnxruntime-dense', '--repeat', '1'],
    ...['--weights', 'f32', '--decode', '4', '--no-warm-up', '--no-memory', '--json'],
  );
  expect(code).toBe(0);
  const { results } = JSON.parse(stdout) as { results: DecoderBenchResult[] };
  const names = ['farfield', 'farfield-dense', 'onnxruntime-dense'];
  expect(results.map(({ tokens, name }) => [tokens, name])).toEqual(
    [64, 32].flatMap((tokens) => names.map((name) => [tokens, name])),
  );
  for (const { tokens, name, largestDifference, ...figures } of results) {
    const { prefillMilliseconds = Number.NaN, prefillTokensPerSecond = 0, decodeTokensPerSecond } = figures;
    expect(prefillTokensPerSecond).toBeCloseTo((1000 * tokens) / prefillMilliseconds, 6);
    if (name === 'onnxruntime-dense') {
      expect(decodeTokensPerSecond).toBeUndefined();
      expect(largestDifference).toBeLessThan(1e-5);
    } else expect(decodeTokensPerSecond).toBeGreaterThan(0);
  }
}, 120_000);

it('says what it needs', async () => {
  for (const [args, message] of [
    [['--compare', 'onnxruntime-plain'], '--compare onnxruntime-plain is for encoders'],
    [['--seq', '8+4'], 'a decoder reads one text at a time'],
    [['--no-time', '--no-memory'], 'nothing is left to measure'],
  ] as const) {
    const { code, stderr } = await farfield(...args);
    expect([code, stderr]).toEqual([1, expect.stringContaining(message)]);
  }
});
