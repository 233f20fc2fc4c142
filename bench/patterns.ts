/**
 * Scattered patterns beside plain windows with as many pairs: `npm run bench:patterns`. What is computed in an order of tokens in
 * which blocks fill up should cost about what a window costs.
 */
import { availableParallelism } from 'node:os';
import { type AttentionResult, createDevice, type Tensor, type WasmDevice } from '../src/attention/index.ts';
import { type Contender, fill, type Problem } from '../src/cli/bench/problem.ts';
import { type Timing, timeInTurns } from '../src/cli/bench/timing.ts';
import { integer } from '../src/cli/command.ts';
import { formatDuration, formatRate, formatTable } from '../src/cli/format.ts';
import type { BlockMask } from '../src/mask/index.ts';
import { dense, formatPattern } from '../src/pattern/index.ts';
import { benchmark, type CommandContext, type OptionValues, start } from './frame.ts';
import { type PatternCase, patternCases } from './pattern-cases.ts';

interface Options extends OptionValues {
  readonly seq: number;
  readonly heads: number;
  readonly dim: number;
  readonly threads: number;
  readonly repeat: number;
  readonly only?: string;
  readonly gradients: boolean;
  readonly natural: boolean;
}

/** Inputs, output and gradients in the kernels' memory, so that no run copies them. */
class Inputs implements AsyncDisposable {
  readonly #device: WasmDevice;
  readonly #tensors: Readonly<Record<'q' | 'k' | 'v' | 'output' | 'gradOutput' | 'gradQ' | 'gradK' | 'gradV', Tensor>>;

  private constructor(device: WasmDevice, { seq: length, heads, dim: width, threads }: Options) {
    this.#device = device;
    const problem: Problem = { pattern: dense(), length, heads, width, threads };
    const tensor = (which: number): Tensor => {
      const data = device.allocate(heads * length * width);
      fill(data, which, problem, {});
      return { data, shape: [1, heads, length, width] };
    };
    this.#tensors = {
      q: tensor(0),
      k: tensor(1),
      v: tensor(2),
      gradOutput: tensor(3),
      output: tensor(4),
      gradQ: tensor(5),
      gradK: tensor(6),
      gradV: tensor(7),
    };
  }

  static async create(options: Options, leastGain?: number): Promise<Inputs> {
    const device = await createDevice({ threads: options.threads, ...(leastGain === undefined ? {} : { leastGain }) });
    return new Inputs(device, options);
  }

  get build(): string {
    return this.#device.build;
  }

  async forward(mask: BlockMask, signal: AbortSignal): Promise<AttentionResult> {
    const { q, k, v, output } = this.#tensors;
    return this.#device.attention({ q, k, v, output, mask, signal });
  }

  async backward(mask: BlockMask, { output, lse }: AttentionResult, signal: AbortSignal): Promise<void> {
    const { q, k, v, gradOutput, gradQ, gradK, gradV } = this.#tensors;
    await this.#device.attentionGradients({ q, k, v, output, lse, gradOutput, gradQ, gradK, gradV, mask, signal });
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#device.dispose();
  }
}

function contender(inputs: Inputs, mask: BlockMask, hasGradients: boolean): Contender {
  return {
    async run(signal) {
      const result = await inputs.forward(mask, signal);
      if (hasGradients) await inputs.backward(mask, result, signal);
    },
    at: () => Number.NaN,
    [Symbol.asyncDispose]: async () => {},
  };
}

interface Comparison {
  readonly pattern: Timing;
  readonly window: Timing;
  /** Time of a pair of the pattern over that of a pair of the window. */
  readonly perPair: number;
  /** The pattern in the order its tokens come in; null where it was not asked for. */
  readonly natural: Timing | null;
}

async function run(options: Options, context: CommandContext): Promise<void> {
  const { seq, heads, repeat, only } = options;
  const cases = patternCases(seq, heads).filter(({ name }) => only === undefined || name.includes(only));
  await using inputs = await Inputs.create(options);
  await using natural = options.natural ? await Inputs.create(options, 1) : undefined;
  const kinds = options.gradients ? [false, true] : [false];
  const contenders = cases.flatMap(({ mask, windowMask }) =>
    kinds.flatMap((hasGradients) => [
      contender(inputs, mask, hasGradients),
      contender(inputs, windowMask, hasGradients),
      ...(natural ? [contender(natural, mask, hasGradients)] : []),
    ]),
  );
  using progress = context.progress({ label: 'timing', unit: 'runs', total: contenders.length * (repeat + 1) });
  const timings = await timeInTurns(contenders, {
    repeat,
    signal: context.signal,
    onRun: (done) => progress.update(done),
  });
  progress.clear();
  const each = natural ? 3 : 2;
  const compare = (own: PatternCase, i: number): Comparison => {
    const [pattern, plain, inOrder] = timings.slice(i * each, (i + 1) * each) as [Timing, Timing, Timing?];
    const perPair = pattern.milliseconds / own.pairs / (plain.milliseconds / own.windowPairs);
    return { pattern, window: plain, perPair, natural: inOrder ?? null };
  };
  const results = cases.map((own, i) => ({
    name: own.name,
    pattern: formatPattern(own.mask.pattern),
    window: formatPattern(own.window),
    pairs: own.pairs,
    windowPairs: own.windowPairs,
    forward: compare(own, i * kinds.length),
    both: options.gradients ? compare(own, i * kinds.length + 1) : null,
  }));
  const shape = { seq, heads, dim: options.dim, threads: options.threads, repeat };
  context.result({ ...shape, build: inputs.build, results }, describe(options, inputs.build, results));
}

interface Result {
  readonly name: string;
  readonly pairs: number;
  readonly windowPairs: number;
  readonly forward: Comparison;
  readonly both: Comparison | null;
}

function describe(options: Options, build: string, results: readonly Result[]): string {
  const { seq, heads, dim, threads, repeat } = options;
  const columns = (comparison: Comparison | null): string[] =>
    comparison === null
      ? []
      : [
          formatDuration(comparison.pattern.milliseconds),
          formatDuration(comparison.window.milliseconds),
          `${comparison.perPair.toFixed(2)}x`,
          ...(comparison.natural ? [formatDuration(comparison.natural.milliseconds)] : []),
        ];
  const header = (what: string): string[] => [
    what,
    'window',
    'per pair',
    ...(options.natural ? ['in natural order'] : []),
  ];
  const rows = results.map(({ name, pairs, windowPairs, forward, both }) => [
    name,
    formatRate(pairs / heads / seq),
    formatRate(windowPairs / heads / seq),
    ...columns(forward),
    ...columns(both),
  ]);
  const titles = ['', 'keys', "window's", ...header('forward'), ...(options.gradients ? header('and gradients') : [])];
  return [
    `${seq} tokens, ${heads} heads of ${dim}, ${threads} threads, the ${build} build; medians of ${repeat}, in turns`,
    '',
    formatTable([titles, ...rows], [...titles.keys()].slice(1)),
    '',
    'keys: those that a query sees, on average. per pair: time over number of pairs, to that of the plain window.',
  ].join('\n');
}

const command = benchmark(
  'bench:patterns',
  'Times scattered patterns beside plain windows with as many pairs, forward and with gradients.',
  [
    ['as in the docs', 'npm run bench:patterns'],
    ['dilated windows alone, also in the order tokens come in', 'npm run bench:patterns -- --only dilation --natural'],
  ],
)
  .option('--seq <tokens>', 'queries, and keys; a multiple of 4,096', integer(4096), 8192)
  .option('--heads <count>', 'heads', integer(1), 4)
  .option('--dim <width>', 'width of queries, keys and values', integer(1), 64)
  .option('--threads <count>', 'threads', integer(1), availableParallelism())
  .option('--repeat <times>', 'runs of each that count', integer(1), 9)
  .option('--only <text>', 'only the patterns whose name has this text')
  .option('--natural', 'also without an order of its own', false)
  .option('--no-gradients', 'forward alone');

await start<Options>(command, run);
