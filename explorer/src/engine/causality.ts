import { patternBlocks, statistics } from '../../../src/mask/index.ts';
import { causal, complement, intersect, type Pattern } from '../../../src/pattern/index.ts';

/** Whether no query sees a later key. */
export function isCausal(pattern: Pattern, tokens: number, heads: number): boolean {
  const ahead = intersect(pattern, complement(causal()));
  return statistics(patternBlocks(ahead, { queries: tokens, keys: tokens, heads })).pairs === 0;
}
