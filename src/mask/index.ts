export * from './analysis/index.ts';
export { arrangeMask } from './arrange/arrange.ts';
export type { OrderedRows, Pass } from './arrange/passes.ts';
export { BITMAP_WORDS, BLOCK_SIDE, type BlockMask, type BlockRows, FULL_BLOCK } from './block-mask.ts';
export {
  type BlockLook,
  type BlockReader,
  FULL_LOOK,
  isCompiledMask,
  readerOfHead,
  type TakeBlocks,
} from './block-reader.ts';
export { type CompileOptions, compileMask } from './compile.ts';
export { type CellGrid, cellGrid, squareGrid } from './density.ts';
export { drawPng } from './draw-png.ts';
export { drawSvg } from './draw-svg.ts';
export { drawText } from './draw-text.ts';
export { emptyRows } from './empty-rows.ts';
export {
  type Bsr,
  type Coo,
  type Csr,
  patternFromBsr,
  patternFromCoo,
  patternFromCsr,
  patternFromDense,
  patternFromMask,
  toBsr,
  toCoo,
  toCsr,
} from './explicit.ts';
export { type BlockCounts, blocksOfHead, HeadBlocks, type PatternBlocks, patternBlocks } from './pattern-blocks.ts';
export { compilePredicate, type PairPredicate } from './predicate.ts';
export { findBlock, isAllowed, MAX_DENSE_PAIRS, maskOfBatchEntry, rowsOfHead, toDense } from './read.ts';
export { type Refinement, refineMask } from './refine.ts';
export { type MaskStatistics, statistics } from './statistics.ts';
export { type BlockColumns, transpose } from './transpose.ts';
