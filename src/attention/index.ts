export { attention, attentionGradients, createDevice, defaultDevice, dispose } from './attention.ts';
export { type CacheAttention, type CacheLayer, KeyValueCache } from './cache.ts';
export { type ReferenceResult, referenceAttention } from './reference.ts';
export type { AttentionGradients, AttentionOptions, AttentionResult, GradientOptions, Tensor } from './types.ts';
export { type DeviceOptions, WasmDevice } from './wasm/device.ts';
export type { Build } from './wasm/platform.ts';
