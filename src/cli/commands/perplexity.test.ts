import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, it } from 'vitest';
import { runCommandLine } from '../program.ts';

it('keeps its figures within the terminal where a pattern is long', async () => {
  const folder = await mkdtemp(join(tmpdir(), 'farfield-perplexity-'));
  try {
    const text = join(folder, 'text.txt');
    await writeFile(text, 'Call me Ishmael. '.repeat(6));
    const read = async (...more: string[]): Promise<string> => {
      let [stdout, stderr] = ['', ''];
      const args = ['perplexity', '--model', 'farfield-small', '--text', text, '--threads', '1', ...more];
      const code = await runCommandLine(args, {
        stdout: { columns: 80, write: (part) => (stdout += part) },
        stderr: { columns: 80, write: (part) => (stderr += part) },
      });
      expect({ code, stderr }).toEqual({ code: 0, stderr: '' });
      return stdout;
    };
    const own = 'sinks:4+window:256|sinks:4+window:256|sinks:4+window:128/8|sinks:4+window:128/64';
    const alone = await read();
    expect(alone).toMatch(/^positions +given$/m);
    expect(alone).toContain(`\n\npattern:\n${own}\n`);
    const compared = await read('--compare', 'dense');
    expect(compared).toMatch(/^pattern +1 +2$/m);
    expect(compared).toContain(`\n\npattern 1:\n${own}\npattern 2:\ndense\n`);
    expect(await read('--pattern', 'window:9')).toMatch(/^pattern +window:9$/m);
    for (const line of `${alone}${compared}`.split('\n')) expect(line.length).toBeLessThanOrEqual(80);
  } finally {
    await rm(folder, { recursive: true });
  }
});

it.each(['perplexity', 'generate'])(
  '%s notes that tokens see nothing, and refuses where none sees any',
  async (command) => {
    const folder = await mkdtemp(join(tmpdir(), 'farfield-blind-'));
    try {
      const text = join(folder, 'text.txt');
      await writeFile(text, 'Call me Ishmael.');
      const own = command === 'perplexity' ? ['--text', text] : ['--prompt-file', text, '--max-tokens', '3'];
      const run = async (pattern: string) => {
        let [stdout, stderr] = ['', ''];
        const args = [command, '--model', 'farfield-small', '--threads', '1', ...own, '--pattern', pattern, '--json'];
        const code = await runCommandLine(args, {
          stdout: { write: (part) => (stdout += part) },
          stderr: { write: (part) => (stderr += part) },
        });
        return { code, stdout, stderr };
      };
      // Of the 16 bytes behind the token that begins a text, and those that are generated.
      const tokens = command === 'perplexity' ? 17 : 20;
      expect(await run('!window:3')).toMatchObject({
        code: 0,
        stderr: `--pattern: 4 of ${tokens} tokens, from token 0 on, see no token, not even themselves; attention gives them zeros\n`,
      });
      expect(await run('!causal')).toEqual({
        code: 1,
        stdout: '',
        stderr: expect.stringContaining(
          `farfield: --pattern: none of ${tokens} tokens sees any token, not even itself`,
        ),
      });
      expect(await run('window:3')).toMatchObject({ code: 0, stderr: '' });
    } finally {
      await rm(folder, { recursive: true });
    }
  },
);
