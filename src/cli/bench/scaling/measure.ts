import { createDevice, type Tensor } from '../../../attention/index.ts';
import { compileMask, statistics } from '../../../mask/index.ts';
import { fill } from '../problem.ts';
import { median } from '../timing.ts';
import type { Family } from './families.ts';
import { fitPower, type PowerFit } from './fit.ts';

export interface Point {
  readonly length: number;
  /** Median of the repeats, the mask compiled before. */
  readonly milliseconds: number;
  readonly runs: readonly number[];
  readonly compileMilliseconds: number;
  /** Over all heads: allowed, and in kept blocks. */
  readonly pairs: number;
  readonly computedPairs: number;
}

export interface Curve {
  readonly name: string;
  readonly order: string;
  readonly what: string;
  readonly points: readonly Point[];
  /** How the time, the allowed pairs and the pairs in kept blocks grow. */
  readonly time: PowerFit | null;
  readonly pairs: PowerFit | null;
  readonly computedPairs: PowerFit | null;
}

export interface MeasureOptions {
  readonly lengths: readonly number[];
  readonly heads: number;
  readonly width: number;
  readonly threads: number;
  readonly repeat: number;
  /** A longer text is left out where one run would be expected to take more than this. */
  readonly limitMilliseconds: number;
  readonly signal: AbortSignal;
  readonly onRun: (done: number) => void;
}

/**
 * Times attention over each family at each length: one device, the same made-up numbers for all families of a length, and
 * families in turns, so that a slow minute of the machine meets all of them. One run before those that count.
 */
export async function measureScaling(families: readonly Family[], options: MeasureOptions): Promise<Curve[]> {
  const { lengths, heads, width, threads, repeat, limitMilliseconds, signal, onRun } = options;
  const points = families.map((): Point[] => []);
  let done = 0;
  await using device = await createDevice({ threads });
  for (const length of lengths) {
    const shape = [1, heads, length, width] as const;
    const tensor = (): Tensor => ({ data: device.allocate(heads * length * width), shape });
    const [q, k, v, output] = [tensor(), tensor(), tensor(), tensor()];
    for (const [which, { data }] of [q, k, v].entries())
      fill(data, which, { heads, length, width, threads, pattern: { kind: 'dense' } }, {});
    const tasks = families.flatMap((family, f) => {
      if (expectedMilliseconds(points[f] ?? [], length, family) > limitMilliseconds) return [];
      const start = performance.now();
      const mask = compileMask(family.pattern(length), { queries: length, keys: length, heads });
      return [{ f, mask, compileMilliseconds: performance.now() - start, runs: [] as number[] }];
    });
    for (let round = -1; round < repeat; round++) {
      for (const { mask, runs } of tasks) {
        signal.throwIfAborted();
        const start = performance.now();
        await device.attention({ q, k, v, mask, output, signal });
        if (round >= 0) runs.push(performance.now() - start);
        onRun(++done);
      }
    }
    for (const { f, mask, compileMilliseconds, runs } of tasks) {
      const { pairs, computedPairs } = statistics(mask);
      points[f]?.push({ length, milliseconds: median(runs), runs, compileMilliseconds, pairs, computedPairs });
    }
    for (const { data } of [q, k, v, output]) device.release(data);
  }
  return families.map(({ name, order, what }, f) => {
    const own = points[f] ?? [];
    const growth = (of: (point: Point) => number): PowerFit | null =>
      fitPower(own.map((point) => ({ x: point.length, y: of(point) })));
    return {
      name,
      order,
      what,
      points: own,
      time: growth((point) => point.milliseconds),
      pairs: growth((point) => point.pairs),
      computedPairs: growth((point) => point.computedPairs),
    };
  });
}

/** The last time, grown as the square of the length at most. */
function expectedMilliseconds(points: readonly Point[], length: number, { order }: Family): number {
  const last = points.at(-1);
  if (last === undefined) return 0;
  const growth = length / last.length;
  return last.milliseconds * (order === 'n' ? growth : growth ** 2);
}
