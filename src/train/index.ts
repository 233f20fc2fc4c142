/** Changes weights: what can be trained, and what trains it. */
export type { Parameter, StepOptions, StepResult, Trainable, TrainingBatch } from './trainable.ts';
