/** Started by training-memory.ts with a model and a checkpoint mode: takes a few steps, in a process that does only this. */

import { createDevice } from '../src/attention/index.ts';
import { peakResidentBytes } from '../src/cli/bench/peak-resident.ts';
import { type Checkpoint, createNodeBackend } from '../src/graph/index.ts';
import { createGpt, type TrainingBatch } from '../src/model/index.ts';
import { window } from '../src/pattern/index.ts';
import { finish, readJob } from './alone.ts';

export interface TrainingShape {
  readonly layers: number;
  readonly hidden: number;
  readonly heads: number;
  readonly tokens: number;
  readonly window: number;
  readonly threads: number;
}

export interface TrainingJob {
  readonly shape: TrainingShape;
  readonly checkpoint: Checkpoint;
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

const { shape, checkpoint, steps } = readJob<TrainingJob>();
const { layers, hidden, heads, tokens, threads } = shape;
await using device = await createDevice({ threads });
const backend = await createNodeBackend({ threads });
await using model = await createGpt(
  {
    vocabularySize: 256,
    hiddenSize: hidden,
    layers,
    heads,
    context: tokens,
    patterns: [window({ left: shape.window })],
  },
  { device, backend, checkpoint },
);
// Bytes with some order in them: each is a function of the one before and of its place.
const inputs = Int32Array.from({ length: tokens }, (_, i) => (i * i + (i >> 3)) % 251);
const batch: TrainingBatch = {
  inputs,
  targets: Int32Array.from(inputs, (_, i) => inputs[(i + 1) % tokens] as number),
  weights: new Float32Array(tokens).fill(1),
  starts: Int32Array.of(0),
};
const gradients = model.parameters.map(({ data }) => new Float32Array(data.length));
const startBytes = peakResidentBytes();
const milliseconds: number[] = [];
let loss = 0;
for (let step = 0; step <= steps; step++) {
  for (const gradient of gradients) gradient.fill(0);
  const before = performance.now();
  const result = await model.step(batch, gradients);
  if (step === 0) loss = result.loss;
  else milliseconds.push(performance.now() - before);
}
finish({
  milliseconds,
  startBytes,
  peakBytes: peakResidentBytes(),
  plannedBytes: 4 * model.floatsPerRow * tokens,
  loss,
} satisfies TrainingMemory);
