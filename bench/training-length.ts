/**
 * A training step on one long sequence with a window, beside its dense twin: `npm run bench:training-length`. Times in one process, in
 * turns; peak memory of a process of its own for each.
 */
import { availableParallelism } from 'node:os';
import { createDevice } from '../src/attention/index.ts';
import { timeInTurns } from '../src/cli/bench/timing.ts';
import { integer } from '../src/cli/command.ts';
import { formatBytes, formatCount, formatDuration, formatRate, formatTable } from '../src/cli/format.ts';
import { createNodeBackend } from '../src/graph/index.ts';
import { runAlone } from './alone.ts';
import { benchmark, type CommandContext, type OptionValues, start } from './frame.ts';
import type { TrainingJob, TrainingMemory, TrainingShape } from './training-memory-alone.ts';
import { openTrainingStep } from './training-step.ts';

interface Options extends OptionValues {
  readonly layers: number;
  readonly hidden: number;
  readonly heads: number;
  readonly length: number;
  readonly window: number;
  readonly threads: number;
  readonly repeat: number;
  readonly memory: boolean;
}

const aloneProgram = new URL('./training-memory-alone.ts', import.meta.url);

async function run(options: Options, context: CommandContext): Promise<void> {
  const { layers, hidden, heads, length, threads, repeat } = options;
  const { signal } = context;
  const shapes = [options.window, undefined].map(
    (window): TrainingShape => ({ layers, hidden, heads, tokens: length, window, threads }),
  );
  const memory: TrainingMemory[] = [];
  if (options.memory) {
    using progress = context.progress({ label: 'memory', unit: 'processes', total: shapes.length });
    for (const shape of shapes) {
      const job: TrainingJob = { shape, checkpoint: 'layer', precision: 'f32', steps: 0 };
      memory.push(await runAlone<TrainingMemory>(aloneProgram, job, signal));
      progress.update(memory.length);
    }
  }

  await using stack = new AsyncDisposableStack();
  const device = stack.use(await createDevice({ threads }));
  const backend = await createNodeBackend({ threads, memoryArena: true });
  const losses: number[] = [];
  const contenders = [];
  for (const [i, shape] of shapes.entries()) {
    const step = stack.use(await openTrainingStep(shape, { device, backend, checkpoint: 'layer', signal }));
    contenders.push({
      run: async () => {
        losses[i] = (await step.run(signal)).loss;
      },
      at: () => Number.NaN,
      [Symbol.asyncDispose]: async () => {},
    });
  }
  using progress = context.progress({ label: 'training', unit: 'steps', total: (1 + repeat) * shapes.length });
  const timings = await timeInTurns(contenders, { repeat, signal, onRun: (done) => progress.update(done) });

  const dense = timings[1]?.milliseconds ?? Number.NaN;
  const results = shapes.map(({ window }, i) => {
    const { milliseconds = Number.NaN, runs = [] } = timings[i] ?? {};
    return {
      pattern: window === undefined ? 'dense' : `window:${window}`,
      milliseconds,
      runs,
      tokensPerSecond: (1000 * length) / milliseconds,
      timesDense: dense / milliseconds,
      loss: losses[i] ?? Number.NaN,
      ...(memory[i] === undefined ? {} : { startBytes: memory[i].startBytes, peakBytes: memory[i].peakBytes }),
    };
  });
  const rows = results.map((each) => [
    each.pattern,
    formatDuration(each.milliseconds),
    formatCount(Math.round(each.tokensPerSecond)),
    `${formatRate(each.timesDense)} x`,
    each.peakBytes === undefined ? '-' : formatBytes(each.peakBytes),
    each.loss.toFixed(5),
  ]);
  const header = ['pattern', 'a step', 'tokens/s', 'speed', 'peak memory', 'loss'];
  context.result(
    { layers, hidden, heads, length, threads, repeat, results },
    [
      `${layers} layers of ${hidden}, ${heads} heads, ${formatCount(length)} tokens, causal, checkpointed by layer, ${threads} threads`,
      '',
      formatTable([header, ...rows], [...header.keys()].slice(1)),
      '',
      `Medians of ${repeat}, in turns, after one step that does not count: loss and gradients, without the optimizer. Speed beside dense.`,
      'Peak resident memory of a process of its own that takes one step.',
    ].join('\n'),
  );
}

const command = benchmark(
  'bench:training-length',
  'A training step of a byte-level GPT on one long sequence with a window, beside its dense twin.',
  [
    ['as in the docs', 'npm run bench:training-length'],
    ['quickly', 'npm run bench:training-length -- --length 2048 --repeat 1'],
  ],
)
  .option('--layers <count>', 'layers', integer(1), 4)
  .option('--hidden <width>', 'width of the residual', integer(1), 256)
  .option('--heads <count>', 'heads', integer(1), 4)
  .option('--length <tokens>', 'tokens of the one sequence', integer(1), 16_384)
  .option('--window <tokens>', 'keys before itself that a query sees', integer(0), 256)
  .option('--threads <count>', 'threads', integer(1), availableParallelism())
  .option('--repeat <times>', 'steps of each that count', integer(1), 3)
  .option('--no-memory', 'leave out the processes that measure memory');

await start<Options>(command, run);
