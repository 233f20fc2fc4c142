export { checkExpression, checkScore, MAXIMUM_DEPTH, MAXIMUM_PARTS } from './check.ts';
export { type Derivatives, differentiate } from './differentiate.ts';
export { type ScorePair, scoreFunction } from './evaluate.ts';
export type {
  Binary,
  BinaryKind,
  Constant,
  Expression,
  Leaf,
  LeafKind,
  Lookup,
  Operand,
  Select,
  Unary,
  UnaryKind,
} from './expression.ts';
export * as expression from './expression.ts';
export { ExpressionGraph } from './graph.ts';
export type { ScoreModifier, ScoreParameter } from './modifier.ts';
export {
  additiveBias,
  alibi,
  alibiSlopes,
  composeScores,
  headScale,
  relativePositions,
  renameParameter,
  softcap,
  swinBias2d,
  type T5Options,
  type Table,
  t5Buckets,
} from './modifiers.ts';
