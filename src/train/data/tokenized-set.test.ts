import { existsSync } from 'node:fs';
import { mkdtemp, readdir, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { ArgumentError, DataError, TextError } from '../../errors.ts';
import type { Tokenizer } from '../../text/index.ts';
import { loadTokenizer } from '../../text/node.ts';
import { memoryFiles } from './files.ts';
import { temporaryTokens } from './on-disk.ts';
import { textBatches } from './text-batches.ts';
import { memoryTokens, openTokenizedSet } from './tokenized-set.ts';

/** A token for each character, its code less one; 300 ends a text. */
const letters: Tokenizer = {
  vocabularySize: 0x20000,
  eosToken: 300,
  encode: (text, options) => {
    const ids = Array.from(text, (character) => (character.codePointAt(0) ?? 0) - 1);
    return Int32Array.from(options?.addSpecialTokens === false ? ids : [299, ...ids]);
  },
  encodeInPieces: async (text, options) => letters.encode(text, options),
  decode: (ids) => String.fromCodePoint(...Array.from(ids, (id) => id + 1)),
  streamDecoder: () => {
    throw new Error('not needed here');
  },
};

async function documentsOf(set: Awaited<ReturnType<typeof openTokenizedSet>>): Promise<string[]> {
  const texts: string[] = [];
  for (let i = 0; i < set.documents; i++) texts.push(letters.decode(await set.read(i, 0, set.length(i))));
  return texts;
}

describe('openTokenizedSet', () => {
  it('has the tokens of each document, without what stands around a text', async () => {
    const set = await openTokenizedSet(memoryFiles({ a: 'first', b: '', c: 'zweit\u00e9r \u{1f600}' }), letters);
    expect(await documentsOf(set)).toEqual(['first', 'zweit\u00e9r \u{1f600}']);
    expect([set.documentEnd, set.vocabularySize]).toEqual([300, 0x20000]);
    expect(letters.decode(await set.read(1, 2, 3))).toBe('eit');
    const [batch] = [await textBatches(set, { context: 20, shuffle: false }).next()];
    expect([...(batch?.targets ?? [])].at(-1)).toBe(300);
  });

  it('cuts long texts after lines, or between characters where there is no line, and loses nothing', async () => {
    const lines = `${'\u00e9'.repeat(300)}\n`.repeat(2000);
    const noLine = `x${'\u20ac'.repeat(700_000)}`;
    const folder = await mkdtemp(join(tmpdir(), 'farfield-data-'));
    try {
      const store = await temporaryTokens(folder);
      const files = memoryFiles({ lines, noLine });
      const set = await openTokenizedSet(files, letters, { store });
      expect([set.length(0), set.length(1)]).toEqual([lines.length, noLine.length]);
      const around = await set.read(1, 349_500, 50);
      expect(letters.decode(around)).toBe('\u20ac'.repeat(50));
      const inMemory = await openTokenizedSet(files, letters);
      expect(inMemory.fingerprint).toBe(set.fingerprint);
      expect(await inMemory.read(0, 500_000, 90_000)).toEqual(await set.read(0, 500_000, 90_000));
      await set.close();
      expect(await readdir(folder)).toEqual([]);
    } finally {
      await rm(folder, { recursive: true });
    }
  });

  it('changes its fingerprint with the text, the cut into documents, and the special tokens', async () => {
    const of = async (files: Record<string, string>, documentEnd?: number): Promise<string> =>
      (await openTokenizedSet(memoryFiles(files), letters, documentEnd === undefined ? {} : { documentEnd }))
        .fingerprint;
    const all = [
      await of({ a: 'xy' }),
      await of({ a: 'xz' }),
      await of({ a: 'x', b: 'y' }),
      await of({ a: 'xy' }, 301),
    ];
    expect(new Set(all).size).toBe(4);
  });

  it('says which file is not UTF-8 and where, and leaves no file behind', async () => {
    const folder = await mkdtemp(join(tmpdir(), 'farfield-data-'));
    const bad = memoryFiles({ good: 'x', bad: Uint8Array.of(0x61, 0xff, 0x62) });
    await expect(openTokenizedSet(bad, letters, { store: await temporaryTokens(folder) })).rejects.toThrow(
      /bad, from byte 0: .*byte 1 \(0xff\)/,
    );
    await expect(openTokenizedSet(bad, letters)).rejects.toThrow(TextError);
    expect(await readdir(folder)).toEqual([]);
    await rm(folder, { recursive: true });
  });

  it('refuses a set without tokens, and special tokens that are missing or not in the vocabulary', async () => {
    const files = memoryFiles({ a: 'x' });
    await expect(openTokenizedSet(files, { ...letters, encode: () => new Int32Array(0) })).rejects.toThrow(DataError);
    const { eosToken: _, ...endless } = letters;
    await expect(openTokenizedSet(files, endless)).rejects.toThrow(/no end-of-text token/);
    await expect(openTokenizedSet(files, letters, { maskToken: 0x20000 })).rejects.toThrow(ArgumentError);
  });
});

describe('memoryTokens', () => {
  it('reads across its blocks', async () => {
    const store = memoryTokens();
    const tokens = Int32Array.from({ length: 2 ** 21 + 5 }, (_, i) => i);
    await store.append(tokens.subarray(0, 2 ** 20 - 3));
    await store.append(tokens.subarray(2 ** 20 - 3));
    const read = await store.read(2 ** 20 - 10, 2 ** 20 + 15);
    expect(read).toEqual(tokens.slice(2 ** 20 - 10));
  });
});

const MINILM = join(
  process.env.FARFIELD_MODELS ?? join(import.meta.dirname, '../../../../shared/models'),
  'minilm-l6-v2',
);

describe.skipIf(!existsSync(join(MINILM, 'tokenizer.json')))('a tokenizer of Hugging Face', () => {
  it('gives its own tokens, [SEP] as the end and [MASK] to mask', async () => {
    const tokenizer = await loadTokenizer(MINILM);
    const text = 'Sparse attention treats the near field exactly.\nThe far field sparsely.\n';
    const options = { documentEnd: 102, maskToken: 103 };
    const set = await openTokenizedSet(memoryFiles({ text }), tokenizer, options);
    expect(await set.read(0, 0, set.length(0))).toEqual(tokenizer.encode(text, { addSpecialTokens: false }));
    const batch = await textBatches(set, { context: 64, objective: 'masked', seed: 1 }).next();
    expect(batch?.inputs.includes(103)).toBe(true);
    expect(batch?.targets.at(-1)).toBe(102);
  });
});
