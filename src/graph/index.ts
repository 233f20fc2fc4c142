export type { CompileOptions, DenseBackend, DenseSession, Feed, HostTensor, RowSource } from './backend.ts';
export { GraphBuilder, type OperatorSpecification } from './builder.ts';
export { canConcatRows, concatQuantized, concatRows } from './concat-weights.ts';
export * from './elementwise.ts';
export { compileProgram } from './executor.ts';
export * from './export/index.ts';
export * from './grad/index.ts';
export * from './import/index.ts';
export { expandLike, gatherElements, padZeros, scatterAdd, shapeOf, zeros, zerosLike } from './indexing.ts';
export * from './ir.ts';
export { type LinearOptions, linear } from './linear.ts';
export { addRmsNorm, layerNorm, type NormOptions, rmsNorm } from './normalization.ts';
export { type WriteOptions, writeOnnx } from './onnx-writer.ts';
export { createNodeBackend, type NodeBackendOptions } from './onnxruntime-node-backend.ts';
export { createWebBackend, type WebBackendOptions } from './onnxruntime-web-backend.ts';
export * from './operators.ts';
export { partition, type Stage } from './partition.ts';
export type {
  AttentionCallback,
  AttentionInputs,
  CompileProgramOptions,
  Program,
  ProgramOutputs,
  RunChunkOptions,
  RunOptions,
} from './program.ts';
export type { DenseWeight, QuantizedData, QuantizedWeight, Weight } from './quantized-weight.ts';
export { reduceMax, reduceMean, sumOver } from './reductions.ts';
export { type RotaryOptions, rotary, rotaryRows } from './rotary.ts';
export { type SparseAttentionOptions, sparseAttention, sparseAttentionWithLse } from './sparse-attention.ts';
