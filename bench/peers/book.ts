/**
 * A book read by Farfield with sparse attention and by llama.cpp, in one process, in turns: prefill and decoding.
 * bench/peers/README.md says how to install and run it; docs/benchmarks.md what it showed.
 */
import { readFileSync } from 'node:fs';
import { availableParallelism } from 'node:os';
import { integer, listOf } from '../../src/cli/command.ts';
import { formatCount, formatDuration, formatRate } from '../../src/cli/format.ts';
import { decodeText } from '../../src/text/index.ts';
import { benchmark, type CommandContext, integers, Option, type OptionValues, start } from '../frame.ts';
import { noiseWarning } from '../quiet.ts';
import {
  commonIds,
  type FlashTrial,
  type Measurement,
  type MemoryMeasurement,
  measure,
  measureMemory,
  tryFlash,
  WARM_UP,
  warmUp,
} from './book-measure.ts';
import { LONG, type PlanOptions, planRuns } from './book-plan.ts';
import { describeSummary, summarize } from './book-report.ts';
import { type FlashSetting, flashSettings, openReader, type Reader, readerNames } from './reader.ts';

interface Options extends OptionValues, PlanOptions {
  readonly model: string;
  readonly text: string;
  readonly pattern: string;
  readonly threads: number;
  readonly flash: FlashSetting | 'faster';
  readonly flashLength: number;
  readonly measureMemory?: boolean;
  readonly memoryLengths: readonly number[];
}

async function run(options: Options, context: CommandContext): Promise<void> {
  const { threads, pattern, model } = options;
  const plan = planRuns(options);
  const memoryPlan = options.measureMemory ? planMemory(options) : [];

  await using stack = new AsyncDisposableStack();
  const readers: Reader[] = [];
  for (const name of options.readers) {
    const reader = stack.use(await openReader(name, { model, threads, pattern }));
    readers.push(reader);
    context.note(`${name}: ${reader.about}, ${threads} threads`);
    context.signal.throwIfAborted();
  }
  const most = Math.max(WARM_UP, options.flashLength, ...[...plan, ...memoryPlan].map(({ length }) => length));
  const ids = commonIds(readers, decodeText(readFileSync(options.text), options.text), most);

  const { flash, trials } = await chooseFlash(readers, ids, options, context);
  const next = await warmUp(readers, ids, flash, context);
  const agree = new Set(Object.values(next)).size === 1;
  if (readers.length > 1) {
    context.note(`after ${WARM_UP} tokens, all of them visible, the readers ${agree ? 'say the same' : 'differ'} next`);
  }

  const memory: MemoryMeasurement[] = [];
  for (const { name, length } of memoryPlan) {
    const job = { name, options: { model, threads, pattern }, flash, ids: ids.slice(0, length) };
    using progress = context.progress({ label: `memory of ${name}`, unit: 'processes', total: memoryPlan.length });
    progress.update(memory.length);
    memory.push(await measureMemory(job, context));
  }

  const measurements: Measurement[] = [];
  for (const [i, { name, length, decode }] of plan.entries()) {
    const reader = readers.find((candidate) => candidate.name === name);
    if (reader === undefined) continue;
    const which = `run ${i + 1} of ${plan.length}`;
    const measurement = await measure(reader, ids.slice(0, length), { decode, flash, which }, context);
    measurements.push(measurement);
    context.note(`${which}: ${describe(measurement)}`);
  }
  const summary = summarize(measurements, memory, options.flat);
  context.result(
    {
      pattern,
      threads,
      flash,
      flashTrials: trials,
      readers: readers.map(({ name, about }) => ({ name, about })),
      nextAfterWarmUp: next,
      ...summary,
      memory,
      measurements,
    },
    describeSummary(summary),
  );
}

function describe({ name, length, prefillMilliseconds, decode, decodeMilliseconds, idle }: Measurement): string {
  const speed = (tokens: number, milliseconds: number) =>
    `${formatDuration(milliseconds)}, ${formatRate((1000 * tokens) / milliseconds)} tokens/s`;
  const warning = noiseWarning(idle);
  return [
    `${name}, ${formatCount(length)} tokens: ${speed(length, prefillMilliseconds)}`,
    ...(decode > 0 ? [`then ${decode} one by one: ${speed(decode, decodeMilliseconds)}`] : []),
    ...(idle.own > 0.1 ? [`its threads go on using ${Math.round(100 * idle.own)}% of a processor`] : []),
    ...(warning === undefined ? [] : [warning]),
  ].join('; ');
}

async function chooseFlash(
  readers: readonly Reader[],
  ids: readonly number[],
  { flash, flashLength }: Options,
  context: CommandContext,
): Promise<{ flash: FlashSetting; trials: FlashTrial[] }> {
  const llama = readers.find(({ name }) => name === 'llama.cpp');
  if (llama === undefined) return { flash: 'auto', trials: [] };
  if (flash !== 'faster') return { flash, trials: [] };
  const trials = await tryFlash(llama, ids.slice(0, flashLength), context);
  const [faster, slower] = trials;
  context.note(
    `llama.cpp, ${formatCount(flashLength)} tokens: ${formatDuration(faster.milliseconds)} with flash attention ` +
      `${faster.flash}, which is used; ${formatDuration(slower.milliseconds)} with it ${slower.flash}`,
  );
  return { flash: faster.flash, trials };
}

/** Farfield at its flat lengths, everyone at the others asked for. */
function planMemory({ readers, flat, memoryLengths }: Options): Pick<MemoryMeasurement, 'name' | 'length'>[] {
  return readers.flatMap((name) => {
    const lengths = new Set(name === 'farfield' ? [...memoryLengths, ...flat] : memoryLengths);
    return [...lengths].map((length) => ({ name, length }));
  });
}

const command = benchmark(
  'bench:book',
  'Reads a text with Farfield (sparse attention) and with llama.cpp (dense attention), in one process and in turns, and ' +
    'prints tokens/s of both.',
  [
    ['as in the docs', 'npm run bench:book -- --model model.gguf --text book.txt --measure-memory'],
    ['quickly', 'npm run bench:book -- --model model.gguf --text book.txt --lengths 2048 --flat 2048,4096 --repeat 1'],
  ],
)
  .requiredOption('--model <file>', 'a GGUF file')
  .requiredOption('--text <file>', 'a text in UTF-8')
  .option('--pattern <pattern>', "Farfield's pattern", 'sinks:4+window:1024')
  .option('--lengths <list>', 'tokens that both read', integers(1), [2048, 8192, 16_384, 32_768])
  .option('--flat <list>', 'tokens that Farfield reads besides', integers(1), [8192, 65_536])
  .option('--decode <tokens>', 'tokens that are then read one by one', integer(0), 64)
  .option('--decode-at <tokens>', 'the length after which that is done', integer(1), 8192)
  .option('--threads <count>', 'threads of each', integer(1), Math.min(2, availableParallelism()))
  .option('--repeat <times>', 'runs of each', integer(1), 3)
  .option('--repeat-long <times>', `runs of llama.cpp at ${formatCount(LONG)} tokens and more`, integer(1), 1)
  .addOption(
    new Option('--flash <setting>', "llama.cpp's flash attention; faster: tries on and off first")
      .choices(['faster', ...flashSettings])
      .default('faster'),
  )
  .option('--flash-length <tokens>', 'tokens of that trial', integer(1), 4096)
  .option('--readers <names>', 'who reads', listOf(readerNames), [...readerNames])
  .option('--measure-memory', 'measure peak memory too, each in a process of its own')
  .option('--memory-lengths <list>', 'tokens for which that is done for both', integers(1), [8192]);

await start<Options>(command, run);
