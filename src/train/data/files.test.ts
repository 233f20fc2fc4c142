import { describe, expect, it } from 'vitest';
import { DataError } from '../../errors.ts';
import { openByteSet } from './byte-set.ts';
import { chosenFiles, type DataFile, FileReader, memoryFiles } from './files.ts';

describe('chosenFiles', () => {
  it('are sorted by name, with their path in a chosen folder, and read like files on disk', async () => {
    const inFolder = (path: string, content: string): File =>
      Object.defineProperty(new File([content], path.split('/').at(-1) ?? ''), 'webkitRelativePath', { value: path });
    const files = chosenFiles([
      inFolder('corpus/z.md', 'last'),
      inFolder('corpus/a/b.md', 'first'),
      new File(['x'], 'B'),
    ]);
    expect(files.map(({ name, size }) => [name, size])).toEqual([
      ['B', 1],
      ['corpus/a/b.md', 5],
      ['corpus/z.md', 4],
    ]);
    const set = await openByteSet(files);
    const inMemory = await openByteSet(memoryFiles({ B: 'x', 'corpus/a/b.md': 'first', 'corpus/z.md': 'last' }));
    expect(set.fingerprint).toBe(inMemory.fingerprint);
    expect(String.fromCharCode(...(await set.read(1, 1, 3)))).toBe('irs');
  });
});

describe('FileReader', () => {
  /** Files that count how many of them are open. */
  function counted(count: number): { files: DataFile[]; open: () => number; most: () => number } {
    let [open, most] = [0, 0];
    const files = Array.from({ length: count }, (_, i) => ({
      name: `f${i}`,
      size: 1,
      open: async () => {
        open++;
        most = Math.max(most, open);
        return {
          name: `f${i}`,
          size: 1,
          read: async () => Uint8Array.of(i),
          close: async () => {
            open--;
          },
        };
      },
    }));
    return { files, open: () => open, most: () => most };
  }

  it('keeps a bounded number of files open, and none after close()', async () => {
    const { files, open, most } = counted(100);
    const reader = new FileReader(files);
    for (let i = 0; i < 300; i++) expect([...(await reader.read((i * 7) % 100, 0, 1))]).toEqual([(i * 7) % 100]);
    expect(most()).toBeLessThanOrEqual(33);
    await reader.close();
    expect(open()).toBe(0);
  });

  it('tries a file again that could not be opened', async () => {
    let attempts = 0;
    const [good] = memoryFiles({ f: 'x' });
    const flaky: DataFile = {
      ...good,
      open: async () => {
        if (attempts++ === 0) throw new Error('busy');
        return good.open();
      },
    };
    const reader = new FileReader([flaky]);
    await expect(reader.read(0, 0, 1)).rejects.toThrow(new DataError('f: cannot be opened: busy'));
    expect([...(await reader.read(0, 0, 1))]).toEqual([0x78]);
  });
});
