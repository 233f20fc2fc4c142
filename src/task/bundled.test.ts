import { existsSync, readFileSync, statSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { brotliCompressSync, gzipSync } from 'node:zlib';
import { expect, test } from 'vitest';
import { loadLanguageModel } from '../model/index.ts';
import { formatPattern, hasPerHead } from '../pattern/index.ts';
import { perplexity } from './perplexity.ts';

const folder = fileURLToPath(new URL('../../models/farfield-small/', import.meta.url));
const documentation = fileURLToPath(new URL('../../node_modules/commander/Readme.md', import.meta.url));
const book = fileURLToPath(new URL('../../../shared/texts/moby-dick.txt', import.meta.url));

test('farfield-small opens by its name, with heads of several patterns and a context of 16,384', async () => {
  await using model = await loadLanguageModel('farfield-small', { threads: 1 });
  const { pattern, context } = model.config;
  expect(context).toBe(16_384);
  expect(pattern && hasPerHead(pattern)).toBe(true);
  expect(formatPattern(model.stream().pattern)).toBe(formatPattern(pattern ?? { kind: 'dense' }));
  expect(statSync(`${folder}model.safetensors`).size).toBeLessThan(8e6);
});

test('a name that is nearly its own is told so', async () => {
  await expect(loadLanguageModel('farfield-smal')).rejects.toThrow(
    'farfield-smal: there is no such file or folder; the model of the package is farfield-small',
  );
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

test('farfield-small predicts documentation that it has never read better than brotli -11 packs it, by copying from far', async () => {
  const bytes = readFileSync(documentation).subarray(0, 24_000);
  await using model = await loadLanguageModel('farfield-small', { threads: 2 });
  expect(model.config).toMatchObject({ matches: expect.arrayContaining([32]) });
  const { bitsPerByte } = await perplexity({ model, ids: Int32Array.from([256, ...bytes]) });
  expect(bitsPerByte).toBeLessThan((8 * brotliCompressSync(bytes).length) / bytes.length);
  // The same bytes again lie beyond every window, and are known by heart.
  const twice = await perplexity({ model, ids: Int32Array.from([256, ...bytes, ...bytes]) });
  const again = twice.losses.slice(bytes.length).reduce((sum, nats) => sum + nats, 0) / Math.LN2 / bytes.length;
  expect(again).toBeLessThan(bitsPerByte / 4);
}, 120_000);
