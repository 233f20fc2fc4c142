/** Changes weights: what can be trained, and what trains it. */
export { type BuildOptions, type BuiltTraining, buildTraining } from './config/build.ts';
export { parseTrainConfig, type TrainConfig } from './config/config.ts';
export * from './data/index.ts';
export {
  type EvaluationEvent,
  parseLog,
  type SaveEvent,
  type SkipEvent,
  type StartEvent,
  type StepEvent,
  type TrainEvent,
} from './event.ts';
export { train } from './loop.ts';
export { drawLossCurve, type LossCurveOptions } from './loss-curve.ts';
export type { LossScaling } from './loss-scale.ts';
export { type AdafactorOptions, adafactor } from './optimizer/adafactor.ts';
export { type AdamWOptions, adamw } from './optimizer/adamw.ts';
export { decaysByDefault, type ParameterRule } from './optimizer/groups.ts';
export { type LionOptions, lion } from './optimizer/lion.ts';
export { type MuonOptions, muon } from './optimizer/muon.ts';
export type { Optimizer, OptimizerKind, OptimizerSettings, StateTensor } from './optimizer/optimizer.ts';
export { type SgdOptions, sgd } from './optimizer/sgd.ts';
export type { TrainOptions, TrainResult } from './options.ts';
export { type MemoryFolder, memoryFolder } from './save/memory-folder.ts';
export { saveFolder } from './save/open.ts';
export { savedWeights } from './save/save.ts';
export type { FileDigest, LogFile, SaveFolder, SaveWriter } from './save/save-folder.ts';
export { learningRateAt, type Schedule } from './schedule.ts';
export * from './tasks/index.ts';
export type { Parameter, StepOptions, StepResult, Trainable, TrainingBatch } from './trainable.ts';
