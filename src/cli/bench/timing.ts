export interface Timing {
  /** Median of the repeats. */
  readonly milliseconds: number;
  /** Each repeat. */
  readonly runs: readonly number[];
}

/**
 * Times contenders in one process, in turns: one run of each, `repeat` times, so that a slow minute of the machine meets
 * all of them. One run of each before that is not counted, unless `warmUps` is 0. `onRun` is told how many runs are done.
 */
export async function timeInTurns(
  contenders: readonly { run(signal: AbortSignal): Promise<unknown> }[],
  options: {
    readonly repeat: number;
    readonly signal: AbortSignal;
    readonly warmUps?: 0 | 1;
    readonly onRun?: (done: number) => void;
  },
): Promise<Timing[]> {
  const { repeat, signal, warmUps = 1, onRun } = options;
  const runs = contenders.map((): number[] => []);
  let done = 0;
  for (let round = -warmUps; round < repeat; round++) {
    for (const [i, contender] of contenders.entries()) {
      signal.throwIfAborted();
      const start = performance.now();
      await contender.run(signal);
      const milliseconds = performance.now() - start;
      if (round >= 0) runs[i]?.push(milliseconds);
      onRun?.(++done);
      // Lets Ctrl-C and the progress line in: a run of ONNX Runtime blocks the event loop.
      await new Promise((resolve) => setImmediate(resolve));
    }
  }
  return runs.map((own) => ({ milliseconds: median(own), runs: own }));
}

export function median(values: readonly number[]): number {
  const sorted = values.toSorted((a, b) => a - b);
  const middle = sorted.length >> 1;
  const [low = Number.NaN, high = Number.NaN] = [sorted[middle - 1 + (sorted.length & 1)], sorted[middle]];
  return (low + high) / 2;
}
