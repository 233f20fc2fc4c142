import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { tokenizerFromJson } from './hugging-face.ts';
import { tokenSpans } from './token-spans.ts';

const letters = 'abcdefghijklmnopqrstuvwxyz.,'.split('');
const pieces = ['[UNK]', '[MASK]', ...letters, ...letters.slice(0, 26).map((each) => `##${each}`), 'cafe', '##ing'];
const wordPiece = tokenizerFromJson({
  normalizer: {
    type: 'BertNormalizer',
    clean_text: true,
    handle_chinese_chars: true,
    strip_accents: null,
    lowercase: true,
  },
  pre_tokenizer: { type: 'BertPreTokenizer' },
  model: {
    type: 'WordPiece',
    vocab: Object.fromEntries(pieces.map((piece, i) => [piece, i])),
    unk_token: '[UNK]',
    continuing_subword_prefix: '##',
    max_input_chars_per_word: 100,
  },
  post_processor: null,
  decoder: { type: 'WordPiece', prefix: '##', cleanup: true },
  added_tokens: [{ id: 1, content: '[MASK]', special: true, rstrip: false }],
});

const plain = (text: string) => text.normalize('NFD').replaceAll(/\p{M}/gu, '').toLowerCase();

describe('tokenSpans', () => {
  it('finds changed words, unknown words and special tokens', () => {
    const text = 'Café  Going\n[MASK], 東 z.';
    const ids = wordPiece.encode(text, { addSpecialTokens: false });
    const parts = tokenSpans(wordPiece, text, ids).map(({ start, end }) => text.slice(start, end));
    expect(parts).toEqual(['Café', 'G', 'o', 'ing', '[MASK]', ',', '東', 'z', '.']);
  });

  it('gives every known token of any text the part that it was made of, in order', () => {
    const word = fc.stringMatching(/^[A-Za-zÉéü.,]{1,6}$/);
    fc.assert(
      fc.property(fc.array(fc.oneof(word, fc.constantFrom('☃', '[MASK]', '😀x'))), (words) => {
        const text = words.join(' ');
        const ids = wordPiece.encode(text, { addSpecialTokens: false });
        const spans = tokenSpans(wordPiece, text, ids);
        let last = 0;
        for (const [i, { start, end }] of spans.entries()) {
          expect(start).toBeGreaterThanOrEqual(last);
          last = end;
          const piece = pieces[ids[i] ?? -1] ?? '';
          if (piece !== '[UNK]') expect(plain(text.slice(start, end))).toBe(plain(piece.replace(/^##/, '')));
          else expect(text.slice(start, end)).toMatch(/^(☃|😀x)$/u);
        }
      }),
    );
  });
});
