/** What the gallery shows: the patterns of docs/patterns.md, and what published models use. */

import { BLOCKS } from '../../../scripts/pattern-pages/blocks.ts';
import { COMPOSITIONS } from '../../../scripts/pattern-pages/compositions.ts';
import type { Section } from '../../../scripts/pattern-pages/page.ts';
import { SEQUENCE } from '../../../scripts/pattern-pages/sequence.ts';
import { formatPattern } from '../../../src/pattern/index.ts';
import { MODELS } from './models.ts';

export interface Entry {
  readonly id: string;
  readonly title: string;
  /** Where it comes from. */
  readonly source: string;
  /** What it says, in a line. */
  readonly says: string;
  /** A pattern for each layer in turn, in text form. */
  readonly patterns: readonly string[];
  readonly tokens: number;
  readonly heads: number;
}

export interface Group {
  readonly title: string;
  readonly entries: readonly Entry[];
}

/** A shape that the page has: as many keys as queries, and at least as many tokens as it shows. */
function fromPages({ title, pages }: Section): Group {
  return {
    title,
    entries: pages.map((page) => ({
      id: page.name,
      title: page.title,
      source: page.source,
      says: page.definition,
      patterns: [formatPattern(page.pattern)],
      tokens: Math.max(page.queries, page.keys ?? 0),
      heads: page.heads ?? 1,
    })),
  };
}

/** The one kind that docs/patterns.md has no page for. */
const SAME_COORDINATE: Entry = {
  id: 'same-coordinate',
  title: 'Same coordinate',
  source: 'a part of axial attention over more than two axes',
  says: 'floor((q mod period) / width) = floor((k mod period) / width)',
  patterns: ['sameCoordinate(period=24,width=6)'],
  tokens: 96,
  heads: 1,
};

export const GALLERY: readonly Group[] = [
  { title: 'Published models', entries: MODELS },
  ...[...SEQUENCE, ...BLOCKS, ...COMPOSITIONS].map(fromPages),
  { title: 'What others are made of', entries: [SAME_COORDINATE] },
];
