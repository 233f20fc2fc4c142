import { existsSync, readdirSync } from 'node:fs';
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { availableParallelism, tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { describe, expect, it } from 'vitest';
import packageJson from '../../package.json' with { type: 'json' };
import { allows, causal, intersect, sinks, union, window } from '../pattern/index.ts';
import { runCommandLine } from './program.ts';

async function farfield(...args: string[]): Promise<{ code: number; stdout: string; stderr: string }> {
  let [stdout, stderr] = ['', ''];
  const code = await runCommandLine(args, {
    stdout: { columns: 80, write: (text) => (stdout += text) },
    stderr: { columns: 80, write: (text) => (stderr += text) },
  });
  return { code, stdout, stderr };
}

describe('farfield', () => {
  it('tells its version and its commands', async () => {
    expect(await farfield('--version')).toEqual({ code: 0, stdout: `${packageJson.version}\n`, stderr: '' });
    const { code, stdout } = await farfield('--help');
    expect(code).toBe(0);
    for (const command of ['mask', 'bench', 'doctor']) expect(stdout).toMatch(new RegExp(`^  ${command} `, 'm'));
  });

  it.each(['mask', 'bench attention', 'doctor'])('has help with examples for %s', async (command) => {
    const { code, stdout, stderr } = await farfield(...command.split(' '), '--help');
    expect({ code, stderr }).toEqual({ code: 0, stderr: '' });
    expect(stdout).toContain('--json');
    expect(stdout).toMatch(new RegExp(`Examples:\\n  # .*\\n  farfield ${command}`));
  });

  it('has help of 80 columns for every command, whose examples take only options that it has', async () => {
    const named = async (...args: string[]): Promise<string[]> => {
      const list = /^Commands:\n([\s\S]*?)\n\n/m.exec((await farfield(...args, '--help')).stdout)?.[1] ?? '';
      return [...list.matchAll(/^ {2}(\w+)/gm)].map(([, name = '']) => name).filter((name) => name !== 'help');
    };
    const commands = [...(await named()), ...(await named('bench')).map((name) => `bench ${name}`), ''];
    expect(commands.length).toBeGreaterThan(20);
    for (const command of commands) {
      const { stdout } = await farfield(...command.split(' ').filter((word) => word !== ''), '--help');
      for (const line of stdout.split('\n')) expect(line.length, `${command}: ${line}`).toBeLessThanOrEqual(80);
      const [options = '', examples] = stdout.split('\nExamples:\n');
      if (examples === undefined) throw new Error(`the help of ${command} has no examples`);
      // A command that is too long for one line goes on behind a backslash.
      const lines = examples.replaceAll(/ \\\n {4}/g, ' ').split('\n');
      const own = lines.filter((line) => `${line} `.startsWith(`  farfield ${command} `));
      // Those show the commands below them.
      if (command === '' || command === 'bench') continue;
      expect(own.length, command).toBeGreaterThan(0);
      for (const [option] of own.join('\n').matchAll(/(?<= )--[a-z-]+/g))
        expect(options).toMatch(new RegExp(`^  ${option}[ \\n]`, 'm'));
    }
  });

  it('helps with a command of a command too', async () => {
    expect(await farfield('help', 'bench', 'model')).toEqual(await farfield('bench', 'model', '--help'));
    expect(await farfield('help', 'bench')).toEqual(await farfield('bench', '--help'));
    expect((await farfield('help', 'bench', 'model')).stdout).toMatch(/^Usage: farfield bench model /);
  });

  it.each(['bench model', 'lra'])('writes defaults as they are typed, in the help of %s', async (command) => {
    const { stdout } = await farfield(...command.split(' '), '--help');
    expect(stdout).toContain('(default: ');
    expect(stdout.replaceAll(/\s+/g, ' ')).not.toMatch(/\(default: [[{]/);
  });

  it.each([
    [['maks'], "unknown command 'maks'\n(Did you mean mask?)"],
    [['mask', '--patern', 'window:3'], "unknown option '--patern'\n(Did you mean --pattern?)"],
    [['mask'], "option '--pattern <pattern>' is needed"],
    [['mask', '--pattern', 'dense', '--length', '1.5'], 'It must be a whole number of at least 1.'],
    [['explore', '--no-open', '--port', '65536'], 'It must be a whole number from 0 to 65535.'],
    [['explore', '--no-open', '--length', '1048577'], 'It must be a whole number from 16 to 1048576.'],
    [['mask', '--pattern', 'dense', 'stray'], 'too many arguments'],
    [['bench', 'attention', '--pattern', 'dense', '--compare', 'torch'], 'torch is not one of onnxruntime-dense'],
  ])('exits with 2 for the wrong command line %s', async (args, message) => {
    const { code, stdout, stderr } = await farfield(...args);
    expect({ code, stdout }).toEqual({ code: 2, stdout: '' });
    expect(stderr).toMatch(/^farfield: /);
    expect(stderr).toContain(message);
  });

  it('exits with 1 for an error of Farfield, said in one line without a stack', async () => {
    const { code, stdout, stderr } = await farfield('mask', '--pattern', 'windw:3', '--json');
    expect({ code, stdout }).toEqual({ code: 1, stdout: '' });
    expect(stderr).toContain('farfield: pattern: unknown word "windw"; did you mean "window"?');
    expect(stderr).not.toContain('    at ');
  });
});

describe('a command that runs an encoder', () => {
  it.each(['embed', 'fill', 'summarize'])('says that the model of the package is none: %s', async (command) => {
    const text = fileURLToPath(new URL('../../README.md', import.meta.url));
    const { code, stderr } = await farfield(command, '--model', 'farfield-small', '--text', text);
    expect(code).toBe(1);
    expect(stderr).toMatch(
      /^farfield: farfield-small: config\.json: model_type is "llama"; Farfield implements these encoder/,
    );
  });
});

describe('farfield mask', () => {
  it('counts the pairs that allows() allows', async () => {
    const pattern = intersect(union(sinks(4), window(20)), causal());
    const args = ['--pattern', 'sinks:4+window:20', '--causal', '--length', '150', '--keys', '200', '--json'];
    const { code, stdout } = await farfield('mask', ...args);
    let pairs = 0;
    for (let q = 50; q < 200; q++) for (let k = 0; k < 200; k++) if (allows(pattern, { head: 0, q, k })) pairs++;
    expect(code).toBe(0);
    expect(JSON.parse(stdout)).toMatchObject({ pattern, queries: 150, keys: 200, heads: 1, pairs });
  });

  it('counts one as one', async () => {
    const { stdout } = await farfield('mask', '--pattern', 'causal', '--length', '1');
    expect(stdout).toContain('causal: 1 query, 1 key, 1 head\n');
  });

  it('draws', async () => {
    const { stdout } = await farfield('mask', '--pattern', 'window:1', '--length', '4');
    expect(stdout).toContain('│████ · ·│\n│██████ ·│\n│ ·██████│\n│ · ·████│');
  });

  it('writes pictures, and nothing for a head that is not there', async () => {
    const folder = await mkdtemp(join(tmpdir(), 'farfield-'));
    const files = ['--svg', join(folder, 'a.svg'), '--png', join(folder, 'a.png')];
    try {
      expect(await farfield('mask', '--pattern', 'window:9', '--head', '1', ...files)).toMatchObject({ code: 1 });
      expect(readdirSync(folder)).toEqual([]);
      expect(await farfield('mask', '--pattern', 'window:9', '--json', ...files)).toMatchObject({ code: 0 });
      expect(await readFile(join(folder, 'a.svg'), 'utf8')).toMatch(/^<svg [\s\S]*<\/svg>\s*$/);
      expect((await readFile(join(folder, 'a.png'))).subarray(1, 4).toString()).toBe('PNG');
    } finally {
      await rm(folder, { recursive: true });
    }
    expect(existsSync(folder)).toBe(false);
  });
});

describe('farfield doctor', () => {
  it('reports this machine', async () => {
    const { code, stdout, stderr } = await farfield('doctor', '--json');
    expect({ code, stderr }).toEqual({ code: 0, stderr: '' });
    expect(JSON.parse(stdout)).toMatchObject({
      node: process.versions.node,
      processor: { usable: availableParallelism() },
      webassembly: { simd: true, threads: true },
      attention: { threads: availableParallelism() },
      onnxruntime: { version: expect.stringMatching(/^\d+\.\d+\.\d+/) },
    });
    expect((await farfield('doctor')).stdout).toMatch(/^Farfield uses\n {2}attention +the \w+ kernel: /m);
  });
});

describe('farfield bench attention', () => {
  interface Output {
    readonly pairs: number;
    readonly results: readonly {
      readonly name: string;
      readonly milliseconds: number;
      readonly peakMemoryBytes: number;
      readonly largestDifference: number | null;
    }[];
  }

  const problem = ['--heads', '3', '--dim', '24', '--repeat', '1', '--threads', '2', '--json'];
  const compare = ['--compare', 'onnxruntime-dense,onnxruntime-gather,onnxruntime-export'];

  it('times peers that compute the same', async () => {
    const args = ['--pattern', 'sinks:3+window:20', '--causal', '--seq', '150', ...problem, ...compare];
    const { code, stdout } = await farfield('bench', 'attention', ...args);
    expect(code).toBe(0);
    const { results } = JSON.parse(stdout) as Output;
    expect(results.map(({ name }) => name)).toEqual([
      'farfield',
      'onnxruntime-dense',
      'onnxruntime-gather',
      'onnxruntime-export',
    ]);
    for (const { milliseconds, peakMemoryBytes } of results) {
      expect(milliseconds).toBeGreaterThan(0);
      expect(peakMemoryBytes).toBeGreaterThan(1e7);
    }
    expect(results[1]?.largestDifference).toBe(null);
    for (const { largestDifference } of results.slice(2)) expect(largestDifference).toBeLessThan(1e-5);
  });

  it('compares the dense peer too where the pattern is dense', async () => {
    const args = ['--pattern', 'dense', '--seq', '70', ...problem, ...compare];
    const { results } = JSON.parse((await farfield('bench', 'attention', ...args)).stdout) as Output;
    expect(results[1]?.largestDifference).toBeLessThan(1e-5);
    for (const { largestDifference } of results.slice(2)) expect(largestDifference).toBeLessThan(1e-5);
  });
});
