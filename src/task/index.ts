/** What a person asks for. */
export * from './advise/index.ts';
export * from './arena/index.ts';
export { type Answer, type AskOptions, type AskResult, ask } from './ask.ts';
export { type Classification, type ClassifyOptions, type ClassScore, classify } from './classify.ts';
export { type CompareOnnxOptions, compareOnnx, type OutputDifference } from './compare-onnx.ts';
export { type EmbedOptions, type EmbedResult, embed } from './embed.ts';
export { type Filling, type FillOptions, type FillResult, fill } from './fill.ts';
export { type GenerateOptions, type GenerateResult, generate, promptIds } from './generate.ts';
export { type Passage, type PassageOptions, surprisingPassages } from './passages.ts';
export { type PerplexityOptions, type PerplexityProgress, type PerplexityResult, perplexity } from './perplexity.ts';
export type { SamplingOptions } from './sampling.ts';
export { type SummarizeOptions, type SummarizeProgress, type Summary, summarize } from './summarize.ts';
export { type TaggedSpan, type TagOptions, tag } from './tag.ts';
