export { allows, type Pair } from './allows.ts';
export {
  axial,
  bigBird,
  blockBert,
  blockLocal,
  blockPermutation,
  blocks,
  neighbourhood,
  randomBlocks,
  randomTokens,
  shiftedWindows,
} from './build/blocks.ts';
export {
  type DeepSpeedBigBird,
  type DeepSpeedBSLongformer,
  type DeepSpeedFixed,
  type DeepSpeedLocalSlidingWindow,
  type DeepSpeedVariable,
  deepSpeedBigBird,
  deepSpeedBSLongformer,
  deepSpeedFixed,
  deepSpeedLocalSlidingWindow,
  deepSpeedVariable,
} from './build/deepspeed.ts';
export { ball, slidingTile } from './build/grids.ts';
export { type HybridHeads, hybridHeads, layerPattern, type PerLayer, perLayer } from './build/heads.ts';
export {
  aShape,
  columns,
  diagonals,
  documents,
  fixed,
  globalLocal,
  longT5Local,
  longT5TransientGlobal,
  ordered,
  prefixLm,
  rows,
  shift,
  strided,
  verticalSlash,
} from './build/sparse.ts';
export { checkPattern } from './check.ts';
export { causal, complement, dense, globalTokens, intersect, perHead, sinks, union, window } from './constructors.ts';
export { checkPatternFits } from './fits.ts';
export { formatPattern } from './format.ts';
export { distinctHeads, hasPerHead, headPattern } from './heads.ts';
export { parsePatternJson } from './json.ts';
export type { Ball } from './kinds/ball.ts';
export type { BlockLocal, BlockPermutation, Blocks } from './kinds/block.ts';
export type { AShape, PrefixLm, TransientGlobal, VerticalSlash } from './kinds/decoder.ts';
export type { Axial, Neighbourhood, ShiftedWindows } from './kinds/grid.ts';
export type { BigBird, RandomBlocks, RandomTokens } from './kinds/random.ts';
export type { Documents, Groups, Ordered, Shift } from './kinds/sequence.ts';
export type { Fixed, Strided } from './kinds/sparse-transformer.ts';
export type { Columns, Diagonals, Rows, SameCoordinate } from './kinds/stripes.ts';
export { parsePattern } from './parse.ts';
export type {
  Causal,
  Complement,
  Dense,
  Global,
  Intersect,
  Pattern,
  PerHead,
  Sinks,
  Union,
  Window,
} from './pattern.ts';
export { type KeyRange, keysVisibleLater, visibleLater } from './visibility.ts';
