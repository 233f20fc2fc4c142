import { describe, expect, it } from 'vitest';
import { byteVocabulary } from '../../text/byte-vocabulary.ts';
import { randomStream } from '../data/random.ts';
import { countedReviews } from './counted-reviews.ts';
import type { Generator } from './generated-set.ts';
import { sharedSubject } from './shared-subject.ts';

interface Sample {
  readonly text: string;
  readonly label: number;
}

/** Sequences as text; the end of a document is a NUL. */
function samples(generator: Generator, count: number): Sample[] {
  const found: Sample[] = [];
  for (let draw = 0; found.length < count; draw++) {
    const sequence = generator.generate(randomStream(8, draw));
    if (sequence === undefined) continue;
    const text = String.fromCharCode(
      ...sequence.tokens.map((token) => (token === byteVocabulary.documentEnd ? 0 : token)),
    );
    expect(text).toMatch(/^[\0 -~]*$/);
    expect(text.length).toBeLessThanOrEqual(generator.maximumLength);
    found.push({ text, label: sequence.label });
  }
  return found;
}

function expectFair(all: readonly Sample[]): void {
  const ones = all.filter(({ label }) => label === 1).length;
  expect(Math.abs(ones - all.length / 2)).toBeLessThan(4 * Math.sqrt(all.length / 4));
}

describe('counted reviews', () => {
  const all = samples(countedReviews(), 400);

  /** Each sentence's judgement, from its words. */
  function judge(text: string): number {
    const good = new Set(['good', 'clever', 'moving', 'lively', 'superb', 'fresh', 'tender', 'bright']);
    const bad = new Set(['bad', 'clumsy', 'boring', 'lifeless', 'awful', 'stale', 'heartless', 'dull']);
    let balance = 0;
    for (const sentence of text.split(/(?<=\.) (?!They are wrong)/)) {
      const opinions = sentence.split(/[ .,;]+/).filter((word) => good.has(word) || bad.has(word));
      if (opinions.length === 0) continue;
      // What was expected and what others say does not count: the last word does.
      const praises = good.has(opinions[opinions.length - 1]);
      const isTurned = /\bnot\b|^Nobody/.test(sentence);
      balance += praises !== isTurned ? 1 : -1;
    }
    return balance;
  }

  it('have the label that reading the sentences gives', () => {
    for (const { text, label } of all) expect(judge(text) > 0 ? 1 : 0).toBe(label);
    for (const { text } of all) expect(judge(text)).not.toBe(0);
  });

  it('are fair, and as long as they should be', () => {
    expectFair(all);
    const lengths = all.map(({ text }) => text.length);
    // The longest sentence is about 80 bytes.
    expect(Math.min(...lengths)).toBeGreaterThan(900);
    expect(Math.max(...lengths)).toBeGreaterThan(3800);
  });

  it('are not solved by counting words without reading the sentences', () => {
    const words = all.filter(({ text, label }) => {
      const good = text.match(/\b(good|clever|moving|lively|superb|fresh|tender|bright)\b/g)?.length ?? 0;
      const bad = text.match(/\b(bad|clumsy|boring|lifeless|awful|stale|heartless|dull)\b/g)?.length ?? 0;
      return (good > bad ? 1 : 0) === label;
    });
    expect(words.length / all.length).toBeLessThan(0.9);
  });
});

describe('shared subject', () => {
  const all = samples(sharedSubject(), 300);

  /** How often each word with a capital comes. */
  function terms(document: string): Map<string, number> {
    const counts = new Map<string, number>();
    for (const [term] of document.matchAll(/[A-Z][a-z]+/g)) counts.set(term, (counts.get(term) ?? 0) + 1);
    return counts;
  }

  it('has the label that counting the terms gives, with two terms in common in either class', () => {
    for (const { text, label } of all) {
      const documents = text.split('\0');
      expect(documents).toHaveLength(2);
      const [first, second] = documents.map(terms);
      const most = (counts: Map<string, number>): string[] => {
        const top = Math.max(...counts.values());
        return [...counts.keys()].filter((term) => counts.get(term) === top);
      };
      expect(most(first)).toHaveLength(1);
      expect(most(second)).toHaveLength(1);
      expect(most(first)[0] === most(second)[0] ? 1 : 0).toBe(label);
      expect([...first.keys()].filter((term) => second.has(term))).toHaveLength(2);
      expect([first.size, second.size]).toEqual([6, 6]);
    }
  });

  it('is fair, and each document has from half to all of the length', () => {
    expectFair(all);
    for (const { text } of all) {
      for (const document of text.split('\0')) {
        expect(document.length).toBeLessThanOrEqual(4000);
        expect(document.length).toBeGreaterThan(1900);
      }
    }
  });
});
