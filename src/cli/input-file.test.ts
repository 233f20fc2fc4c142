import { chmodSync, mkdtempSync, readFileSync, writeFileSync } from 'node:fs';
import { rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, it } from 'vitest';
import { FarfieldError } from '../errors.ts';
import { readInputFile } from './input-file.ts';

it('reads a file, and says why it cannot', async () => {
  const folder = mkdtempSync(join(tmpdir(), 'farfield-input-'));
  try {
    const file = join(folder, 'a.txt');
    writeFileSync(file, 'text');
    expect(await readInputFile(file, '--text')).toEqual(readFileSync(file));
    for (const [path, why] of [
      [join(folder, 'b.txt'), 'there is no such file'],
      [join(file, 'b.txt'), 'there is no such file'],
      [folder, 'it is a folder; name a file in it'],
    ] as const) {
      await expect(readInputFile(path, '--text')).rejects.toEqual(new FarfieldError(`--text ${path}: ${why}`));
    }
    // Root may read everything.
    if (process.platform === 'win32' || process.getuid?.() === 0) return;
    chmodSync(file, 0o000);
    await expect(readInputFile(file, '--text')).rejects.toThrow(
      `--text ${file}: permission denied; you may not read it`,
    );
  } finally {
    await rm(folder, { recursive: true });
  }
});
