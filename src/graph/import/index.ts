/** ONNX files: read, searched for attention, rewritten with sparse attention, and run. */
export type { Unmatched } from './attention-match.ts';
export type { BatchAttentionNode } from './batch-attention.ts';
export {
  type BatchAttentionCallback,
  type BatchAttentionInputs,
  type BatchProgram,
  type CompileBatchOptions,
  compileBatchProgram,
} from './batch-program.ts';
export { type ExtendedPositions, extendPositions } from './extend-positions.ts';
export type { ByteRange } from './protobuf.ts';
export { type OnnxModel, type ReadOnnxOptions, readOnnx } from './read-onnx.ts';
export { type FoundAttention, type RewriteOptions, type Rewritten, rewriteAttention } from './rewrite.ts';
export { kernelAttention } from './run-attention.ts';
export { sparsifyGraph } from './sparsify-graph.ts';
export type { OpenExternal } from './tensor-proto.ts';
