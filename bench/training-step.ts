/** One training step of a byte-level decoder, for the benchmarks of training. */
import type { RowModelOptions, StepResult, TrainingBatch } from '../src/model/index.ts';
import { createGpt } from '../src/model/index.ts';
import { dense, window } from '../src/pattern/index.ts';

export interface TrainingShape {
  readonly layers: number;
  readonly hidden: number;
  readonly heads: number;
  readonly tokens: number;
  /** Keys before itself that a query sees. Default: all. */
  readonly window?: number | undefined;
  readonly threads: number;
}

export interface TrainingStep extends AsyncDisposable {
  /** What the buffers of a step hold by their plan. */
  readonly plannedBytes: number;
  /** Loss and gradients of the one batch; the weights stay as they are. */
  run(signal?: AbortSignal): Promise<StepResult>;
}

export async function openTrainingStep(shape: TrainingShape, options: RowModelOptions): Promise<TrainingStep> {
  const { layers, hidden, heads, tokens } = shape;
  const model = await createGpt(
    {
      vocabularySize: 256,
      hiddenSize: hidden,
      layers,
      heads,
      context: tokens,
      patterns: [shape.window === undefined ? dense() : window({ left: shape.window })],
    },
    options,
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
  return {
    plannedBytes: model.bytesPerRow * tokens,
    run(signal) {
      for (const gradient of gradients) gradient.fill(0);
      return model.step(batch, gradients, signal === undefined ? {} : { signal });
    },
    [Symbol.asyncDispose]: () => model.dispose(),
  };
}
