import { mkdtempSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { FarfieldError } from '../errors.ts';
import { writeOutputFile } from './output-file.ts';
import { writeOutputStream } from './output-stream.ts';

describe('writeOutputFile', () => {
  let folder = '';
  beforeEach(() => {
    folder = mkdtempSync(join(tmpdir(), 'farfield-'));
  });
  afterEach(() => rm(folder, { recursive: true }));

  it('replaces a file', async () => {
    writeFileSync(join(folder, 'a.txt'), 'old and longer');
    await writeOutputFile(join(folder, 'a.txt'), 'new');
    expect(readFileSync(join(folder, 'a.txt'), 'utf8')).toBe('new');
    expect(readdirSync(folder)).toEqual(['a.txt']);
  });

  it('leaves the old file and nothing else where it was aborted', async () => {
    writeFileSync(join(folder, 'a.txt'), 'old');
    const reason = new Error('stopped');
    await expect(writeOutputFile(join(folder, 'a.txt'), 'new', AbortSignal.abort(reason))).rejects.toBe(reason);
    expect(readFileSync(join(folder, 'a.txt'), 'utf8')).toBe('old');
    expect(readdirSync(folder)).toEqual(['a.txt']);
  });

  it('says why it cannot write', async () => {
    const missing = writeOutputFile(join(folder, 'no', 'a.txt'), 'x');
    await expect(missing).rejects.toThrow(FarfieldError);
    await expect(missing).rejects.toThrow('its folder does not exist');
    const part = writeOutputStream(join(folder, 'no', 'a.onnx'), [new Uint8Array(1)]);
    await expect(part).rejects.toThrow(/a\.onnx: its folder does not exist$/);
    await expect(writeOutputFile(folder, 'x')).rejects.toThrow('it is a folder');
    expect(readdirSync(folder)).toEqual([]);
  });
});
