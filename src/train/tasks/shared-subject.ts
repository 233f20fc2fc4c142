/** Pairs of documents made by code: a stand-in for the Long Range Arena's document retrieval, whose papers (AAN) are not here. */
import { byteVocabulary } from '../../text/byte-vocabulary.ts';
import type { RandomStream } from '../data/random.ts';
import type { Generator } from './generated-set.ts';

const SYLLABLES = [
  'ka',
  'to',
  'ri',
  'mel',
  'dun',
  'vo',
  'sha',
  'len',
  'pi',
  'gor',
  'ne',
  'fal',
  'zu',
  'bri',
  'os',
  'qui',
];

/** T is a term, the only word with a capital. */
const SENTENCES = [
  'we describe T in some detail.',
  'the figures for T are given in the second table.',
  'earlier work on T came to the same result.',
  'a simple account of T is missing so far.',
  'in our tests T behaves as the theory says.',
  'it is not clear how T depends on the temperature.',
];

const FILLERS = [
  'the rest of this paper is organised as follows.',
  'all measurements were repeated three times.',
  'we thank two readers for their remarks.',
  'the proof is by induction and is left to the appendix.',
  'more examples can be found at the end.',
  'details of the method do not matter here.',
];

/** A document's subject is named this many times, its other terms fewer. */
const SUBJECT_TIMES = [6, 7, 8, 9];
const OTHER_TIMES = [1, 2, 3, 4];

/** Terms of a document beside its subject. */
const OTHERS = 5;

export interface SharedSubjectOptions {
  /** Bytes of each document at most; a document has at least half of it. Default 4000. */
  readonly longest?: number;
}

/**
 * The class is 1 where both documents have the same subject, the term that each names most often. In either class the documents have
 * exactly two terms in common: where the subjects differ, each is a minor term of the other document. The sequence is the first
 * document, the byte vocabulary's document end, and the second document.
 */
export function sharedSubject({ longest = 4000 }: SharedSubjectOptions = {}): Generator {
  return {
    name: `shared subject, 2 documents of ${longest} bytes`,
    classes: 2,
    vocabularySize: byteVocabulary.size,
    classificationToken: byteVocabulary.classification,
    maximumLength: 2 * longest + 1,
    generate: (random) => {
      const label = random.integer(2);
      const terms = drawTerms(random, 2 * OTHERS);
      const [subject, other, ...minor] = terms;
      const mine = minor.slice(0, OTHERS - 1);
      const yours = minor.slice(OTHERS - 1, 2 * OTHERS - 2);
      const first = drawDocument(random, subject, [other, ...mine], longest);
      const second =
        label === 1
          ? drawDocument(random, subject, [other, ...yours], longest)
          : drawDocument(random, other, [subject, ...yours], longest);
      if (first === undefined || second === undefined) return undefined;
      const tokens = new Int32Array(first.length + 1 + second.length);
      tokens.set(first);
      tokens[first.length] = byteVocabulary.documentEnd;
      tokens.set(second, first.length + 1);
      return { tokens, label };
    },
  };
}

/** Different invented words with a capital. */
function drawTerms(random: RandomStream, count: number): string[] {
  const terms = new Set<string>();
  while (terms.size < count) {
    const word = Array.from({ length: 3 }, () => SYLLABLES[random.integer(SYLLABLES.length)]).join('');
    terms.add(word[0].toUpperCase() + word.slice(1));
  }
  return [...terms];
}

function drawDocument(
  random: RandomStream,
  subject: string,
  others: readonly string[],
  longest: number,
): Uint8Array | undefined {
  const sentences: string[] = [];
  const name = (term: string, times: readonly number[]): void => {
    for (let left = times[random.integer(times.length)]; left > 0; left--) {
      sentences.push(SENTENCES[random.integer(SENTENCES.length)].replace('T', term));
    }
  };
  name(subject, SUBJECT_TIMES);
  for (const term of others) name(term, OTHER_TIMES);
  const length = Math.ceil(longest / 2) + random.integer(Math.floor(longest / 2) + 1);
  let used = sentences.reduce((sum, sentence) => sum + sentence.length + 1, -1);
  for (;;) {
    const filler = FILLERS[random.integer(FILLERS.length)];
    if (used + filler.length + 1 > length) break;
    sentences.push(filler);
    used += filler.length + 1;
  }
  if (used > longest) return undefined;
  shuffle(random, sentences);
  return new TextEncoder().encode(sentences.join(' '));
}

function shuffle<T>(random: RandomStream, list: T[]): void {
  for (let last = list.length - 1; last > 0; last--) {
    const chosen = random.integer(last + 1);
    const entry = list[chosen];
    list[chosen] = list[last];
    list[last] = entry;
  }
}
