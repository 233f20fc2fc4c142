/**
 * What storing tensors in 16 bits costs and saves: `npm run bench:storage`. Errors are those of everything, the rounding of the
 * inputs included: the float64 definition is computed of the numbers before.
 */
import { fromStorage, referenceAttention, referenceGradients, type Tensor } from '../src/attention/index.ts';
import type { NumberArray } from '../src/attention/types.ts';
import { timeInTurns } from '../src/cli/bench/timing.ts';
import { integer } from '../src/cli/command.ts';
import { formatBytes, formatDuration, formatTable } from '../src/cli/format.ts';
import { window } from '../src/pattern/index.ts';
import { runAlone } from './alone.ts';
import { benchmark, type CommandContext, type OptionValues, start } from './frame.ts';
import type { StorageJob, StorageResult } from './storage-alone.ts';
import { inputNumbers, type Shape, StoredAttention, type Storing } from './stored-attention.ts';

const aloneProgram = new URL('storage-alone.ts', import.meta.url);

const WAYS: readonly (Storing & { readonly name: string })[] = [
  { name: 'f32', storage: 'f32', keysAlone: false },
  { name: 'f16', storage: 'f16', keysAlone: false },
  { name: 'bf16', storage: 'bf16', keysAlone: false },
  { name: 'keys and values f16', storage: 'f16', keysAlone: true },
  { name: 'keys and values bf16', storage: 'bf16', keysAlone: true },
];

interface Options extends OptionValues {
  readonly window: number;
  readonly seq: number;
  readonly heads: number;
  readonly dim: number;
  readonly threads: number;
  readonly repeat: number;
  readonly errorSeq: number;
  readonly time: boolean;
}

/** Relative to the root mean square of the exact numbers. */
interface Errors {
  readonly maximum: number;
  readonly rms: number;
}

type Results = Readonly<Record<'output' | 'gradQ' | 'gradK' | 'gradV', ArrayLike<number>>>;

function numbersOf({ data, type }: Tensor<NumberArray>): ArrayLike<number> {
  return data instanceof Uint16Array && (type === 'f16' || type === 'bf16') ? fromStorage(data, type) : data;
}

function errorsOf(got: ArrayLike<number>, want: ArrayLike<number>): Errors {
  let [maximum, squares, exact] = [0, 0, 0];
  for (let i = 0; i < want.length; i++) {
    const [x, y] = [got[i] ?? Number.NaN, want[i] ?? Number.NaN];
    maximum = Math.max(maximum, Math.abs(x - y));
    squares += (x - y) ** 2;
    exact += y * y;
  }
  const scale = Math.sqrt(exact / want.length);
  return { maximum: maximum / scale, rms: Math.sqrt(squares / want.length) / scale };
}

function exactResults(shape: Shape): Results {
  const [q, k, v] = [inputNumbers(shape, 'q'), inputNumbers(shape, 'k'), inputNumbers(shape, 'v')];
  const options = { q, k, v, pattern: window(shape.window) };
  const { output } = referenceAttention(options);
  return { output, ...referenceGradients({ ...options, gradOutput: inputNumbers(shape, 'gradOutput') }) };
}

async function storedResults(shape: Shape, storing: Storing, signal: AbortSignal): Promise<Results> {
  await using attention = await StoredAttention.create(shape, storing);
  const { output, gradQ, gradK, gradV } = await attention.both(signal);
  return { output: numbersOf(output), gradQ: numbersOf(gradQ), gradK: numbersOf(gradK), gradV: numbersOf(gradV) };
}

async function run(options: Options, context: CommandContext): Promise<void> {
  const { seq: length, heads, dim: width, threads, repeat } = options;
  const shape: Shape = { window: options.window, length, heads, width, threads };
  const errorShape: Shape = { ...shape, length: options.errorSeq, heads: 1 };
  const { signal } = context;
  const errors: Readonly<Record<keyof Results, Errors>>[] = [];
  {
    using progress = context.progress({ label: 'errors', unit: 'runs', total: WAYS.length + 1 });
    const exact = exactResults(errorShape);
    progress.update(1);
    for (const [i, way] of WAYS.entries()) {
      signal.throwIfAborted();
      const got = await storedResults(errorShape, way, signal);
      const of = (name: keyof Results) => errorsOf(got[name], exact[name]);
      errors.push({ output: of('output'), gradQ: of('gradQ'), gradK: of('gradK'), gradV: of('gradV') });
      progress.update(i + 2);
    }
  }
  const times = options.time ? await measureTimes(shape, repeat, context) : undefined;
  const memory: StorageResult[] = [];
  if (options.time) {
    using progress = context.progress({ label: 'memory', unit: 'processes', total: WAYS.length });
    for (const [i, storing] of WAYS.entries()) {
      memory.push(await runAlone<StorageResult>(aloneProgram, { shape, storing } satisfies StorageJob, signal));
      progress.update(i + 1);
    }
  }
  const results = WAYS.map(({ name }, i) => ({
    storage: name,
    errors: errors[i],
    ...(times ? { forward: times.forward[i], both: times.both[i], ...memory[i] } : {}),
  }));
  context.result({ shape, errorShape, repeat, results }, report(shape, errorShape, repeat, results));
}

interface Row {
  readonly storage: string;
  readonly errors: Readonly<Record<keyof Results, Errors>> | undefined;
  readonly forward?: Measured | undefined;
  readonly both?: Measured | undefined;
  readonly peakMemoryBytes?: number;
}

interface Measured {
  readonly milliseconds: number;
  readonly runs: readonly number[];
}

/** Forward, and forward with gradients, of all ways in turns. */
async function measureTimes(
  shape: Shape,
  repeat: number,
  context: CommandContext,
): Promise<{ forward: Measured[]; both: Measured[] }> {
  await using stack = new AsyncDisposableStack();
  const contenders = [];
  for (const way of WAYS) {
    const attention = stack.use(await StoredAttention.create(shape, way));
    for (const pass of ['forward', 'both'] as const) {
      contenders.push({
        async run(signal: AbortSignal) {
          await attention[pass](signal);
        },
        at: () => Number.NaN,
        async [Symbol.asyncDispose]() {},
      });
    }
  }
  using progress = context.progress({ label: 'timing', unit: 'runs', total: contenders.length * (repeat + 1) });
  const timings = await timeInTurns(contenders, {
    repeat,
    signal: context.signal,
    onRun: (done) => progress.update(done),
  });
  return { forward: timings.filter((_, i) => i % 2 === 0), both: timings.filter((_, i) => i % 2 === 1) };
}

function report(shape: Shape, errorShape: Shape, repeat: number, rows: readonly Row[]): string {
  const digits = (x: number | undefined) => (x ?? Number.NaN).toExponential(1);
  const errorTable = rows.map(({ storage, errors }) => [
    storage,
    ...(['output', 'gradQ', 'gradK', 'gradV'] as const).flatMap((name) => [
      digits(errors?.[name].maximum),
      digits(errors?.[name].rms),
    ]),
  ]);
  const head = ['storage', ...['output', 'gradQ', 'gradK', 'gradV'].flatMap((name) => [`${name} max`, 'rms'])];
  const lines = [
    `window:${shape.window}, ${errorShape.length} tokens, one head of ${shape.width}: differences from the float64 definition of the`,
    'numbers before they were stored, relative to the root mean square of what is exact',
    '',
    formatTable([head, ...errorTable], [1, 2, 3, 4, 5, 6, 7, 8]),
  ];
  const [base] = rows;
  if (base?.forward === undefined || base.both === undefined) return lines.join('\n');
  const ratio = (of: Measured | undefined, to: Measured) =>
    ((of?.milliseconds ?? Number.NaN) / to.milliseconds).toFixed(2);
  const { forward, both } = base;
  const timeTable = rows.map((row) => [
    row.storage,
    formatDuration(row.forward?.milliseconds ?? Number.NaN),
    ratio(row.forward, forward),
    formatDuration(row.both?.milliseconds ?? Number.NaN),
    ratio(row.both, both),
    formatBytes(row.peakMemoryBytes ?? Number.NaN),
  ]);
  return [
    ...lines,
    '',
    `${shape.length} tokens, ${shape.heads} heads of ${shape.width}, ${shape.threads} threads; medians of ${repeat}, in turns`,
    '',
    formatTable(
      [['storage', 'forward', 'to f32', 'and gradients', 'to f32', 'peak memory, forward'], ...timeTable],
      [1, 2, 3, 4, 5],
    ),
  ].join('\n');
}

const command = benchmark(
  'bench:storage',
  'Errors, times and memory of attention on tensors stored in f32, f16 and bf16.',
  [
    ['as in the docs', 'npm run bench:storage'],
    ['errors alone', 'npm run bench:storage -- --no-time'],
  ],
)
  .option('--window <tokens>', 'keys to either side that a query sees', integer(0), 256)
  .option('--seq <tokens>', 'queries, and keys, for times and memory', integer(1), 8192)
  .option('--error-seq <tokens>', 'the same for errors, of one head', integer(1), 1024)
  .option('--heads <count>', 'heads', integer(1), 12)
  .option('--dim <width>', 'width of queries, keys and values', integer(1), 64)
  .option('--threads <count>', 'threads', integer(1), 2)
  .option('--repeat <times>', 'runs of each that count', integer(1), 9)
  .option('--no-time', 'errors alone');

await start<Options>(command, run);
