import { MemoryError } from '../../../src/errors.ts';
import { BLOCK_SIDE, type BlockMask, compileMask, type PatternBlocks, patternBlocks } from '../../../src/mask/index.ts';
import type { Pattern } from '../../../src/pattern/index.ts';

/** Most kept blocks that the page holds: 320 MB, and three times that while they are found. */
export const MOST_BLOCKS = 40_000_000;
/** Up to this many tokens a mask of one head always fits. */
const ALWAYS = 2 ** 17;
const SLICES = 8;

/** A mask, or where its blocks would be too many to hold, the pattern's blocks, found when they are asked for. */
export type Blocks = BlockMask | PatternBlocks;

/** Throws what compileMask throws, but for memory. */
export function blocksOf(pattern: Pattern, tokens: number, heads: number): Blocks {
  const options = { queries: tokens, keys: tokens, heads, length: Infinity };
  if (expectedBlocks(pattern, tokens, heads) > MOST_BLOCKS) return patternBlocks(pattern, options);
  try {
    return compileMask(pattern, options);
  } catch (error) {
    if (error instanceof MemoryError) return patternBlocks(pattern, options);
    throw error;
  }
}

/** Throws MemoryError where a mask would keep more than `most` blocks, before it is compiled. `what` needs them all. */
export function checkBlocks(pattern: Pattern, tokens: number, heads: number, most: number, what: string): void {
  const blocks = expectedBlocks(pattern, tokens, heads);
  if (blocks <= most) return;
  const millions = (count: number): string => `${Math.round(count / 1e6).toLocaleString('en')} million`;
  throw new MemoryError(
    `${what} needs every block of the mask, and at ${tokens.toLocaleString('en')} tokens this pattern keeps about ${millions(blocks)} ` +
      `of them; this page works on up to ${millions(most)}. Take fewer tokens, or a sparser pattern.`,
    blocks * 8,
    most * 8,
  );
}

/** Kept blocks of all distinct heads, from some slices of queries that are spread over the text; 0 where they are few in any case. */
function expectedBlocks(pattern: Pattern, tokens: number, heads: number): number {
  if (tokens <= ALWAYS) return 0;
  let kept = 0;
  for (let slice = 0; slice < SLICES; slice++) {
    const queryOffset = Math.floor(((slice + 0.5) * tokens) / SLICES / BLOCK_SIDE) * BLOCK_SIDE;
    const options = { queries: BLOCK_SIDE, keys: tokens, queryOffset, heads, length: Infinity };
    for (const { column } of compileMask(pattern, options).rows) kept += column.length;
  }
  return (kept / SLICES) * Math.ceil(tokens / BLOCK_SIDE);
}
