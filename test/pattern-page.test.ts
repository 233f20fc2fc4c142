/** docs/patterns.md: what it says of each pattern is so, and it is what the script writes. */
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { describe, expect, it } from 'vitest';
import { patternFiles, SECTIONS } from '../scripts/draw-patterns.ts';
import { compileMask, statistics } from '../src/mask/index.ts';
import { checkPatternFits, formatPattern, type Pattern, parsePattern } from '../src/pattern/index.ts';
import { FAMILY_KINDS } from '../src/pattern/kinds/registry.ts';

const root = fileURLToPath(new URL('..', import.meta.url));
const pages = SECTIONS.flatMap((section) => section.pages);

describe('docs/patterns.md', () => {
  it('is what scripts/draw-patterns.ts writes, with all pictures', () => {
    const files = patternFiles();
    for (const [path, content] of files) {
      const written = existsSync(`${root}${path}`) ? readFileSync(`${root}${path}`, 'utf8') : '';
      expect(written === content, `${path} is out of date: run node scripts/draw-patterns.ts`).toBe(true);
    }
    for (const name of readdirSync(`${root}docs/patterns`))
      expect([...files.keys()]).toContain(`docs/patterns/${name}`);
  });

  it.each(pages)(
    'counts the pairs of $name by its formula',
    ({ pattern, queries, keys = queries, heads = 1, pairs }) => {
      const mask = compileMask(pattern, { queries, keys, heads });
      expect(statistics(mask).pairsPerHead[heads - 1]).toBe(pairs);
      expect(parsePattern(formatPattern(pattern))).toEqual(pattern);
      if (keys === queries) checkPatternFits(pattern, queries);
    },
  );

  it.each(pages)('shows how $name is made', async ({ constructor: expression, pattern }) => {
    if (/ with /.test(expression)) return;
    const face = await import('../src/pattern/index.ts');
    const names = Object.keys(face);
    const made: unknown = new Function(...names, `return ${expression}`)(...Object.values(face));
    expect(made).toEqual(pattern);
  });

  it('has every kind', () => {
    const seen = new Set<string>();
    const visit = (pattern: Pattern): void => {
      seen.add(pattern.kind);
      if ('of' in pattern) for (const part of [pattern.of].flat()) visit(part);
      if (pattern.kind === 'perHead') for (const part of pattern.heads) visit(part);
    };
    for (const { pattern } of pages) visit(pattern);
    // sameCoordinate is what axial expands to, and has no constructor.
    for (const kind of FAMILY_KINDS.filter((kind) => kind !== 'sameCoordinate')) expect(seen).toContain(kind);
  });
});
