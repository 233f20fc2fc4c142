import * as farfield from 'farfield';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { expression, toCommand, toJson, toTypeScript } from '../../explorer/src/composer/code.ts';
import {
  changeAt,
  childrenOf,
  combine,
  move,
  negate,
  type Path,
  partAt,
  step,
} from '../../explorer/src/composer/edit.ts';
import { fieldsOf, startingParts, titleOf } from '../../explorer/src/composer/kinds.ts';
import { GALLERY } from '../../explorer/src/gallery/entries.ts';
import { allows } from '../../src/pattern/allows.ts';
import { arbitraryPattern } from '../../src/pattern/arbitrary.ts';
import { PATTERN_KINDS } from '../../src/pattern/check.ts';
import { checkPattern, formatPattern, type Pattern, parsePattern, parsePatternJson } from '../../src/pattern/index.ts';

/** What a line of code makes of the package's exports. */
function run(code: string, imports: Iterable<string>): unknown {
  const names = [...imports];
  const exports = new Map<string, unknown>(Object.entries(farfield));
  return new Function(...names, `return ${code};`)(...names.map((name) => exports.get(name)));
}

describe('what is taken away', () => {
  it('is code that makes the same data', () => {
    fc.assert(
      fc.property(arbitraryPattern(), (pattern) => {
        const imports = new Set<string>();
        const code = expression(pattern, imports);
        expect(run(`(${code})`, imports)).toEqual(pattern);
      }),
      { numRuns: 400 },
    );
  });

  it('is JSON and a command that read back as the same pattern', () => {
    fc.assert(
      fc.property(arbitraryPattern(), (pattern) => {
        const subject = { patterns: [pattern], tokens: 128, heads: 2 };
        expect(parsePatternJson(JSON.parse(toJson(subject)))).toEqual(pattern);
        const text = /--pattern (?:"([^"]*)"|'([^']*)')/.exec(toCommand(subject));
        expect(parsePattern(text?.[1] ?? text?.[2] ?? '')).toEqual(pattern);
      }),
    );
  });

  it('imports each name that it uses', () => {
    const patterns = [parsePattern('causal&(sinks:4+window:8)'), parsePattern('sameCoordinate(period=8,width=2)')];
    const code = toTypeScript({ patterns, tokens: 64, heads: 2 });
    expect(code).toContain(
      "import { attention, causal, intersect, layerPattern, perLayer, sinks, union, window } from 'farfield';",
    );
    const alone = toTypeScript({ patterns: patterns.slice(1), tokens: 64, heads: 2 });
    expect(alone).toContain("import { attention, type Pattern } from 'farfield';");
    expect(alone).toContain("const pattern: Pattern = { kind: 'sameCoordinate', period: 8, width: 2 };");
  });
});

describe("edits of a pattern's tree", () => {
  const pattern = parsePattern('causal&(sinks:4+window:8)');

  it('find, change and take out parts', () => {
    expect(partAt(pattern, [1, 1])).toEqual(parsePattern('window:8'));
    expect(partAt(pattern, [1, 7])).toBeUndefined();
    expect(changeAt(pattern, [1, 0], () => ({ kind: 'sinks', count: 9 }))).toEqual(
      parsePattern('causal&(sinks:9+window:8)'),
    );
    // A union of one part is that part.
    expect(changeAt(pattern, [1, 0], () => undefined)).toEqual(parsePattern('causal&window:8'));
    expect(changeAt(pattern, [], () => undefined)).toBeUndefined();
    expect(step(pattern, [1, 1], -1)).toEqual(parsePattern('causal&(window:8+sinks:4)'));
    expect(step(pattern, [1, 1], 1)).toEqual(pattern);
    expect(negate(negate(pattern))).toEqual(pattern);
  });

  it('move a part, but not into itself', () => {
    expect(move(pattern, [1, 0], [], 'union')).toEqual(parsePattern('causal&window:8+sinks:4'));
    expect(move(pattern, [0], [1], 'union')).toEqual(parsePattern('sinks:4+window:8+causal'));
    expect(move(pattern, [1], [1, 0], 'union')).toEqual(pattern);
    expect(move(pattern, [1], [1], 'union')).toEqual(pattern);
    expect(move(pattern, [], [1], 'union')).toEqual(pattern);
  });

  it('combine as the algebra says', () => {
    fc.assert(
      fc.property(arbitraryPattern(40, 20), arbitraryPattern(40, 20), fc.nat(60), fc.nat(60), (one, other, q, k) => {
        const pair = { head: 0, q, k };
        const both = [allows(one, pair), allows(other, pair)];
        expect(allows(combine(one, 'union', other), pair)).toBe(both[0] || both[1]);
        expect(allows(combine(one, 'intersect', other), pair)).toBe(both[0] && both[1]);
        if (one.kind !== 'perHead') {
          const heads = combine(one, 'perHead', other);
          expect(childrenOf(heads)[0]).toEqual(one);
        }
      }),
    );
  });

  it('leave a pattern that is well formed, whatever is moved where', () => {
    const paths = (part: Pattern, path: Path = []): Path[] => [
      path,
      ...childrenOf(part).flatMap((child, i) => paths(child, [...path, i])),
    ];
    fc.assert(
      fc.property(arbitraryPattern(), fc.nat(), fc.nat(), (any, from, to) => {
        const all = paths(any);
        const moved = move(any, all[from % all.length] ?? [], all[to % all.length] ?? [], 'intersect');
        checkPattern(moved);
      }),
    );
  });
});

describe('kinds', () => {
  it('each have a name, and those that are no composition one to begin with', () => {
    const compositions = ['union', 'intersect', 'complement', 'perHead'];
    for (const kind of PATTERN_KINDS) expect(titleOf(kind), kind).not.toBe(kind);
    for (const tokens of [16, 100, 2048]) {
      const parts = startingParts(tokens);
      for (const part of parts) {
        checkPattern(part);
        for (const [name, field] of fieldsOf(part)) {
          if (!field.optional) expect(part, `${part.kind} ${name}`).toHaveProperty(name);
        }
      }
      const kinds = new Set<string>(parts.map(({ kind }) => kind));
      expect(PATTERN_KINDS.filter((kind) => !kinds.has(kind) && !compositions.includes(kind))).toEqual([]);
    }
  });

  it('and entries of the gallery are patterns for their length, with names of their own', () => {
    const entries = GALLERY.flatMap(({ entries }) => entries);
    expect(new Set(entries.map(({ id }) => id)).size).toBe(entries.length);
    for (const { patterns, tokens, heads, id } of entries) {
      for (const text of patterns) expect(formatPattern(parsePattern(text)), id).toBe(text);
      expect(Number.isInteger(tokens) && tokens >= 16 && heads >= 1, id).toBe(true);
    }
    const shown = JSON.stringify(entries.flatMap(({ patterns }) => patterns.map((text) => parsePattern(text))));
    const missing = PATTERN_KINDS.filter((kind) => !shown.includes(`"kind":"${kind}"`));
    expect(missing).toEqual([]);
  });
});
