import type { ReaderName } from './reader.ts';

export interface PlanOptions {
  readonly readers: readonly ReaderName[];
  /** Tokens that every reader reads. */
  readonly lengths: readonly number[];
  /** Tokens that Farfield alone reads besides: its speed and memory should be the same at each. */
  readonly flat: readonly number[];
  /** Context at which `decode` tokens are then read one by one. */
  readonly decodeAt: number;
  readonly decode: number;
  readonly repeat: number;
  /** Runs of llama.cpp at lengths where one takes many minutes. */
  readonly repeatLong: number;
}

export interface PlannedRun {
  readonly name: ReaderName;
  readonly length: number;
  /** Tokens read one by one after `length` others. */
  readonly decode: number;
}

/** From this many tokens on a run of llama.cpp takes many minutes. */
export const LONG = 20_000;

/** Rounds from the shortest length to the longest; readers take turns, and who begins alternates. */
export function planRuns(options: PlanOptions): PlannedRun[] {
  const { readers, repeat, repeatLong, decodeAt } = options;
  const shared = new Set([...options.lengths, ...(options.decode > 0 ? [decodeAt] : [])]);
  const all = [...new Set([...shared, ...options.flat])].sort((a, b) => a - b);
  const runs: PlannedRun[] = [];
  for (let round = 0; round < Math.max(repeat, repeatLong); round++) {
    const order = round % 2 === 0 ? readers : readers.toReversed();
    for (const length of all) {
      for (const name of order) {
        const isSlow = name === 'llama.cpp' && length >= LONG;
        if (round >= (isSlow ? repeatLong : repeat)) continue;
        if (name === 'llama.cpp' && !shared.has(length)) continue;
        runs.push({ name, length, decode: length === decodeAt ? options.decode : 0 });
      }
    }
  }
  return runs;
}
