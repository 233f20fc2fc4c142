import { chmodSync, mkdtempSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { FarfieldError } from '../errors.ts';
import { checkOutputFile, makeOutputFolder, writeOutputFile } from './output-file.ts';
import { writeOutputStream } from './output-stream.ts';
import { runCommandLine } from './program.ts';

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

  it('says why it cannot write, and what to do', async () => {
    writeFileSync(join(folder, 'a.txt'), '');
    for (const [path, message] of [
      [join(folder, 'no', 'a.txt'), `its folder does not exist; make ${join(folder, 'no')} first`],
      [join(folder, 'a.txt', 'b.txt'), `${join(folder, 'a.txt')} is not a folder; name a file in one`],
      [folder, 'it is a folder; name a file in it'],
      ['.', 'it is a folder; name a file in it'],
      [join(folder, 'no/'), 'it is a folder; name a file in it'],
    ] as const) {
      const said = new FarfieldError(`cannot write ${path}: ${message}`);
      await expect(writeOutputFile(path, 'x')).rejects.toEqual(said);
      await expect(writeOutputStream(path, [new Uint8Array(1)])).rejects.toEqual(said);
      await expect(checkOutputFile(path, '--svg')).rejects.toThrow(`--svg ${path}: ${message}`);
    }
    await checkOutputFile(join(folder, 'a.txt'), '--svg');
    await checkOutputFile(join(folder, 'new.txt'), '--svg');
    expect(readdirSync(folder)).toEqual(['a.txt']);
  });

  it.skipIf(process.platform === 'win32')('does not put a file in the place of a device', async () => {
    await expect(writeOutputFile('/dev/null', 'x')).rejects.toThrow('it is a device or a pipe; name a file');
  });

  // Root may write anywhere.
  it.skipIf(process.platform === 'win32' || process.getuid?.() === 0)('asks for another folder', async () => {
    chmodSync(folder, 0o500);
    const path = join(folder, 'a.txt');
    const why = 'permission denied; choose a folder that you may write to';
    await expect(checkOutputFile(path, '--svg')).rejects.toThrow(`--svg ${path}: ${why}`);
    await expect(writeOutputFile(path, 'x')).rejects.toThrow(`cannot write ${path}: ${why}`);
    await expect(makeOutputFolder(join(folder, 'b'), '--out')).rejects.toThrow(`--out ${join(folder, 'b')}: ${why}`);
    chmodSync(folder, 0o700);
  });

  it('makes a folder with those above it, and says where a file is in its place', async () => {
    const path = join(folder, 'a', 'b');
    await makeOutputFolder(path, '--out');
    await makeOutputFolder(path, '--out');
    expect(readdirSync(path)).toEqual([]);
    writeFileSync(join(path, 'c'), '');
    for (const taken of [join(path, 'c'), join(path, 'c', 'd')]) {
      await expect(makeOutputFolder(taken, '--out')).rejects.toThrow(`--out ${taken}: a file is there; name a folder`);
    }
  });
});

describe('a command', () => {
  it.each([
    ['mask --pattern window:3 --svg .', '--svg'],
    ['mask --pattern window:3 --png .', '--png'],
    ['export --model farfield-small --out .', '--out'],
    ['sparsify --model model.onnx --pattern window:3 --out .', '--out'],
    ['demo --html .', '--html'],
    ['bench scaling --svg .', '--svg'],
  ])('says before it works that a folder is not a file: %s', async (line, option) => {
    let [stdout, stderr] = ['', ''];
    const code = await runCommandLine(line.split(' '), {
      stdout: { write: (text) => (stdout += text) },
      stderr: { write: (text) => (stderr += text) },
    });
    expect({ code, stdout, stderr }).toEqual({
      code: 1,
      stdout: '',
      stderr: `farfield: ${option} .: it is a folder; name a file in it\n`,
    });
  });
});
