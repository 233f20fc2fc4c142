/**
 * The corrected pre-tokenizers against the original implementation: pre-tokenizers.golden.json holds what the Rust library gives
 * (`pre_tokenize_str` of its Python package).
 */
import { Tokenizer as Library } from '@huggingface/tokenizers';
import { describe, expect, it } from 'vitest';
import type { Step } from './definition.ts';
import golden from './pre-tokenizers.golden.json' with { type: 'json' };
import { breaksAfterLetters, correctPreTokenizer, isolate } from './pre-tokenizers.ts';

const cases: [string, { step: Step; pieces: string[][] }][] = Object.entries(golden.cases);

function preTokenize(step: Step, text: string): string[] {
  const definition = {
    normalizer: null,
    pre_tokenizer: step,
    model: { type: 'BPE', vocab: {}, merges: [] },
    post_processor: null,
    decoder: null,
    added_tokens: [],
  };
  return new Library(definition, {}).pre_tokenizer?.pre_tokenize(text) ?? [];
}

describe('correctPreTokenizer', () => {
  it.each(cases)('%s: the pieces of the original', (_, { step, pieces }) => {
    const corrected = correctPreTokenizer(step);
    for (const [i, text] of golden.texts.entries()) {
      expect([text, preTokenize(corrected, text).filter((piece) => piece !== '')]).toEqual([text, pieces[i]]);
    }
  });

  it('refuses a behaviour that it cannot express', () => {
    const step = { ...isolate('a'), behavior: 'MergedWithNext', invert: true };
    expect(() => correctPreTokenizer(step)).toThrow('"MergedWithNext" with invert is not supported');
    expect(() => correctPreTokenizer({ type: 'Split', pattern: {} })).toThrow('needs a pattern');
  });
});

describe('breaksAfterLetters', () => {
  it.each(cases)('%s: where it says so, a cut after a letter changes nothing', (_, { step }) => {
    const corrected = correctPreTokenizer(step);
    if (!breaksAfterLetters(corrected)) return;
    const texts = [...golden.texts, "I'm\n\n a\tb  c 'll d\r\ne 12 f", 'x  y \n z'];
    for (const text of texts) {
      for (const { index } of text.matchAll(/[A-Za-z](?=[ \t\r\n])/g)) {
        const parts = [text.slice(0, index + 1), text.slice(index + 1)];
        expect(parts.flatMap((part) => preTokenize(corrected, part))).toEqual(preTokenize(corrected, text));
      }
    }
  });

  it('says so for the widespread ones, and not for the others', () => {
    const yes = cases.filter(([, { step }]) => breaksAfterLetters(correctPreTokenizer(step))).map(([name]) => name);
    expect(yes).toEqual(['gpt2 bytes', 'digits apart', 'llama3', 'qwen2']);
    expect(breaksAfterLetters({ type: 'BertPreTokenizer' })).toBe(true);
    expect(breaksAfterLetters({ type: 'Metaspace' })).toBe(false);
    expect(breaksAfterLetters(null)).toBe(false);
  });
});
