/** Reviews made by code, one token a byte: a stand-in for the Long Range Arena's text classification, whose reviews (IMDb) are not here. */
import { byteVocabulary } from '../../text/byte-vocabulary.ts';
import type { RandomStream } from '../data/random.ts';
import type { Generator } from './generated-set.ts';

const PRAISE = ['good', 'clever', 'moving', 'lively', 'superb', 'fresh', 'tender', 'bright'];
const BLAME = ['bad', 'clumsy', 'boring', 'lifeless', 'awful', 'stale', 'heartless', 'dull'];
const ASPECTS = [
  'plot',
  'acting',
  'music',
  'camera work',
  'dialogue',
  'ending',
  'pacing',
  'lighting',
  'script',
  'cast',
];
const VERBS = ['was', 'seemed', 'felt', 'looked'];

/** Sentences that judge. A is an aspect, V a verb, J the adjective that counts, K one that does not; `turned` ones mean the opposite of J. */
const JUDGEMENTS = [
  { text: 'The A V J.', turned: false },
  { text: 'To me the A V rather J.', turned: false },
  { text: 'The A V not J at all.', turned: true },
  { text: 'Nobody could call the A J.', turned: true },
  { text: 'I expected the A to be K, but it V J.', turned: false },
  { text: 'Some say the A V K. They are wrong; it V J.', turned: false },
] as const;

/** Sentences that do not. */
const REMARKS = [
  'I saw it on a Tuesday.',
  'It runs for two hours.',
  'The story is set in a small town by the sea.',
  'My neighbour came along.',
  'It was raining when we left.',
  'The director has made four others.',
];

export interface CountedReviewsOptions {
  /** Bytes of a review, each length from `shortest` to `longest` less a sentence. Defaults 1000 and 4000. */
  readonly shortest?: number;
  readonly longest?: number;
}

/** A judging sentence takes the side of the review with this chance. */
const AGREEMENT = 0.65;

/** A sentence is a remark with this chance. */
const REMARK = 0.3;

/**
 * The class is 1 where more sentences praise than blame, 0 where more blame; others are thrown away. To judge a sentence the words must be
 * read out of the bytes and turned where there is a negation, and all sentences count alike.
 */
export function countedReviews({ shortest = 1000, longest = 4000 }: CountedReviewsOptions = {}): Generator {
  return {
    name: `counted reviews of ${shortest} to ${longest} bytes`,
    classes: 2,
    vocabularySize: byteVocabulary.size,
    classificationToken: byteVocabulary.classification,
    maximumLength: longest,
    generate: (random) => {
      const label = random.integer(2);
      const length = shortest + random.integer(longest - shortest + 1);
      let text = '';
      let balance = 0;
      for (;;) {
        const { sentence, side } = drawSentence(random, label);
        if (text.length + 1 + sentence.length > length) break;
        text += text === '' ? sentence : ` ${sentence}`;
        balance += side;
      }
      if (balance === 0 || balance > 0 !== (label === 1)) return undefined;
      return { tokens: Int32Array.from(new TextEncoder().encode(text)), label };
    },
  };
}

/** `side` is 1 for praise, -1 for blame, 0 for a remark. */
function drawSentence(random: RandomStream, label: number): { sentence: string; side: number } {
  if (random.unit() < REMARK) return { sentence: pick(random, REMARKS), side: 0 };
  const agrees = random.unit() < AGREEMENT;
  const side = agrees === (label === 1) ? 1 : -1;
  const { text, turned } = pick(random, JUDGEMENTS);
  const adjectives = side > 0 !== turned ? PRAISE : BLAME;
  const others = random.integer(2) === 0 ? PRAISE : BLAME;
  const words: Record<string, string> = {
    A: pick(random, ASPECTS),
    V: pick(random, VERBS),
    J: pick(random, adjectives),
    K: pick(random, others),
  };
  return { sentence: text.replace(/\b[AVJK]\b/g, (letter) => words[letter]), side };
}

function pick<T>(random: RandomStream, list: readonly T[]): T {
  return list[random.integer(list.length)];
}
