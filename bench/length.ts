/**
 * Time and memory of the attention operator alone as the text grows: `npm run bench:length`. One head, causal, a window and a few
 * sinks, so every query sees the same number of keys and the time per token should not depend on the length.
 */
import { availableParallelism } from 'node:os';
import { median } from '../src/cli/bench/timing.ts';
import { integer } from '../src/cli/command.ts';
import { formatBytes, formatCount, formatDuration, formatRate, formatTable } from '../src/cli/format.ts';
import { compileMask, statistics } from '../src/mask/index.ts';
import { formatPattern } from '../src/pattern/index.ts';
import { runAlone } from './alone.ts';
import { benchmark, type CommandContext, integers, type OptionValues, start } from './frame.ts';
import type { AloneResult, LengthJob } from './length-alone.ts';
import { LongAttention, patternOf, type Shape } from './long-attention.ts';

interface Options extends OptionValues {
  readonly lengths: readonly number[];
  readonly window: number;
  readonly sinks: number;
  readonly dim: number;
  readonly threads: number;
  readonly repeat: number;
  readonly alone: boolean;
}

interface LengthResult {
  readonly length: number;
  /** Medians of the repeats. */
  readonly milliseconds: number;
  readonly millisecondsPerThousandTokens: number;
  /** Each repeat: milliseconds of one run. */
  readonly runs: readonly number[];
  readonly gigaflops: number;
  /** What a process of its own showed; null with --no-alone. */
  readonly alone: AloneResult | null;
  /** Largest difference from the float64 definition in the first, middle and last row. */
  readonly largestDifference: number;
}

const aloneProgram = new URL('./length-alone.ts', import.meta.url);

async function run(options: Options, context: CommandContext): Promise<void> {
  const { lengths, repeat } = options;
  const { signal } = context;
  const shape: Shape = {
    window: options.window,
    sinks: options.sinks,
    width: options.dim,
    threads: options.threads,
  };
  const longest = Math.max(...lengths);
  // A turn of any length computes about a quarter of the longest, so that short lengths are not timed in a blink.
  const inTurn = lengths.map((length) => Math.max(1, Math.round(longest / 4 / length)));
  const tokensInTurn = lengths.reduce((sum, length, i) => sum + length * (inTurn[i] ?? 1), 0);

  // First memory and mask, each length in a process of its own, while this one is still small.
  const alone: (AloneResult | null)[] = [];
  {
    const total = lengths.reduce((sum, length) => sum + length, 0);
    using progress = context.progress({ label: 'measuring memory', unit: 'tokens', total });
    let done = 0;
    for (const length of lengths) {
      alone.push(
        options.alone ? await runAlone<AloneResult>(aloneProgram, { shape, length } satisfies LengthJob, signal) : null,
      );
      done += length;
      progress.update(done);
    }
  }

  await using attention = await LongAttention.create(shape, longest);
  const masks = lengths.map((length) => compileMask(patternOf(shape), { queries: length, keys: length, heads: 1 }));
  const turns = lengths.map((): number[] => []);
  const differences: number[] = [];
  using progress = context.progress({ label: 'timing', unit: 'tokens', total: tokensInTurn * (repeat + 1) });
  let tokens = 0;
  for (let round = -1; round < repeat; round++) {
    for (const [i, mask] of masks.entries()) {
      const times = inTurn[i] ?? 1;
      const before = performance.now();
      for (let n = 0; n < times; n++) await attention.run(mask, signal);
      if (round >= 0) turns[i]?.push((performance.now() - before) / times);
      else differences[i] = worstOf(attention, mask.queries);
      tokens += mask.queries * times;
      progress.update(tokens);
    }
  }
  progress.clear();

  const results = masks.map((mask, i): LengthResult => {
    const length = mask.queries;
    const runs = turns[i] ?? [];
    const milliseconds = median(runs);
    return {
      length,
      milliseconds,
      millisecondsPerThousandTokens: (1000 * milliseconds) / length,
      runs,
      gigaflops: (4 * shape.width * statistics(mask).pairs) / milliseconds / 1e6,
      alone: alone[i] ?? null,
      largestDifference: differences[i] ?? Number.NaN,
    };
  });
  const perToken = results.map((result) => result.millisecondsPerThousandTokens);
  const spread = Math.max(...perToken) / Math.min(...perToken) - 1;
  context.result(
    { pattern: patternOf(shape), dim: shape.width, threads: shape.threads, repeat, spread, results },
    describe(shape, attention.build, results, spread, repeat),
  );
}

function worstOf(attention: LongAttention, length: number): number {
  return Math.max(...[0, length >> 1, length - 1].map((row) => attention.differenceFromDefinition(row)));
}

function describe(
  shape: Shape,
  build: string,
  results: readonly LengthResult[],
  spread: number,
  repeat: number,
): string {
  const header = ['tokens', 'one run', 'per 1,000', 'range', 'GFLOPS', 'peak memory', 'mask in', 'growing by', 'kept'];
  const rows = results.map((result) => {
    const { alone } = result;
    const per = (milliseconds: number) => formatDuration((1000 * milliseconds) / result.length);
    return [
      formatCount(result.length),
      formatDuration(result.milliseconds),
      formatDuration(result.millisecondsPerThousandTokens),
      `${per(Math.min(...result.runs))} to ${per(Math.max(...result.runs))}`,
      formatRate(result.gigaflops),
      ...(alone === null
        ? []
        : [
            formatBytes(alone.peakMemoryBytes),
            formatDuration(alone.maskMilliseconds),
            formatBytes(alone.maskGrowthBytes),
            formatBytes(alone.maskBytes),
          ]),
    ];
  });
  const worst = Math.max(...results.map((result) => result.largestDifference));
  return [
    `${formatPattern(patternOf(shape))}, one head of ${shape.width}, ${shape.threads} threads, the ${build} build`,
    '',
    formatTable([header.slice(0, rows[0]?.length), ...rows], [...header.keys()]),
    '',
    `Time per token: the slowest length takes ${formatRate(100 * spread)}% more than the fastest. Medians of ${repeat}, in turns.`,
    'Peak memory is that of a process of its own, Node, the inputs and the output included. The mask is compiled there, once, cold.',
    `The first, middle and last rows differ from the float64 definition by at most ${worst.toExponential(1)}.`,
  ].join('\n');
}

const command = benchmark(
  'bench:length',
  'Time per token and memory of the attention operator at growing lengths: one head, causal, a window and sinks.',
  [
    ['as in the docs', 'npm run bench:length'],
    ['quickly', 'npm run bench:length -- --lengths 4096,16384 --repeat 3'],
  ],
)
  .option('--lengths <list>', 'tokens, separated by commas', integers(1), [16_384, 65_536, 262_144, 1_048_576])
  .option('--window <tokens>', 'keys before itself that a query sees', integer(0), 512)
  .option('--sinks <tokens>', 'first keys, which every query sees', integer(0), 4)
  .option('--dim <width>', 'width of queries, keys and values', integer(1), 64)
  .option('--threads <count>', 'threads', integer(1), availableParallelism())
  .option('--repeat <times>', 'runs of each that count', integer(1), 7)
  .option('--no-alone', 'leave out the processes that measure memory and the mask');

await start<Options>(command, run);
