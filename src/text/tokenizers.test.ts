/** Small vocabularies, for what the real ones do not show. */
import { describe, expect, it } from 'vitest';
import type { GgufValue } from '../checkpoint/index.ts';
import { TextError } from '../errors.ts';
import { tokenizerFromGguf, tokenizerFromJson } from './index.ts';

const TOKENS = ['<s>', '</s>', 'a', 'b', 'ab', 'Ġ', 'Ġab', 'Ã', '©', '<u>', '1', '11', 'Å', 'ħ', '__proto__'];
const MERGES = ['a b', 'Ġ ab', '1 1'];

function metadata(changes: Record<string, GgufValue | undefined> = {}): Map<string, GgufValue> {
  const all: Record<string, GgufValue | undefined> = {
    'tokenizer.ggml.model': 'gpt2',
    'tokenizer.ggml.pre': 'gpt-2',
    'tokenizer.ggml.tokens': TOKENS,
    'tokenizer.ggml.merges': MERGES,
    'tokenizer.ggml.token_type': TOKENS.map((token) => (token === '<u>' ? 4 : token.startsWith('<') ? 3 : 1)),
    'tokenizer.ggml.bos_token_id': 0,
    'tokenizer.ggml.eos_token_id': 1,
    'tokenizer.chat_template': '{{ x }}',
    ...changes,
  };
  return new Map(Object.entries(all).filter((pair): pair is [string, GgufValue] => pair[1] !== undefined));
}

const ids = (changes: Record<string, GgufValue | undefined>, text: string) => [
  ...tokenizerFromGguf(metadata(changes)).encode(text),
];

describe('tokenizerFromGguf', () => {
  it('reads special tokens and the template', () => {
    const tokenizer = tokenizerFromGguf(metadata());
    expect([tokenizer.bosToken, tokenizer.eosToken, tokenizer.chatTemplate]).toEqual([0, 1, '{{ x }}']);
    expect(tokenizer.vocabularySize).toBe(15);
    expect([...tokenizer.encode('ab ab<s>a<u>')]).toEqual([4, 6, 0, 2, 9]);
    expect(tokenizer.decode([4, 0, 9], { skipSpecialTokens: true })).toBe('ab<u>');
    expect(tokenizer.decode([])).toBe('');
    expect(() => tokenizer.decode([15])).toThrow('no token 15; the vocabulary has ids 0 to 14');
  });

  it('adds a first and a last token only where the metadata says so', async () => {
    expect(ids({}, 'a')).toEqual([2]);
    const both = { 'tokenizer.ggml.add_bos_token': true, 'tokenizer.ggml.add_eos_token': true };
    expect(ids({ 'tokenizer.ggml.add_bos_token': true }, 'a')).toEqual([0, 2]);
    expect(ids(both, 'a')).toEqual([0, 2, 1]);
    const tokenizer = tokenizerFromGguf(metadata(both));
    expect([...tokenizer.encode('a', { addSpecialTokens: false })]).toEqual([2]);
    const long = 'ab ab\u00e9 '.repeat(40_000);
    expect(await tokenizer.encodeInPieces(long)).toEqual(tokenizer.encode(long));
  });

  it('splits as tokenizer.ggml.pre says', () => {
    expect(ids({ 'tokenizer.ggml.pre': 'gpt-2' }, '1111')).toEqual([11, 11]);
    expect(ids({ 'tokenizer.ggml.pre': 'smollm' }, '1111')).toEqual([10, 10, 10, 10]);
    expect(ids({ 'tokenizer.ggml.pre': 'qwen2' }, '1111')).toEqual([10, 10, 10, 10]);
    expect(ids({ 'tokenizer.ggml.pre': 'llama-bpe' }, '1111')).toEqual([11, 10, 10]);
    expect(ids({ 'tokenizer.ggml.pre': undefined }, '1111')).toEqual([11, 10, 10]);
    expect(() => ids({ 'tokenizer.ggml.pre': 'kimi-k2' }, '')).toThrow(/"kimi-k2"; Farfield knows default, gpt-2/);
  });

  it('holds back the bytes of an incomplete character', () => {
    const stream = tokenizerFromGguf(metadata()).streamDecoder();
    expect([stream.push(7), stream.push(8), stream.push(2)]).toEqual(['', 'é', 'a']);
    expect([stream.push(7), stream.push(2), stream.push(7), stream.flush()]).toEqual(['', '\uFFFDa', '', '\uFFFD']);
  });

  it('refuses metadata that is not whole', () => {
    const failure = (changes: Record<string, GgufValue | undefined>) =>
      expect(() => tokenizerFromGguf(metadata(changes), 'm.gguf'));
    failure({ 'tokenizer.ggml.model': 'llama' }).toThrow('m.gguf: tokenizer.ggml.model is "llama"');
    failure({ 'tokenizer.ggml.tokens': undefined }).toThrow('no tokenizer.ggml.tokens');
    failure({ 'tokenizer.ggml.merges': [1, 2] }).toThrow('no tokenizer.ggml.merges');
    failure({ 'tokenizer.ggml.merges': ['ab'] }).toThrow('merge "ab" is not two tokens');
    failure({ 'tokenizer.ggml.tokens': ['a', 'a'] }).toThrow('tokens 0 and 1 are both "a"');
    failure({ 'tokenizer.ggml.token_type': [1] }).toThrow('a list of 15 numbers');
    failure({ 'tokenizer.ggml.eos_token_id': 15 }).toThrow('eos_token_id is 15, but there are 15 tokens');
    failure({ 'tokenizer.ggml.model': undefined }).toThrow(TextError);
  });
});

describe('tokenizerFromJson', () => {
  const definition = {
    pre_tokenizer: { type: 'ByteLevel', add_prefix_space: false, use_regex: true },
    model: { type: 'BPE', vocab: { a: 0, b: 1, ab: 2, Ġ: 3 }, merges: ['a b'] },
    decoder: { type: 'ByteLevel' },
    added_tokens: [{ id: 4, content: '<x>', special: true }],
  };

  it('reads a definition without its empty parts, and the configuration', () => {
    const config = { eos_token: { content: '<x>' }, chat_template: [{ name: 'default', template: 'T' }] };
    const tokenizer = tokenizerFromJson(definition, config);
    expect([...tokenizer.encode('ab a<x>')]).toEqual([2, 3, 0, 4]);
    expect([tokenizer.eosToken, tokenizer.bosToken, tokenizer.chatTemplate]).toEqual([4, undefined, 'T']);
    expect(tokenizer.vocabularySize).toBe(5);
    expect(tokenizer.decode([2, 3, 0])).toBe('ab a');
  });

  it('keeps spaces before punctuation when decoding bytes', () => {
    const vocab = { a: 0, Ġ: 1, '.': 2 };
    const tokenizer = tokenizerFromJson({ ...definition, model: { type: 'BPE', vocab, merges: [] }, added_tokens: [] });
    expect(tokenizer.decode(tokenizer.encode('a .'))).toBe('a .');
  });

  it('says what is wrong with a definition', () => {
    const failure = (json: unknown) => expect(() => tokenizerFromJson(json, {}, 't.json'));
    failure(7).toThrow('t.json: a tokenizer.json must be an object');
    failure({}).toThrow('no "model" with a "vocab"');
    failure({ ...definition, decoder: 'x' }).toThrow('"decoder" must be an object with a "type"');
    failure({ ...definition, added_tokens: [{ content: 'x' }] }).toThrow('needs a "content" and an "id"');
    failure({ ...definition, pre_tokenizer: { type: 'Nonsense' } }).toThrow(/t\.json: .*Nonsense/);
    failure({ ...definition, pre_tokenizer: { type: 'Nonsense' } }).toThrow(TextError);
    failure({ ...definition, model: { type: 'BPE', vocab: {} } }).toThrow(TextError);
  });

  it('refuses a character that has no token, where there is none for the unknown', () => {
    const wordPiece = { type: 'WordPiece', vocab: { a: 0 }, unk_token: '[UNK]', continuing_subword_prefix: '##' };
    const tokenizer = tokenizerFromJson({ model: wordPiece, pre_tokenizer: { type: 'WhitespaceSplit' } });
    expect(() => tokenizer.encode('a z')).toThrow('has no token for a part of the text');
  });

  it('stops when told to', async () => {
    const tokenizer = tokenizerFromJson(definition);
    const controller = new AbortController();
    const text = 'ab '.repeat(100_000);
    const seen: number[] = [];
    const encoding = tokenizer.encodeInPieces(text, {
      signal: controller.signal,
      onProgress: (done, total) => {
        expect(total).toBe(300_000);
        seen.push(done);
        if (seen.length === 2) controller.abort(new Error('enough'));
      },
    });
    await expect(encoding).rejects.toThrow('enough');
    expect(seen.length).toBe(2);
    await expect(tokenizer.encodeInPieces('a', { signal: AbortSignal.abort() })).rejects.toThrow();
    expect(await tokenizer.encodeInPieces(text)).toEqual(tokenizer.encode(text));
  });
});
