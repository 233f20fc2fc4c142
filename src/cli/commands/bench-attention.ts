import { availableParallelism } from 'node:os';
import { counted } from '../../counted.ts';
import { statistics } from '../../mask/index.ts';
import { causal, formatPattern, intersect, parsePattern } from '../../pattern/index.ts';
import { type ContenderName, contenders, peers } from '../bench/contenders.ts';
import { measurePeakMemory } from '../bench/peak-memory.ts';
import { type Contender, compileProblem, type Problem } from '../bench/problem.ts';
import { byteUnit, formatRange, formatRatio, timeUnit } from '../bench/table.ts';
import { timeInTurns } from '../bench/timing.ts';
import { addCommand, integer, listOf, type Register } from '../command.ts';
import type { CommandContext } from '../context.ts';
import { formatCounted, formatDuration, formatPercent, formatRate, formatTable, wrap } from '../format.ts';

/** What the process that measures memory does. */
const RUNS_FOR_MEMORY = 2;

interface Options {
  readonly pattern: string;
  readonly causal?: boolean;
  readonly seq: number;
  readonly heads: number;
  readonly dim: number;
  readonly compare?: readonly ContenderName[];
  readonly threads: number;
  readonly repeat: number;
}

export interface BenchResult {
  readonly name: ContenderName;
  /** Median of the repeats. */
  readonly milliseconds: number;
  readonly runs: readonly number[];
  /** Peak resident memory of a process of its own. */
  readonly peakMemoryBytes: number;
  /** 4 D floating-point operations for each pair that the contender was asked for, by 1e9, per second. */
  readonly gigaflops: number;
  /** Largest difference from Farfield's output, where it computes the same; else null. */
  readonly largestDifference: number | null;
}

export const registerBenchAttention: Register = (bench, start) => {
  addCommand(bench, 'attention', {
    summary: 'time the attention operator beside others, and measure its memory',
    description:
      'Times attention on made-up numbers, in one process and in turns: one run of each contender, --repeat times, after one ' +
      'that is not counted. Prints medians. Memory is the peak resident memory of a process of its own for each.',
    examples: [
      { does: 'the operator alone', command: 'farfield bench attention --pattern window:256 --seq 8192' },
      {
        does: 'beside ONNX Runtime: dense, and the same pattern in standard operators',
        command: `farfield bench attention --pattern window:256 --seq 8192 --compare ${peers.join(',')}`,
      },
      {
        does: 'a decoder: sinks and a window, causal, on one thread',
        command: 'farfield bench attention --pattern "sinks:4+window:1024" --causal --seq 65536 --heads 1 --threads 1',
      },
    ],
  })
    .option('--pattern <pattern>', 'which pairs attend, for example window:256 or "sinks:4+window:1024"')
    .option('--causal', 'only pairs in which the key does not come after the query')
    .option('--seq <tokens>', 'queries, and keys', integer(1), 8192)
    .option('--heads <count>', 'heads', integer(1), 12)
    .option('--dim <width>', 'width of queries, keys and values', integer(1), 64)
    .option('--compare <names>', `others to time, separated by commas: ${peers.join(', ')}`, listOf(peers))
    .option('--threads <count>', 'threads of each contender', integer(1), availableParallelism())
    .option('--repeat <times>', 'runs of each that count', integer(1), 7)
    .action(start(benchAttention, ['pattern']));
};

async function benchAttention(options: Options, context: CommandContext): Promise<void> {
  const parsed = parsePattern(options.pattern);
  const problem: Problem = {
    pattern: options.causal ? intersect(parsed, causal()) : parsed,
    length: options.seq,
    heads: options.heads,
    width: options.dim,
    threads: options.threads,
  };
  const names: readonly ContenderName[] = ['farfield', ...(options.compare ?? [])];
  const compiling = performance.now();
  const { pairs, density } = statistics(compileProblem(problem));
  const maskMilliseconds = performance.now() - compiling;
  const results = await measure(problem, names, options.repeat, pairs, context);
  context.result(
    {
      pattern: problem.pattern,
      seq: problem.length,
      heads: problem.heads,
      dim: problem.width,
      threads: problem.threads,
      repeat: options.repeat,
      pairs,
      density,
      maskMilliseconds,
      results,
    },
    describe(problem, results, { pairs, density, maskMilliseconds, repeat: options.repeat }, context.columns),
  );
}

async function measure(
  problem: Problem,
  names: readonly ContenderName[],
  repeat: number,
  pairs: number,
  context: CommandContext,
): Promise<BenchResult[]> {
  const { signal } = context;
  using progress = context.progress({
    label: 'measuring',
    unit: 'runs',
    total: names.length * (RUNS_FOR_MEMORY + 1 + repeat),
  });
  // First the memory, each in a process of its own, while this one is still small.
  const peaks: number[] = [];
  for (const name of names) {
    peaks.push(await measurePeakMemory(name, problem, signal));
    progress.update(RUNS_FOR_MEMORY * peaks.length);
  }
  const prepared: Contender[] = [];
  try {
    for (const name of names) prepared.push(await contenders[name].prepare(problem));
    const onRun = (runs: number): void => progress.update(RUNS_FOR_MEMORY * names.length + runs);
    const timings = await timeInTurns(prepared, { repeat, signal, onRun });
    return names.flatMap((name, i) => {
      const [timing, own, ours] = [timings[i], prepared[i], prepared[0]];
      if (timing === undefined || own === undefined || ours === undefined) return [];
      const asked = contenders[name].sparse ? pairs : problem.heads * problem.length ** 2;
      return {
        name,
        ...timing,
        peakMemoryBytes: peaks[i] ?? Number.NaN,
        gigaflops: (4 * problem.width * asked) / timing.milliseconds / 1e6,
        largestDifference: asked === pairs && own !== ours ? largestDifference(problem, ours, own) : null,
      };
    });
  } finally {
    for (const contender of prepared) await contender[Symbol.asyncDispose]();
  }
}

/** Over every row that a stride of a prime number meets: a bench must not take longer to compare than to run. */
function largestDifference({ heads, length, width }: Problem, a: Contender, b: Contender): number {
  let worst = 0;
  for (let h = 0; h < heads; h++) {
    for (let i = 0; i < length; i += length > 997 ? 97 : 1) {
      for (let d = 0; d < width; d++) worst = Math.max(worst, Math.abs(a.at(h, i, d) - b.at(h, i, d)));
    }
  }
  return worst;
}

function describe(
  { pattern, length, heads, width, threads }: Problem,
  results: readonly BenchResult[],
  about: { pairs: number; density: number; maskMilliseconds: number; repeat: number },
  columns: number,
): string {
  const ours = results[0]?.milliseconds ?? Number.NaN;
  const times = timeUnit(results.flatMap(({ runs }) => runs));
  const bytes = byteUnit(results.map(({ peakMemoryBytes }) => peakMemoryBytes));
  const rows = results.map(({ name, milliseconds, runs, peakMemoryBytes, gigaflops }) => [
    name,
    times.format(milliseconds),
    formatRange(runs, times),
    name === 'farfield' ? '' : formatRatio(milliseconds, ours),
    formatRate(gigaflops),
    bytes.format(peakMemoryBytes),
  ]);
  const header = ['', `median, ${times.name}`, 'range', 'to farfield', 'GFLOPS', `peak, ${bytes.name}`];
  const checked = results.filter(({ largestDifference }) => largestDifference !== null);
  return [
    wrap(
      `${formatPattern(pattern)}, ${formatCounted(length, 'token')}, ${counted(heads, 'head')} of ${width}, ` +
        `${counted(threads, 'thread')}`,
      columns,
    ),
    `${formatCounted(about.pairs, 'pair')}, ${formatPercent(about.density)} of all; ` +
      `mask compiled once in ${formatDuration(about.maskMilliseconds)}`,
    '',
    formatTable([header, ...rows], [1, 2, 3, 4, 5]),
    '',
    wrap(
      `Medians of ${about.repeat}, in turns. GFLOPS count the pairs asked for: the pattern's, or all of them for dense.`,
      columns,
    ),
    'Peak memory is that of a process of its own, Node and the inputs included.',
    ...checked.map(
      ({ name, largestDifference }) =>
        `${name} differs from farfield by at most ${largestDifference?.toExponential(1)}.`,
    ),
  ].join('\n');
}
