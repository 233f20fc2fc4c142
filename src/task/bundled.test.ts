import { existsSync, readFileSync, statSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { gzipSync } from 'node:zlib';
import { expect, test } from 'vitest';
import { loadLanguageModel } from '../model/index.ts';
import { formatPattern, hasPerHead } from '../pattern/index.ts';
import { perplexity } from './perplexity.ts';

const folder = fileURLToPath(new URL('../../models/farfield-small/', import.meta.url));
const book = fileURLToPath(new URL('../../../shared/texts/moby-dick.txt', import.meta.url));

test('farfield-small opens by its name, with heads of several patterns and a context of 16,384', async () => {
  await using model = await loadLanguageModel('farfield-small', { threads: 1 });
  const { pattern, context } = model.config;
  expect(context).toBe(16_384);
  expect(pattern && hasPerHead(pattern)).toBe(true);
  expect(formatPattern(model.stream().pattern)).toBe(formatPattern(pattern ?? { kind: 'dense' }));
  expect(statSync(`${folder}model.safetensors`).size).toBeLessThan(8e6);
});

test.skipIf(!existsSync(book))(
  'farfield-small predicts a book that it has never read better than gzip -9 packs it',
  async () => {
    // A chapter in the middle: the first bytes are a table of contents.
    const bytes = readFileSync(book).subarray(400_000, 420_000);
    await using model = await loadLanguageModel('farfield-small', { threads: 2 });
    const ids = Int32Array.from([256, ...bytes]);
    const { bitsPerByte } = await perplexity({ model, ids });
    // gzip may begin with all the book before.
    const before = gzipSync(readFileSync(book).subarray(0, 400_000), { level: 9 }).length;
    const with20k = gzipSync(readFileSync(book).subarray(0, 420_000), { level: 9 }).length;
    expect(bitsPerByte).toBeLessThan((8 * (with20k - before)) / 20_000);
  },
);
