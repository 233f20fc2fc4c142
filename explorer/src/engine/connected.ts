import {
  isCompiledMask,
  type LayersUntilConnected,
  layersUntilConnected,
  statistics,
} from '../../../src/mask/index.ts';
import type { Pattern } from '../../../src/pattern/index.ts';
import { blocksOf } from './block-limit.ts';
import { isCausal } from './causality.ts';

/**
 * As layersUntilConnected(). Where the blocks are too many to hold: one layer if that already joins all that can be joined;
 * undefined otherwise, which is not computed.
 */
export function connectedOf(pattern: Pattern, tokens: number, heads: number): LayersUntilConnected | undefined {
  const blocks = blocksOf(pattern, tokens, heads);
  if (isCompiledMask(blocks)) return layersUntilConnected(pattern, { length: tokens, heads });
  const { pairsPerHead } = statistics(blocks);
  const joinsAll = pairsPerHead.includes(tokens ** 2);
  const joinsAllBefore = pairsPerHead.includes((tokens * (tokens + 1)) / 2) && isCausal(pattern, tokens, heads);
  return joinsAll || joinsAllBefore ? { atLeast: 1, atMost: 1 } : undefined;
}
