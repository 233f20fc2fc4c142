/** What train/ optimizes. Declared in model/, which implements it and stands below this layer. */
export type {
  Parameter,
  StepOptions,
  StepResult,
  Trainable,
  TrainingBatch,
} from '../model/trainable.ts';
