import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { byteTokenizerFiles } from './byte-tokenizer.ts';
import { tokenizerFromJson } from './hugging-face.ts';

// Through JSON, as a reader of the files gets them.
const files = JSON.parse(JSON.stringify(byteTokenizerFiles())) as ReturnType<typeof byteTokenizerFiles>;
const tokenizer = tokenizerFromJson(files['tokenizer.json'], files['tokenizer_config.json']);

describe('byteTokenizerFiles', () => {
  it('gives the bytes of the UTF-8, after the token that ends documents', () => {
    fc.assert(
      fc.property(fc.string({ unit: 'grapheme', maxLength: 60 }), (text) => {
        expect([...tokenizer.encode(text)]).toEqual([256, ...new TextEncoder().encode(text)]);
        expect(tokenizer.decode(tokenizer.encode(text), { skipSpecialTokens: true })).toBe(text);
      }),
    );
  });

  it('has the ids of the byte vocabulary', () => {
    expect(tokenizer.vocabularySize).toBe(259);
    expect([tokenizer.bosToken, tokenizer.eosToken, tokenizer.maskToken]).toEqual([256, 256, 257]);
    expect([...tokenizer.encode('a<|end|>b<|class|>', { addSpecialTokens: false })]).toEqual([97, 256, 98, 258]);
  });

  it('decodes a stream byte by byte', () => {
    const decoder = tokenizer.streamDecoder();
    const pieces = [...new TextEncoder().encode('né')].map((byte) => decoder.push(byte));
    expect(pieces).toEqual(['n', '', 'é']);
  });
});
