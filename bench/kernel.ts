/**
 * The builds of the wasm kernel beside each other, on one thread: `npm run bench:kernel`. V8 keeps compiled code by a module's
 * bytes, and every build has its own, so one process can hold all three.
 */
import { createDevice, referenceAttention, type Tensor, type WasmDevice } from '../src/attention/index.ts';
import { type Contender, fill, type Problem } from '../src/cli/bench/problem.ts';
import { timeInTurns } from '../src/cli/bench/timing.ts';
import { integer } from '../src/cli/command.ts';
import { formatDuration, formatRate, formatTable } from '../src/cli/format.ts';
import { DeviceError } from '../src/errors.ts';
import { type BlockMask, compileMask, statistics } from '../src/mask/index.ts';
import { window } from '../src/pattern/index.ts';
import { benchmark, type CommandContext, type OptionValues, start } from './frame.ts';

const BUILDS = ['baseline', 'relaxed', 'merged'] as const;
type BuildName = (typeof BUILDS)[number];

interface Options extends OptionValues {
  readonly window: number;
  readonly seq: number;
  readonly dim: number;
  readonly repeat: number;
}

/** One build with its inputs in place. */
interface Candidate extends Contender {
  readonly build: BuildName;
  readonly output: Float32Array;
}

async function prepare(build: BuildName, problem: Problem, mask: BlockMask): Promise<Candidate> {
  const device: WasmDevice = await createDevice({ threads: 1, build });
  const { length, width } = problem;
  const tensor = (): Tensor => ({ data: device.allocate(length * width), shape: [1, 1, length, width] });
  const [q, k, v, output] = [tensor(), tensor(), tensor(), tensor()];
  for (const [which, { data }] of [q, k, v].entries()) fill(data, which, problem, {});
  return {
    build,
    output: output.data,
    async run(signal) {
      await device.attention({ q, k, v, mask, output, signal });
    },
    at: (_, i, d) => output.data[i * width + d] ?? Number.NaN,
    [Symbol.asyncDispose]: () => device.dispose(),
  };
}

/** Largest difference from the float64 definition, over the first rows: it looks at every pair. */
function differenceFromDefinition({ output }: Candidate, { pattern, length, width }: Problem, reach: number): number {
  // Of these rows all but the last `reach` see no key beyond them.
  const rows = Math.min(length, reach + 512);
  const complete = rows === length ? rows : rows - reach;
  const tensor = (which: number): Tensor => {
    const data = new Float32Array(rows * width);
    fill(data, which, { pattern, length: rows, heads: 1, width, threads: 1 }, {});
    return { data, shape: [1, 1, rows, width] };
  };
  const exact = referenceAttention({ q: tensor(0), k: tensor(1), v: tensor(2), pattern }).output;
  let worst = 0;
  for (let i = 0; i < complete * width; i++) {
    worst = Math.max(worst, Math.abs((exact[i] ?? Number.NaN) - (output[i] ?? Number.NaN)));
  }
  return worst;
}

async function run(options: Options, context: CommandContext): Promise<void> {
  const { seq: length, dim: width, repeat } = options;
  const problem: Problem = { pattern: window(options.window), length, heads: 1, width, threads: 1 };
  const mask = compileMask(problem.pattern, { queries: length, keys: length, heads: 1 });
  const { pairs } = statistics(mask);
  await using stack = new AsyncDisposableStack();
  const candidates: Candidate[] = [];
  for (const build of BUILDS) {
    try {
      candidates.push(stack.use(await prepare(build, problem, mask)));
    } catch (error) {
      if (!(error instanceof DeviceError)) throw error;
      context.note(error.message);
    }
  }
  using progress = context.progress({ label: 'timing', unit: 'runs', total: candidates.length * (repeat + 1) });
  const timings = await timeInTurns(candidates, {
    repeat,
    signal: context.signal,
    onRun: (done) => progress.update(done),
  });
  const results = candidates.flatMap((candidate, i) => {
    const timing = timings[i];
    if (timing === undefined) return [];
    return {
      build: candidate.build,
      ...timing,
      gigaflops: (4 * width * pairs) / timing.milliseconds / 1e6,
      largestDifference: differenceFromDefinition(candidate, problem, options.window),
    };
  });
  const rows = results.map(({ build, milliseconds, runs, gigaflops, largestDifference }) => [
    build,
    formatDuration(milliseconds),
    `${formatDuration(Math.min(...runs))} to ${formatDuration(Math.max(...runs))}`,
    formatRate(gigaflops),
    largestDifference.toExponential(1),
  ]);
  context.result(
    { window: options.window, seq: length, dim: width, threads: 1, repeat, pairs, results },
    [
      `window:${options.window}, ${length} tokens, one head of ${width}, one thread; medians of ${repeat}, in turns`,
      '',
      formatTable([['build', 'median', 'range', 'GFLOPS', 'from float64'], ...rows], [1, 2, 3, 4]),
      '',
      'GFLOPS count 4 D operations for each allowed pair.',
    ].join('\n'),
  );
}

const command = benchmark(
  'bench:kernel',
  'Times the builds of the attention kernel beside each other, on one thread.',
  [
    ['as in the docs', 'npm run bench:kernel'],
    ['a longer window, more runs', 'npm run bench:kernel -- --window 1024 --repeat 31'],
  ],
)
  .option('--window <tokens>', 'keys to either side that a query sees', integer(0), 256)
  .option('--seq <tokens>', 'queries, and keys', integer(1), 6144)
  .option('--dim <width>', 'width of queries, keys and values', integer(1), 64)
  .option('--repeat <times>', 'runs of each that count', integer(1), 15);

await start<Options>(command, run);
