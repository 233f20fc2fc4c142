import { PatternError } from '../errors.ts';
import { checkFields } from './fields.ts';
import { definitionOf, FAMILY_KINDS, isFamily } from './kinds/registry.ts';
import type { Pattern } from './pattern.ts';
import { checkInteger, checkList, show } from './values.ts';

/** Deepest nesting of union, intersect and perHead that is accepted, from any source. */
export const MAX_PATTERN_DEPTH = 32;

/** Most parts (nodes of the tree) that one pattern may have. */
export const MAX_PATTERN_PARTS = 4096;

/**
 * Checks every parameter of a pattern that was built by hand, outside the constructors and the parsers.
 * Time proportional to the size of the pattern. Throws PatternError.
 */
export function checkPattern(pattern: Pattern): void {
  checkParts(pattern, '', 0, false, { parts: 0 });
}

function checkParts(pattern: Pattern, path: string, depth: number, perHead: boolean, count: { parts: number }): void {
  const name = (field: string): string => (path === '' ? `${pattern.kind} ${field}` : `${path}.${field}`);
  if (typeof pattern !== 'object' || pattern === null) {
    throw new PatternError(`${path === '' ? 'the pattern' : path} is ${show(pattern)}; it must be a pattern object`);
  }
  checkSize(depth, ++count.parts);
  switch (pattern.kind) {
    case 'dense':
    case 'causal':
      return;
    case 'window':
      checkInteger(name('left'), pattern.left);
      checkInteger(name('right'), pattern.right);
      if (pattern.dilation !== undefined) checkInteger(name('dilation'), pattern.dilation, 1);
      return;
    case 'sinks':
      checkInteger(name('count'), pattern.count);
      return;
    case 'global':
      checkPositions(name('positions'), pattern.positions);
      checkDirection(name('direction'), pattern.direction);
      return;
    case 'union':
    case 'intersect':
      checkList(name('of'), pattern.of, 1);
      for (const [i, part] of pattern.of.entries()) {
        checkParts(part, `${path === '' ? '' : `${path}.`}of[${i}]`, depth + 1, perHead, count);
      }
      return;
    case 'complement':
      checkParts(pattern.of, `${path === '' ? '' : `${path}.`}of`, depth + 1, perHead, count);
      return;
    case 'perHead':
      if (perHead) throw new PatternError(`${path} is a perHead inside another perHead; give each head one pattern`);
      checkList(name('heads'), pattern.heads, 1);
      for (const [i, part] of pattern.heads.entries()) {
        checkParts(part, `${path === '' ? '' : `${path}.`}heads[${i}]`, depth + 1, true, count);
      }
      return;
    default:
      if (isFamily(pattern)) {
        const definition = definitionOf(pattern);
        checkFields(pattern, definition.fields, name);
        definition.check?.(pattern, name);
        if (pattern.kind === 'shift') {
          checkParts(pattern.of, `${path === '' ? '' : `${path}.`}of`, depth + 1, perHead, count);
        }
        return;
      }
      throw new PatternError(
        `${path === '' ? 'kind' : `${path}.kind`} is ${show((pattern as { kind?: unknown }).kind)}; it must be one of ${PATTERN_KINDS.join(', ')}`,
      );
  }
}

/** Every value that `kind` of a pattern can have. */
export const PATTERN_KINDS = [
  'dense',
  'causal',
  'window',
  'sinks',
  'global',
  'union',
  'intersect',
  'complement',
  'perHead',
  ...FAMILY_KINDS,
] as const;

/** Every value that `direction` of global tokens can have. */
export const DIRECTIONS = ['both', 'keys', 'queries'] as const;

export function checkDirection(name: string, value: unknown): void {
  if (value !== undefined && !(DIRECTIONS as readonly unknown[]).includes(value)) {
    throw new PatternError(`${name} is ${show(value)}; it must be one of ${DIRECTIONS.join(', ')}`);
  }
}

export function checkPositions(name: string, positions: readonly number[]): void {
  checkList(name, positions);
  const bad = positions.findIndex((position) => !Number.isSafeInteger(position) || position < 0);
  if (bad >= 0) checkInteger(`${name}[${bad}]`, positions[bad]);
}

export function checkSize(depth: number, parts: number): void {
  if (depth > MAX_PATTERN_DEPTH) {
    throw new PatternError(`the pattern is nested more than ${MAX_PATTERN_DEPTH} deep`);
  }
  if (parts > MAX_PATTERN_PARTS) throw new PatternError(`the pattern has more than ${MAX_PATTERN_PARTS} parts`);
}
