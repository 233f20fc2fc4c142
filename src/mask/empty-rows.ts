import { BITMAP_WORDS, BLOCK_SIDE, type BlockMask, FULL_BLOCK } from './block-mask.ts';
import { rowsOfHead } from './read.ts';

/**
 * The query rows to which the mask allows no key in one head, ascending: attention's output for them is zeros. Time is proportional
 * to the kept blocks. Throws ArgumentError for a head that is not there.
 */
export function emptyRows(mask: BlockMask, head: number): number[] {
  const { rowStart, bitmap } = rowsOfHead(mask, head);
  const empty: number[] = [];
  for (let i = 0; i * BLOCK_SIDE < mask.queries; i++) {
    const blocks = bitmap.subarray(rowStart[i], rowStart[i + 1]);
    if (blocks.includes(FULL_BLOCK)) continue;
    const end = Math.min(BLOCK_SIDE, mask.queries - i * BLOCK_SIDE);
    for (let row = 0; row < end; row++) {
      if (!blocks.some((block) => hasKey(mask, block, row))) empty.push(i * BLOCK_SIDE + row);
    }
  }
  return empty;
}

function hasKey({ bitmaps }: BlockMask, block: number, row: number): boolean {
  const word = block * BITMAP_WORDS + 2 * row;
  return ((bitmaps[word] ?? 0) | (bitmaps[word + 1] ?? 0)) !== 0;
}
