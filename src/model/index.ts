/** One file per architecture: configuration and weights to a graph, and what reads with it. */

export type { Positions } from './decoder-pattern.ts';
export * from './encoder/index.ts';
export { createGpt, type GptConfig, type GptOptions, gptSpecifications } from './gpt.ts';
export { type GptCheckpointOptions, gptCheckpoint } from './gpt-checkpoint.ts';
export { gptAsLlama, type LlamaFiles } from './gpt-llama.ts';
export { type HeadModel, type HeadOutput, type HeadRunOptions, loadHeadModel } from './head-model.ts';
export { LanguageModel, type StreamOptions } from './language-model.ts';
export { LatestMatches, matchRows } from './latest-matches.ts';
export { type LlamaConfig, llamaConfigFromGguf, llamaConfigFromJson, type RotaryScaling } from './llama-config.ts';
export { createTrainableLlama, type TrainableLlamaOptions, trainableLlama } from './llama-trainable.ts';
export { type LoadLanguageModelOptions, loadLanguageModel, loadTrainable } from './load.ts';
export {
  applyLora,
  LORA_TARGETS,
  type LoraAdapter,
  type LoraOptions,
  loraConfigJson,
  mergeLora,
  readLora,
} from './lora.ts';
export { RowModel, type RowModelOptions, type RowModelParts } from './row-model.ts';
export * from './seq2seq/index.ts';
export { type ClassifierConfig, createClassifier, createMaskedModel } from './text-encoder.ts';
export { type ReadOptions, TokenStream } from './token-stream.ts';
export type { Parameter, StepOptions, StepResult, Trainable, TrainingBatch } from './trainable.ts';
export type { InitialWeights, TransformerConfig } from './transformer.ts';
export { createVit, type VitConfig } from './vit.ts';
