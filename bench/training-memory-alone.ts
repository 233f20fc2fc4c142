/** Started by training-memory.ts with a model and a checkpoint mode: takes a few steps, in a process that does only this. */

import { createDevice, type NumberType } from '../src/attention/index.ts';
import { peakResidentBytes } from '../src/cli/bench/peak-resident.ts';
import { type Checkpoint, createNodeBackend } from '../src/graph/index.ts';
import { finish, readJob } from './alone.ts';
import { openTrainingStep, type TrainingShape } from './training-step.ts';

export type { TrainingShape };

export interface TrainingJob {
  readonly shape: TrainingShape;
  readonly checkpoint: Checkpoint;
  readonly precision: NumberType;
  /** Steps that count, after one that does not. */
  readonly steps: number;
}

export interface TrainingMemory {
  /** Of each step. */
  readonly milliseconds: readonly number[];
  /** Peak resident memory of the process, before the first step and in all. */
  readonly startBytes: number;
  readonly peakBytes: number;
  /** What the buffers of a step hold by their plan. */
  readonly plannedBytes: number;
  /** Of the first step; the same in every mode but for rounding. */
  readonly loss: number;
}

const { shape, checkpoint, precision, steps } = readJob<TrainingJob>();
const { threads } = shape;
await using device = await createDevice({ threads });
const backend = await createNodeBackend({ threads, memoryArena: true });
await using step = await openTrainingStep(shape, { device, backend, checkpoint, precision });
const startBytes = peakResidentBytes();
const milliseconds: number[] = [];
let loss = 0;
for (let i = 0; i <= steps; i++) {
  const before = performance.now();
  const result = await step.run();
  if (i === 0) loss = result.loss;
  else milliseconds.push(performance.now() - before);
}
finish({
  milliseconds,
  startBytes,
  peakBytes: peakResidentBytes(),
  plannedBytes: step.plannedBytes,
  loss,
} satisfies TrainingMemory);
