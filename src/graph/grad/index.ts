/** Reverse-mode differentiation of graphs, and the executor of training steps. */
export {
  type AttentionGradientRows,
  type AttentionPass,
  type AttentionRows,
  floatGradientRows,
  floatRows,
} from './attention-pass.ts';
export { type DifferentiateOptions, differentiate, gradientOf, partOf } from './differentiate.ts';
export { PackedAttention } from './packed-attention.ts';
export type { Convert, StoredNumbers, StoredRows } from './row-storage.ts';
export type { CompileTrainingOptions, PassOptions, StepPassOptions, TrainingProgram } from './training-options.ts';
export { compileTraining } from './training-program.ts';
export type { Checkpoint } from './training-stages.ts';
export { weightsAsInputs } from './weights.ts';
