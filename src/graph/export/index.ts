/** Sparse models as ONNX files that stock runtimes run. */
export { type ExportedOnnx, type ExportOptions, exportOnnx, lowerGraph } from './export-onnx.ts';
export type { LowerOptions } from './heads-plan.ts';
export { type BatchOfRows, type NodeOfRows, withBatchAxis } from './rows-to-batch.ts';
