export { BITMAP_WORDS, BLOCK_SIDE, type BlockMask, type BlockRows, FULL_BLOCK } from './block-mask.ts';
export { type CompileOptions, compileMask } from './compile.ts';
export { findBlock, isAllowed, MAX_DENSE_PAIRS, rowsOfHead, toDense } from './read.ts';
