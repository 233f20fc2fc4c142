export { attention, attentionGradients, createDevice, defaultDevice, dispose } from './attention.ts';
export { type CacheAttention, type CacheLayer, type CacheOptions, KeyValueCache } from './cache.ts';
export type { Dropout } from './dropout.ts';
export { mergeAttention } from './merge.ts';
export { type ReferenceResult, referenceAttention } from './reference.ts';
export { type ReferenceGradients, referenceGradients } from './reference-gradients.ts';
export { referenceWeights } from './reference-weights.ts';
export {
  additiveBias,
  alibi,
  alibiSlopes,
  composeScores,
  type Expression,
  expression,
  headScale,
  relativePositions,
  renameParameter,
  type ScoreModifier,
  type ScoreParameter,
  softcap,
  swinBias2d,
  type T5Options,
  t5Buckets,
} from './score/index.ts';
export type { AttentionWeights, SparseWeights, WeightsOptions } from './sparse-weights.ts';
export { fromStorage, toStorage } from './storage.ts';
export type {
  AnyAttentionOptions,
  AnyGradientOptions,
  AttentionGradients,
  AttentionOptions,
  AttentionResult,
  Float16Numbers,
  GradientOptions,
  NumberArray,
  NumberType,
  Tensor,
} from './types.ts';
export { type DeviceOptions, WasmDevice } from './wasm/device.ts';
export type { Build } from './wasm/platform.ts';
export { attentionWeights } from './weights.ts';
