/**
 * Writes docs/patterns.md and its pictures from the code:
 *
 *     node scripts/draw-patterns.ts
 *
 * test/pattern-page.test.ts fails where they are not what this writes.
 */
import { mkdirSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { compileMask, drawSvg, statistics } from '../src/mask/index.ts';
import { formatPattern } from '../src/pattern/index.ts';
import { BLOCKS } from './pattern-pages/blocks.ts';
import { COMPOSITIONS } from './pattern-pages/compositions.ts';
import type { PatternPage } from './pattern-pages/page.ts';
import { SEQUENCE } from './pattern-pages/sequence.ts';

export const SECTIONS = [...SEQUENCE, ...BLOCKS, ...COMPOSITIONS];

/** Longest text form that the page shows in full. */
const LONGEST_TEXT = 150;

/** All files of the page, by path in the repository. */
export function patternFiles(): Map<string, string> {
  const files = new Map<string, string>();
  const lines = [
    '# Patterns',
    '',
    '<!-- Written by node scripts/draw-patterns.ts from scripts/pattern-pages/; change those. -->',
    '',
    'Which pairs (query q, key k) attend. A pattern is plain data, made by a constructor, read from its text form by',
    '`parsePattern` or from JSON by `parsePatternJson`; `allows(pattern, { head, q, k })` is its definition. In the text form `+`',
    'is a union, `&` an intersection, `!` a complement and `|` a list of heads: `causal & (sinks:4 + window:256)`.',
    'Positions count from 0. Every pattern compiles in time proportional to the blocks of 64 x 64 pairs that it keeps, but those',
    'on grids and of random tokens, which also take time for each query.',
    '',
    'The pictures show 96 queries downwards and 96 keys to the right, blue where a whole block is allowed.',
    '',
    '- `refineMask(mask, { lengths, padding, documents, globalTokens, prefixes, positions })` gives each batch entry a mask of',
    '  its own without compiling again.',
    '- `perLayer([...])` and `layerPattern(pattern, layer)` give each layer a pattern.',
    '- `patternFromCoo`, `patternFromCsr`, `patternFromBsr`, `patternFromDense` take explicit masks; `toCoo`, `toCsr`, `toBsr`,',
    '  `toDense` give them back. `compilePredicate((head, q, k) => ...)` asks a function about every pair: n^2 calls, no JSON.',
    '- `checkPatternFits(pattern, n)` says whether a grid, documents or positions are meant for n tokens; `compileMask` and',
    '  `attention` ask it, unless the length of the whole text is said to be unknown: `compileMask(pattern, { length: Infinity, ... })`.',
    '- `emptyRows(mask, head)` names the queries that see no key, to which attention gives zeros. Commands that run a model note such',
    '  tokens of `--pattern`, and refuse a pattern under which no token sees any, such as `!causal` in a decoder, which sees the past alone.',
    '',
  ];
  for (const { title, pages } of SECTIONS) {
    lines.push(`## ${title}`, '');
    for (const page of pages) {
      const { name, queries, keys = queries, heads = 1 } = page;
      const mask = compileMask(page.pattern, { queries, keys, heads });
      const head = heads - 1;
      const text = formatPattern(page.pattern);
      const pairs = statistics(mask).pairsPerHead[head] ?? 0;
      files.set(`docs/patterns/${name}.svg`, `${drawSvg(mask, { head, size: 240, title: page.title })}\n`);
      lines.push(...section(page, text, pairs), '');
    }
  }
  files.set('docs/patterns.md', lines.join('\n'));
  return files;
}

function section(page: PatternPage, text: string, pairs: number): string[] {
  const shown = text.length > LONGEST_TEXT ? `${text.slice(0, LONGEST_TEXT)}...` : text;
  return [
    `### ${page.title}`,
    '',
    `<img src="patterns/${page.name}.svg" alt="${page.title}" align="right" width="260">`,
    '',
    `${page.source}.`,
    '',
    `- allowed: \`${page.definition}\``,
    `- constructor: \`${page.constructor}\``,
    `- text: \`${shown}\``,
    `- pairs: ${page.count}; here ${pairs.toLocaleString('en-US')}`,
    '',
    '<br clear="right">',
  ];
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  const root = fileURLToPath(new URL('..', import.meta.url));
  for (const [path, content] of patternFiles()) {
    mkdirSync(dirname(join(root, path)), { recursive: true });
    writeFileSync(join(root, path), content);
  }
  process.stdout.write(`wrote docs/patterns.md and ${patternFiles().size - 1} pictures\n`);
}
