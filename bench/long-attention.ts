/** One head of causal attention in a window with sinks, of any length: what length.ts times, and what it measures the memory of. */
import { createDevice, referenceAttention, type Tensor, type WasmDevice } from '../src/attention/index.ts';
import { fill } from '../src/cli/bench/problem.ts';
import type { BlockMask } from '../src/mask/index.ts';
import { causal, intersect, type Pattern, sinks, union, window } from '../src/pattern/index.ts';

export interface Shape {
  /** Keys before itself that a query sees. */
  readonly window: number;
  /** The first keys, which every query sees. */
  readonly sinks: number;
  /** D = E */
  readonly width: number;
  readonly threads: number;
}

export function patternOf(shape: Shape): Pattern {
  return intersect(union(sinks(shape.sinks), window(shape.window)), causal());
}

/** Queries, keys, values and output of one head, in the kernels' memory, so that no run copies them. */
export class LongAttention implements AsyncDisposable {
  readonly shape: Shape;
  readonly #device: WasmDevice;
  readonly #arrays: readonly [q: Float32Array, k: Float32Array, v: Float32Array, output: Float32Array];

  private constructor(shape: Shape, device: WasmDevice, longest: number) {
    this.shape = shape;
    this.#device = device;
    const array = () => device.allocate(longest * shape.width);
    this.#arrays = [array(), array(), array(), array()];
    for (const which of [0, 1, 2]) {
      const data = this.#arrays[which];
      const problem = { pattern: patternOf(shape), length: longest, heads: 1, width: shape.width, threads: 1 };
      if (data !== undefined) fill(data, which, problem, {});
    }
  }

  static async create(shape: Shape, longest: number): Promise<LongAttention> {
    return new LongAttention(shape, await createDevice({ threads: shape.threads }), longest);
  }

  get build(): string {
    return this.#device.build;
  }

  /** Attention over the first `mask.queries` tokens. */
  async run(mask: BlockMask, signal: AbortSignal): Promise<void> {
    const [q, k, v, output] = this.#arrays;
    const first = (data: Float32Array): Tensor => ({
      data: data.subarray(0, mask.queries * this.shape.width),
      shape: [1, 1, mask.queries, this.shape.width],
    });
    await this.#device.attention({ q: first(q), k: first(k), v: first(v), output: first(output), mask, signal });
  }

  /** Largest difference of one row of the last run from the float64 definition. */
  differenceFromDefinition(row: number): number {
    const { width } = this.shape;
    const [q, k, v, output] = this.#arrays;
    const keys = row + 1;
    const part = (data: Float32Array, from: number, rows: number): Tensor => ({
      data: data.subarray(from * width, (from + rows) * width),
      shape: [1, 1, rows, width],
    });
    const { output: exact } = referenceAttention({
      q: part(q, row, 1),
      k: part(k, 0, keys),
      v: part(v, 0, keys),
      pattern: patternOf(this.shape),
    });
    let worst = 0;
    for (let d = 0; d < width; d++) {
      worst = Math.max(worst, Math.abs((exact[d] ?? Number.NaN) - (output[row * width + d] ?? Number.NaN)));
    }
    return worst;
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.#device.dispose();
  }
}
