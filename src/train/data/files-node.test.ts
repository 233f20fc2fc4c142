/** Data sets on disk: which files they have, and what happens when these are odd, change or vanish. */
import { appendFile, mkdir, mkdtemp, readdir, rm, symlink, truncate, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import fc from 'fast-check';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { DataError } from '../../errors.ts';
import { byteVocabulary } from '../../text/byte-vocabulary.ts';
import { openByteSet } from './byte-set.ts';
import { memoryFiles } from './files.ts';
import { listFiles, temporaryTokens } from './on-disk.ts';
import { textBatches } from './text-batches.ts';

let folder: string;
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'farfield-data-'));
});
afterEach(() => rm(folder, { recursive: true, force: true }));

async function write(files: Record<string, string | Uint8Array>): Promise<void> {
  for (const [name, content] of Object.entries(files)) {
    await mkdir(join(folder, name, '..'), { recursive: true });
    await writeFile(join(folder, name), content);
  }
}

async function names(...args: Parameters<typeof listFiles>): Promise<string[]> {
  return (await listFiles(...args)).map(({ name }) => name);
}

describe('listFiles', () => {
  beforeEach(() =>
    write({
      'b.md': 'b',
      'a.txt': 'a',
      'docs/c.md': 'c',
      'docs/deep/d.md': 'd',
      'node_modules/x/e.md': 'e',
      '.git/f.md': 'f',
      'docs/.hidden': 'g',
    }),
  );

  it('finds all files below a folder, sorted, without hidden ones and node_modules', async () => {
    expect(await names(folder)).toEqual(['a.txt', 'b.md', 'docs/c.md', 'docs/deep/d.md']);
  });

  it('takes what fits and leaves out what is excluded', async () => {
    expect(await names(folder, { include: ['*.md'] })).toEqual(['b.md', 'docs/c.md', 'docs/deep/d.md']);
    expect(await names(folder, { include: ['*.md'], exclude: ['deep', '.*', 'node_modules'] })).toEqual([
      'b.md',
      'docs/c.md',
    ]);
    expect(await names(folder, { include: ['docs/*'], exclude: [] })).toEqual(['docs/.hidden', 'docs/c.md']);
  });

  it('takes files that are named, and several folders under their names', async () => {
    expect(await names(join(folder, '.git', 'f.md'), { include: ['*.txt'] })).toEqual(['f.md']);
    expect(await names([join(folder, 'docs'), join(folder, 'a.txt')])).toEqual([
      'a.txt',
      'docs/c.md',
      'docs/deep/d.md',
    ]);
  });

  it('does not follow links in a folder, so a loop ends', async () => {
    await symlink(folder, join(folder, 'docs', 'loop'));
    await symlink(join(folder, 'a.txt'), join(folder, 'docs', 'link.md'));
    expect(await names(folder)).toEqual(['a.txt', 'b.md', 'docs/c.md', 'docs/deep/d.md']);
  });

  it('refuses what does not exist and what holds nothing', async () => {
    await expect(names(join(folder, 'nothing'))).rejects.toThrow(DataError);
    await expect(names(folder, { include: ['*.pdf'] })).rejects.toThrow(/no file that fits \*\.pdf/);
  });

  it('stops when it is told to', async () => {
    const reason = new Error('stop');
    await expect(names(folder, { signal: AbortSignal.abort(reason) })).rejects.toBe(reason);
  });
});

describe('a data set on disk', () => {
  it('has the same documents and fingerprint as in memory, and when it moves', async () => {
    const contents = { a: 'one', 'b/c': Uint8Array.of(0, 255, 10), 'b/d': '' };
    await write(contents);
    const disk = await openByteSet(await listFiles(folder));
    const memory = await openByteSet(memoryFiles(contents));
    expect(disk.fingerprint).toBe(memory.fingerprint);
    expect(disk.documents).toBe(2);
    expect([...(await disk.read(1, 1, 2))]).toEqual([255, 10]);
    await disk.close();
  });

  it('gives every byte of odd files: empty, of one byte, not UTF-8, with huge lines, very many', async () => {
    const odd = fc.oneof(
      fc.constant(new Uint8Array(0)),
      fc.uint8Array({ minLength: 1, maxLength: 1 }),
      fc.uint8Array({ maxLength: 300 }),
      fc.constant(Uint8Array.of(0xef, 0xbb, 0xbf)),
      fc.constant(Uint8Array.of(0xff, 0xfe, 0xc0, 0x80)),
      fc.constant(new Uint8Array(70_000).fill(0x61)),
      fc.constant(Uint8Array.of(0x0d, 0x0a, 0x0a)),
    );
    let round = 0;
    await fc.assert(
      fc.asyncProperty(
        fc.array(odd, { minLength: 1, maxLength: 6 }),
        fc.integer({ min: 500, max: 3000 }),
        async (files, context) => {
          const own = `round-${round++}`;
          await write(Object.fromEntries(files.map((content, i) => [`${own}/f${i}`, content])));
          const listed = await listFiles(join(folder, own));
          if (files.every((content) => content.length === 0)) {
            await expect(openByteSet(listed)).rejects.toThrow(/empty/);
            return;
          }
          const set = await openByteSet(listed);
          const source = textBatches(set, { context, epochs: 1 });
          const counts = new Array<number>(257).fill(0);
          for (let batch = await source.next(); batch !== undefined; batch = await source.next()) {
            for (const token of batch.targets) counts[token]++;
          }
          await set.close();
          const expected = new Array<number>(257).fill(0);
          for (const content of files) {
            for (const byte of content) expected[byte]++;
            if (content.length > 0) expected[byteVocabulary.documentEnd]++;
          }
          expect(counts).toEqual(expected);
        },
      ),
      { numRuns: 15 },
    );
  });

  it('reads more files than it keeps open, again and again', async () => {
    await write(
      Object.fromEntries(Array.from({ length: 100 }, (_, i) => [`f${String(i).padStart(3, '0')}`, `text ${i}`])),
    );
    const set = await openByteSet(await listFiles(folder));
    const texts = await Promise.all(
      Array.from({ length: 300 }, async (_, i) => {
        const document = (i * 37) % 100;
        return [document, String.fromCharCode(...(await set.read(document, 5, set.length(document) - 5)))];
      }),
    );
    for (const [document, text] of texts) expect(text).toBe(String(document));
    await set.close();
  });

  it('is noticed to have changed: while it is open, and on going on with a saved state', async () => {
    await write({ a: 'first text', b: 'second text' });
    const set = await openByteSet(await listFiles(folder));
    const source = textBatches(set, { context: 4 });
    await source.next();
    const state = source.state();
    await set.close();

    await writeFile(join(folder, 'b'), 'second tExt');
    const changed = await openByteSet(await listFiles(folder));
    expect(() => textBatches(changed, { context: 4 }).restore(state)).toThrow(/data is not what it was/);
    await changed.close();

    const listed = await listFiles(folder);
    await appendFile(join(folder, 'a'), 'more');
    await expect(openByteSet(listed)).rejects.toThrow(/a: had 10 bytes .* has 14 now/);

    const open = await openByteSet(await listFiles(folder));
    await open.read(0, 0, 1);
    await truncate(join(folder, 'a'), 3);
    await expect(open.read(0, 0, 10)).rejects.toThrow(/did the file change/);
    await rm(join(folder, 'b'));
    await expect(open.read(1, 0, 2)).rejects.toThrow(DataError);
    await open.close();
  });
});

describe('temporaryTokens', () => {
  it('keeps tokens in a file that close() deletes', async () => {
    const store = await temporaryTokens(folder);
    const tokens = Int32Array.from({ length: 1000 }, (_, i) => i * 70_000);
    await store.append(tokens.subarray(0, 10));
    await store.append(tokens.subarray(10));
    expect(await store.read(5, 20)).toEqual(tokens.slice(5, 25));
    expect(await store.read(0, 1000)).toEqual(tokens);
    await expect(store.read(990, 11)).rejects.toThrow(DataError);
    expect(await readdir(folder)).toHaveLength(1);
    await store.close();
    expect(await readdir(folder)).toEqual([]);
  });
});
