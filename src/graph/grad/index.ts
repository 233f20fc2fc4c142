/** Reverse-mode differentiation of graphs, and the executor of training steps. */
export type { AttentionGradientRows, AttentionPass, AttentionRows } from './attention-pass.ts';
export { type DifferentiateOptions, differentiate, gradientOf, partOf } from './differentiate.ts';
export { PackedAttention } from './packed-attention.ts';
export {
  type CompileTrainingOptions,
  compileTraining,
  type PassOptions,
  type StepPassOptions,
  type TrainingProgram,
} from './training-program.ts';
export type { Checkpoint } from './training-stages.ts';
export { weightsAsInputs } from './weights.ts';
