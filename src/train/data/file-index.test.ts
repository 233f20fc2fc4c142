import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { ArgumentError, DataError } from '../../errors.ts';
import { indexFiles } from './file-index.ts';
import { memoryFiles } from './files.ts';

function listed(index: Awaited<ReturnType<typeof indexFiles>>): number[][] {
  const { documents } = index;
  return Array.from({ length: documents.count }, (_, i) => [
    documents.file(i),
    documents.offset(i),
    documents.length(i),
  ]);
}

describe('indexFiles', () => {
  it('takes each file that is not empty as a document', async () => {
    const index = await indexFiles(memoryFiles({ a: 'one', b: '', c: Uint8Array.of(0xff) }));
    expect(listed(index)).toEqual([
      [0, 0, 3],
      [2, 0, 1],
    ]);
    expect(index.bytes).toBe(4);
  });

  it('finds the documents between separators as a search in the text does', async () => {
    const letters = fc.string({ unit: fc.constantFrom('a', 'b', '|'), maxLength: 60 });
    const separator = fc.string({ unit: fc.constantFrom('a', 'b', '|'), minLength: 1, maxLength: 4 });
    await fc.assert(
      fc.asyncProperty(fc.array(letters, { minLength: 1, maxLength: 4 }), separator, async (texts, between) => {
        const files = memoryFiles(Object.fromEntries(texts.map((text, i) => [`f${i}`, text])));
        const expected = texts.flatMap((text) => text.split(between)).filter((part) => part !== '');
        const options = { documents: { separator: between } };
        if (expected.length === 0) {
          await expect(indexFiles(files, options)).rejects.toThrow(DataError);
          return;
        }
        const found = listed(await indexFiles(files, options));
        expect(found.map(([file, offset, length]) => texts[file].slice(offset, offset + length))).toEqual(expected);
      }),
    );
  });

  it('finds a separator that lies across two steps of reading, in a line of mebibytes', async () => {
    const bytes = new Uint8Array(3 * 2 ** 20).fill(0x61);
    bytes.set([0x2d, 0x2d, 0x2d], 2 ** 20 - 2);
    bytes.set([0x2d, 0x2d, 0x2d], 2 ** 21 - 1);
    const index = await indexFiles(memoryFiles({ f: bytes }), { documents: { separator: '---' } });
    expect(listed(index)).toEqual([
      [0, 0, 2 ** 20 - 2],
      [0, 2 ** 20 + 1, 2 ** 20 - 2],
      [0, 2 ** 21 + 2, 2 ** 20 - 2],
    ]);
  });

  it('gives another fingerprint for another byte, name, order or kind of document', async () => {
    const of = async (files: Record<string, string>, separator?: string): Promise<string> =>
      (await indexFiles(memoryFiles(files), separator === undefined ? {} : { documents: { separator } })).fingerprint;
    const all = await Promise.all([
      of({ a: 'x\ny' }),
      of({ a: 'x\nz' }),
      of({ b: 'x\ny' }),
      of({ a: 'x\n', b: 'y' }),
      of({ b: 'y', a: 'x\n' }),
      of({ a: 'x\ny' }, '\n'),
      of({ a: 'x\ny' }, 'x'),
    ]);
    expect(new Set(all).size).toBe(all.length);
    expect(await of({ a: 'x\ny' })).toBe(all[0]);
  });

  it('says how far it is, and stops when it is told to', async () => {
    const files = memoryFiles({ a: new Uint8Array(2 ** 20 + 1).fill(1), b: 'end' });
    const seen: [number, number][] = [];
    await indexFiles(files, { onProgress: (done, total) => seen.push([done, total]) });
    const total = 2 ** 20 + 4;
    expect(seen).toEqual([
      [2 ** 20, total],
      [2 ** 20 + 1, total],
      [total, total],
    ]);
    const stop = new AbortController();
    const reason = new Error('stop');
    const run = indexFiles(files, { signal: stop.signal, onProgress: () => stop.abort(reason) });
    await expect(run).rejects.toBe(reason);
  });

  it('refuses an empty set, two files of one name, and an empty separator', async () => {
    await expect(indexFiles([])).rejects.toThrow(DataError);
    await expect(indexFiles(memoryFiles({ a: '', b: '' }))).rejects.toThrow(/empty/);
    await expect(indexFiles([...memoryFiles({ a: '1' }), ...memoryFiles({ a: '2' })])).rejects.toThrow(ArgumentError);
    await expect(indexFiles(memoryFiles({ a: '1' }), { documents: { separator: '' } })).rejects.toThrow(ArgumentError);
  });
});
