import { createDevice, type Tensor, type WasmDevice } from '../../attention/index.ts';
import { compileMask, statistics } from '../../mask/index.ts';
import type { Pattern } from '../../pattern/index.ts';
import { type Candidate, costOf, type Shape } from './plan.ts';

/** The pattern and length that tell how fast the machine is. */
const CALIBRATION = { pattern: { kind: 'window', left: 256, right: 256 }, length: 4096 } as const;

/** Runs of one measurement that count, where they are short. A run this long, in milliseconds, stands for itself. */
const RUNS = 3;
const LONG_RUN = 300;

/** Most bytes of q, k, v and output of one measurement; WebAssembly memory ends at 4 GiB. */
const MAX_TENSOR_BYTES = 1.5 * 2 ** 30;

/** How long one layer takes, and how that is known. */
export interface LayerTime {
  readonly milliseconds: number;
  /** What was run. With fewer heads or tokens than asked for, the time is scaled by the pairs that kernels compute. */
  readonly heads: number;
  readonly length: number;
  readonly isScaled: boolean;
}

export interface MeasureOptions {
  readonly threads?: number;
  /** Most milliseconds that one run may be expected to take. Default 1500. */
  readonly limitMilliseconds?: number;
  readonly memoryBytes?: number;
  readonly signal?: AbortSignal;
}

/** Measures attention on this machine. Ends with dispose. */
export class Stopwatch implements AsyncDisposable {
  readonly #device: WasmDevice;
  readonly #width: number;
  readonly #options: MeasureOptions;
  /** Operations for each pair that is computed, per millisecond. */
  readonly #pairsPerMillisecond: number;

  private constructor(device: WasmDevice, width: number, options: MeasureOptions, pairsPerMillisecond: number) {
    this.#device = device;
    this.#width = width;
    this.#options = options;
    this.#pairsPerMillisecond = pairsPerMillisecond;
  }

  /** Starts the kernels and calibrates: the median of five runs of a window over 4,096 tokens. */
  static async start(width: number, options: MeasureOptions = {}): Promise<Stopwatch> {
    const device = await createDevice({ threads: options.threads });
    const { pattern, length } = CALIBRATION;
    const { milliseconds, computedPairs } = await time(device, pattern, { length, heads: 2, width }, 5, options.signal);
    return new Stopwatch(device, width, options, computedPairs / milliseconds);
  }

  get threads(): number {
    return this.#device.threads;
  }

  /** 4 D operations for each computed pair, in 10^9 per second. */
  get gigaflops(): number {
    return (this.#pairsPerMillisecond * 4 * this.#width) / 1e6;
  }

  /** The time of one layer from the calibration and the pairs that kernels compute. */
  predict({ computedPairs }: Pick<Candidate, 'computedPairs'>): number {
    return computedPairs / this.#pairsPerMillisecond;
  }

  /**
   * Runs one layer of a candidate; where layers differ each pattern, and the mean over the model's layers. What would take
   * too long or too much memory runs with fewer heads first, which keeps the length, then with fewer tokens.
   */
  async measure(candidate: Candidate, shape: Shape): Promise<LayerTime> {
    const distinct = candidate.patterns.filter((own, i, all) => all.findIndex((other) => same(own, other)) === i);
    const shares = distinct.map((own) => {
      let count = 0;
      for (let layer = 0; layer < shape.layers; layer++) {
        if (same(candidate.patterns[layer % candidate.patterns.length] ?? own, own)) count++;
      }
      return count / shape.layers;
    });
    const build = (pattern: number, length: number): Pattern => {
      const whole = candidate.recommendation.layers(length, candidate.size);
      return whole[candidate.patterns.findIndex((own) => same(own, distinct[pattern] ?? own))] ?? { kind: 'dense' };
    };
    let milliseconds = 0;
    let [heads, length] = [shape.heads, shape.length];
    for (const [i, own] of distinct.entries()) {
      const share = shares[i] ?? 0;
      if (share === 0) continue;
      const asked = costOf(own, shape).pattern.computedPairs;
      const fitting = this.#fit((n) => build(i, n), shape, asked, distinct.length);
      const timed = await time(this.#device, build(i, fitting.length), fitting, RUNS, this.#options.signal);
      milliseconds += share * timed.milliseconds * (asked / timed.computedPairs);
      heads = Math.min(heads, fitting.heads);
      length = Math.min(length, fitting.length);
    }
    return { milliseconds, heads, length, isScaled: heads < shape.heads || length < shape.length };
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.#device.dispose();
  }

  /** Fewer heads, then fewer tokens, until one run fits the limits. */
  #fit(build: (length: number) => Pattern, shape: Shape, asked: number, runs: number): Omit<Shape, 'layers'> {
    const { limitMilliseconds = 1500, memoryBytes = Infinity } = this.#options;
    const limit = limitMilliseconds / runs;
    const most = Math.min(MAX_TENSOR_BYTES, memoryBytes / 2);
    const { width } = shape;
    let { heads, length } = shape;
    let pairs = asked;
    const isTooMuch = (): boolean =>
      this.predict({ computedPairs: pairs }) > limit || 4 * heads * length * width * 4 > most;
    while (heads > 1 && isTooMuch()) {
      pairs *= (heads - 1) / heads;
      heads--;
    }
    while (length > 256 && isTooMuch()) {
      length = Math.ceil(length / 2);
      pairs = costOf(build(length), { length, heads, width }).pattern.computedPairs;
    }
    return { heads, length, width };
  }
}

function same(a: Pattern, b: Pattern): boolean {
  return a === b || JSON.stringify(a) === JSON.stringify(b);
}

/** The median of `repeat` runs, after one that does not count; of one long run alone, before which the kernels are warm anyway. */
async function time(
  device: WasmDevice,
  pattern: Pattern,
  { heads, length, width }: Omit<Shape, 'layers'>,
  repeat: number,
  signal?: AbortSignal,
): Promise<{ milliseconds: number; computedPairs: number }> {
  const mask = compileMask(pattern, { queries: length, keys: length, heads, length: Infinity });
  const shape = [1, heads, length, width] as const;
  const tensor = (): Tensor => ({ data: device.allocate(heads * length * width), shape });
  const [q, k, v, output] = [tensor(), tensor(), tensor(), tensor()];
  try {
    for (const [which, { data }] of [q, k, v].entries()) {
      // Numbers without a pattern the processor could like or dislike; their values do not change the time.
      for (let i = 0; i < data.length; i++) data[i] = (((i + which) * 40_503) % 2_001) / 1000 - 1;
    }
    const runs: number[] = [];
    for (let run = 0; run <= repeat; run++) {
      const start = performance.now();
      await device.attention({ q, k, v, mask, output, signal });
      runs.push(performance.now() - start);
      if (performance.now() - start > LONG_RUN) break;
    }
    if (runs.length > 1) runs.shift();
    const milliseconds = runs.sort((a, b) => a - b)[runs.length >> 1] ?? 0;
    return { milliseconds, computedPairs: statistics(mask).computedPairs };
  } finally {
    for (const { data } of [q, k, v, output]) device.release(data);
  }
}
