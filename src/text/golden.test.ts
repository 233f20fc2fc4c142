/** Token ids of real tokenizers against the original implementation's; see the README of the model folders. */
import { createHash } from 'node:crypto';
import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { beforeAll, describe, expect, it } from 'vitest';
import { openGguf, openSafetensors, toTypedArray } from '../checkpoint/index.ts';
import { fileSource } from '../checkpoint/node.ts';
import { checkVocabulary, decodeText, type Tokenizer, tokenizerFromGguf } from './index.ts';
import { loadTokenizer } from './node.ts';

const SHARED = join(import.meta.dirname, '../../../shared');
const MODELS = process.env.FARFIELD_MODELS ?? join(SHARED, 'models');
const TEXTS = process.env.FARFIELD_TEXTS ?? join(SHARED, 'texts');
const SMOLLM = join(MODELS, 'smollm2-135m-instruct');
const MINILM = join(MODELS, 'minilm-l6-v2');

interface Golden {
  tokens_in_text: number;
  sha256_of_int32_token_ids: string;
  tokenize: { text: string; ids: number[] }[];
  greedy: { dense: { ids: number[]; text: string } };
}

function readJson<T>(path: string): T {
  return JSON.parse(readFileSync(path, 'utf8')) as T;
}

function book(name: string): string {
  const file = join(TEXTS, name);
  return decodeText(readFileSync(file), file);
}

async function fromGguf(): Promise<Tokenizer> {
  const gguf = await openGguf(await fileSource(join(SMOLLM, 'model.gguf')));
  await gguf.close();
  return tokenizerFromGguf(gguf.metadata);
}

describe.skipIf(!existsSync(SMOLLM)).each([
  ['tokenizer.json', () => loadTokenizer(SMOLLM)],
  ['GGUF metadata', fromGguf],
])('SmolLM2 from %s', (_, load) => {
  let tokenizer: Tokenizer;
  let golden: Golden;
  beforeAll(async () => {
    tokenizer = await load();
    golden = readJson(join(SMOLLM, 'golden.json'));
  });

  it('gives the ids of every golden text', () => {
    expect(golden.tokenize.length).toBeGreaterThan(10);
    for (const { text, ids } of golden.tokenize) expect([text, [...tokenizer.encode(text)]]).toEqual([text, ids]);
  });

  it('decodes what it encodes, whole and as a stream', () => {
    for (const { text, ids } of golden.tokenize) {
      expect(tokenizer.decode(ids)).toBe(text);
      const stream = tokenizer.streamDecoder();
      const parts = ids.map((id) => stream.push(id));
      expect(parts.join('') + stream.flush()).toBe(text);
      // No part ends inside a character, so none has a replacement character that the text has not.
      if (!text.includes('\uFFFD')) expect(parts.join('')).not.toContain('\uFFFD');
    }
    expect(tokenizer.decode(golden.greedy.dense.ids, { skipSpecialTokens: true })).toBe(golden.greedy.dense.text);
  });

  it('leaves special tokens out where asked', () => {
    const ids = tokenizer.encode('<|im_start|>user\nHi<|im_end|>\n');
    expect(tokenizer.decode(ids, { skipSpecialTokens: true })).toBe('user\nHi\n');
  });

  it('has the size of the embedding', () => {
    expect(tokenizer.vocabularySize).toBe(49152);
    checkVocabulary(tokenizer, 49152);
    expect(() => checkVocabulary(tokenizer, 49151)).toThrow('ids up to 49151');
  });

  it.skipIf(!existsSync(TEXTS))('gives the ids of a whole book, at once and in pieces', async () => {
    const text = book('moby-dick.txt');
    const ids = tokenizer.encode(text);
    expect(ids.length).toBe(golden.tokens_in_text);
    expect(createHash('sha256').update(new Uint8Array(ids.buffer)).digest('hex')).toBe(
      golden.sha256_of_int32_token_ids,
    );
    const progress: number[] = [];
    const inPieces = await tokenizer.encodeInPieces(text, { onProgress: (done) => progress.push(done) });
    expect(inPieces).toEqual(ids);
    expect(progress.length).toBeGreaterThan(10);
    expect(progress.at(-1)).toBe(text.length);
    expect(tokenizer.decode(ids)).toBe(text);
  });
});

describe.skipIf(!existsSync(SMOLLM) || !existsSync(TEXTS))('SmolLM2 in pieces', () => {
  it('is the same for the second book', async () => {
    const tokenizer = await loadTokenizer(SMOLLM);
    const text = book('war-and-peace.txt');
    let pieces = 0;
    const inPieces = await tokenizer.encodeInPieces(text, { onProgress: () => pieces++ });
    expect(inPieces).toEqual(tokenizer.encode(text));
    expect(pieces).toBeGreaterThan(10);
  });
});

describe.skipIf(!existsSync(MINILM))('MiniLM, a WordPiece tokenizer', () => {
  it('gives the golden ids with [CLS] and [SEP]', async () => {
    const tokenizer = await loadTokenizer(MINILM);
    const { texts } = readJson<{ texts: string[] }>(join(MINILM, 'golden.json'));
    const golden = await openSafetensors(await fileSource(join(MINILM, 'golden.safetensors')));
    const padded = await golden.read('input_ids');
    const mask = toTypedArray(await golden.read('attention_mask'));
    const ids = toTypedArray(padded);
    const width = padded.shape[1] ?? 0;
    await golden.close();
    expect(padded.shape[0]).toBe(texts.length);
    for (const [row, text] of texts.entries()) {
      const at = row * width;
      const length = Number(Array.from(mask.subarray(at, at + width), Number).reduce((a, b) => a + b, 0));
      expect([...tokenizer.encode(text)]).toEqual(Array.from(ids.subarray(at, at + length), Number));
    }
  });

  it('lowers letter by letter, as the original does', async () => {
    // Ids that the Python package tokenizers 0.23.3 gives for these texts.
    const tokenizer = await loadTokenizer(MINILM);
    expect([...tokenizer.encode('ΣςαΑγγΣ')]).toEqual([101, 1173, 19579, 14608, 14608, 29721, 29721, 29733, 102]);
    expect([...tokenizer.encode('γΑΣ\t')]).toEqual([101, 1157, 14608, 29733, 102]);
  });

  it('streams the text that it decodes', async () => {
    const tokenizer = await loadTokenizer(MINILM);
    const ids = tokenizer.encode('A whale, unaffable and leviathanic; 3.14 naïve 日本.', { addSpecialTokens: false });
    const stream = tokenizer.streamDecoder();
    const text = [...ids].map((id) => stream.push(id)).join('') + stream.flush();
    expect(text).toBe(tokenizer.decode(ids));
    expect(text).toContain('whale, una');
  });

  it.skipIf(!existsSync(TEXTS))('gives the same ids in pieces, special tokens around the whole', async () => {
    const tokenizer = await loadTokenizer(MINILM);
    const text = book('moby-dick.txt');
    const ids = tokenizer.encode(text);
    expect([ids[0], ids.at(-1)]).toEqual([101, 102]);
    let pieces = 0;
    expect(await tokenizer.encodeInPieces(text, { onProgress: () => pieces++ })).toEqual(ids);
    expect(pieces).toBeGreaterThan(10);
  });
});
