import { countBitmap } from './bitmap.ts';
import { BITMAP_WORDS, BLOCK_SIDE, type BlockMask, FULL_BLOCK } from './block-mask.ts';
import { blocksOfHead, type PatternBlocks } from './pattern-blocks.ts';
import { findBlock, rowsOfHead } from './read.ts';

/** What a kept block holds: BITMAP_WORDS words from `start` on, and how many pairs that is. */
export interface BlockLook {
  readonly words: Uint32Array;
  readonly start: number;
  readonly pairs: number;
}

/** The look of every full block. */
export const FULL_LOOK: BlockLook = {
  words: new Uint32Array(BITMAP_WORDS).fill(0xffffffff),
  start: 0,
  pairs: BLOCK_SIDE * BLOCK_SIDE,
};

/** Takes key blocks [first, end) of one query block, which look alike. The look is not to be kept: its words may be used again. */
export type TakeBlocks = (first: number, end: number, look: BlockLook) => void;

/** The kept blocks of one head, whether they are stored or found when they are asked for. */
export interface BlockReader {
  /** Those among [from, to) of query block i, in ascending runs. */
  row(i: number, from: number, to: number, take: TakeBlocks): void;
}

/** Throws ArgumentError for a head that is not there, and for a refined mask: give its entry. */
export function readerOfHead(subject: BlockMask | PatternBlocks, head: number): BlockReader {
  return isCompiledMask(subject) ? maskReader(subject, head) : blocksOfHead(subject, head);
}

export function isCompiledMask(subject: BlockMask | PatternBlocks): subject is BlockMask {
  return 'bitmaps' in subject;
}

function maskReader(mask: BlockMask, head: number): BlockReader {
  const rows = rowsOfHead(mask, head);
  const looks: BlockLook[] = [];
  const lookOf = (index: number): BlockLook => {
    if (index === FULL_BLOCK) return FULL_LOOK;
    const start = index * BITMAP_WORDS;
    looks[index] ??= { words: mask.bitmaps, start, pairs: countBitmap(mask.bitmaps, start) };
    return looks[index];
  };
  return {
    row(i, from, to, take) {
      for (let e = from === 0 ? rows.rowStart[i] : findBlock(rows, i, from); e < rows.rowStart[i + 1]; e++) {
        const j = rows.column[e];
        if (j >= to) break;
        take(j, j + 1, lookOf(rows.bitmap[e]));
      }
    },
  };
}
