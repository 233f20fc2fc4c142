import { readFileSync, writeFileSync } from 'node:fs';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { gzipSync } from 'node:zlib';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { runCommandLine } from '../program.ts';

const PLAIN =
  `And he went up into the mountain, and the people stood before him; and he said unto them, Hear ye the word.
`.repeat(24);
const STRANGE = 'zQ#9kX!vW~7jP^ 4gYb{Lm$0cR%8hT&xN*2fK';

describe('farfield demo', () => {
  let folder = '';
  beforeEach(async () => {
    folder = await mkdtemp(join(tmpdir(), 'farfield-demo-'));
  });
  afterEach(() => rm(folder, { recursive: true }));

  const farfield = async (...args: string[]): Promise<{ code: number; stdout: string; stderr: string }> => {
    let [stdout, stderr] = ['', ''];
    const code = await runCommandLine(['demo', ...args], {
      stdout: { write: (text) => (stdout += text) },
      stderr: { write: (text) => (stderr += text) },
    });
    return { code, stdout, stderr };
  };

  it('reads a text with the bundled model, finds the strange passage, and writes the page', async () => {
    const text = `${PLAIN}${STRANGE}\n${PLAIN}`;
    const [path, html] = [join(folder, 'text.txt'), join(folder, 'page.html')];
    writeFileSync(path, text);
    const { code, stdout } = await farfield(
      path,
      '--json',
      '--dense-length',
      '500',
      '--continue',
      '20',
      '--html',
      html,
    );
    expect(code).toBe(0);
    const result = JSON.parse(stdout);
    const bytes = Buffer.byteLength(text);
    expect(result).toMatchObject({ bytes, tokens: bytes + 1, start: { tokens: 501 }, denseStart: { tokens: 501 } });
    expect(result.gzipBitsPerByte).toBeCloseTo((8 * gzipSync(text, { level: 9 }).length) / bytes, 6);
    // English prose; a model that knew nothing would need 8 bits.
    expect(result.bitsPerByte).toBeLessThan(3);
    const [worst, ...others] = result.passages;
    expect(worst.text).toContain(STRANGE.slice(0, 20));
    expect(worst.bitsPerByte).toBeGreaterThan(others[0]?.bitsPerByte ?? 0);
    expect(text.split('\n')[worst.line - 1] + text.split('\n')[worst.line]).toContain(STRANGE.slice(0, 20));
    expect(Buffer.byteLength(result.continuation)).toBeGreaterThan(0);
    const page = readFileSync(html, 'utf8');
    expect(page).toContain('class="h3"');
    expect(page).toContain('zQ#');
    expect(page).not.toContain('http');
    expect(page.length).toBeLessThan(40_000);
  });

  it('says what is wrong with a text', async () => {
    const path = join(folder, 'empty.txt');
    writeFileSync(path, '');
    expect((await farfield(path)).stderr).toContain('it has 0 bytes; there is nothing to predict');
    const lost = await farfield(join(folder, 'lost.txt'));
    expect(lost.code).toBe(1);
    expect(lost.stderr).toContain('there is no such file');
    expect((await farfield('--length', '1')).code).toBe(2);
  });
});
