import { counted } from '../counted.ts';
import { PatternError } from '../errors.ts';
import { checkPattern } from './check.ts';
import { definitionOf } from './kinds/registry.ts';
import type { Pattern } from './pattern.ts';

/**
 * Checks that a pattern is meant for a text of `length` tokens, all at hand: a grid has that many cells, documents and lists
 * of ids that many tokens, global positions and columns lie within. `length` Infinity: a text whose length is not known, for which
 * every pattern is. Throws PatternError with the reason.
 */
export function checkPatternFits(pattern: Pattern, length: number): void {
  checkPattern(pattern);
  if (length !== Infinity) checkPart(pattern, length);
}

function checkPart(pattern: Pattern, length: number): void {
  switch (pattern.kind) {
    case 'union':
    case 'intersect':
      for (const part of pattern.of) checkPart(part, length);
      return;
    case 'perHead':
      for (const part of pattern.heads) checkPart(part, length);
      return;
    case 'complement':
      checkPart(pattern.of, length);
      return;
    case 'global':
    case 'verticalSlash': {
      const positions = pattern.kind === 'global' ? pattern.positions : pattern.vertical;
      const bad = positions.find((position) => position >= length);
      if (bad !== undefined) {
        throw new PatternError(
          `${pattern.kind} has position ${bad}; the text has ${counted(length, 'token')}, 0 to ${length - 1}`,
        );
      }
      return;
    }
    case 'dense':
    case 'causal':
    case 'window':
    case 'sinks':
    case 'shift':
      return;
    default: {
      const own = definitionOf(pattern).length?.(pattern);
      if (own !== undefined && own !== length) {
        const what =
          'grid' in pattern ? `a grid of ${pattern.grid.join(' x ')} = ${counted(own, 'cell')}` : counted(own, 'token');
        throw new PatternError(`${pattern.kind} is for ${what}; the text has ${counted(length, 'token')}`);
      }
    }
  }
}
