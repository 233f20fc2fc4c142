import { MemoryError } from '../../../src/errors.ts';
import { BLOCK_SIDE, compileMask } from '../../../src/mask/index.ts';
import type { Pattern } from '../../../src/pattern/index.ts';

/** Most kept blocks that the page holds: 320 MB, and three times that while they are found. */
export const MOST_BLOCKS = 40_000_000;
/** Up to this many tokens a mask of one head always fits. */
const ALWAYS = 2 ** 17;
const SLICES = 8;

/**
 * Throws MemoryError where a mask would keep more blocks than the page holds, before it is compiled: from the blocks of
 * some slices of queries, spread over the text.
 */
export function checkBlocks(pattern: Pattern, tokens: number, heads: number): void {
  if (tokens <= ALWAYS) return;
  let kept = 0;
  for (let slice = 0; slice < SLICES; slice++) {
    const queryOffset = Math.floor(((slice + 0.5) * tokens) / SLICES / BLOCK_SIDE) * BLOCK_SIDE;
    const options = { queries: BLOCK_SIDE, keys: tokens, queryOffset, heads, length: Infinity };
    for (const { column } of compileMask(pattern, options).rows) kept += column.length;
  }
  const blocks = (kept / SLICES) * Math.ceil(tokens / BLOCK_SIDE);
  if (blocks <= MOST_BLOCKS) return;
  const millions = (count: number): string => `${Math.round(count / 1e6).toLocaleString('en')} million`;
  throw new MemoryError(
    `At ${tokens.toLocaleString('en')} tokens this pattern keeps about ${millions(blocks)} blocks of ${BLOCK_SIDE} x ${BLOCK_SIDE} pairs, ` +
      `${(blocks * 8e-9).toFixed(1)} GB. This page holds ${millions(MOST_BLOCKS)}. Take fewer tokens, or a sparser pattern.`,
    blocks * 8,
    MOST_BLOCKS * 8,
  );
}
