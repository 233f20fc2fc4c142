/**
 * Memory and time of a training step with and without gradient checkpointing, and with rows of 16 bits: `npm run bench:training-memory`. A byte-level decoder with a window;
 * each mode in a process of its own.
 */
import { availableParallelism } from 'node:os';
import type { NumberType } from '../src/attention/index.ts';
import { median } from '../src/cli/bench/timing.ts';
import { integer } from '../src/cli/command.ts';
import { formatBytes, formatCount, formatDuration, formatRate, formatTable } from '../src/cli/format.ts';
import { ArgumentError } from '../src/errors.ts';
import type { Checkpoint } from '../src/graph/index.ts';
import { runAlone } from './alone.ts';
import { benchmark, type CommandContext, type OptionValues, start } from './frame.ts';
import type { TrainingJob, TrainingMemory, TrainingShape } from './training-memory-alone.ts';

interface Options extends OptionValues {
  readonly layers: number;
  readonly hidden: number;
  readonly heads: number;
  readonly tokens: number;
  readonly window: number;
  readonly threads: number;
  readonly steps: number;
  readonly modes: readonly Checkpoint[];
  readonly precisions: readonly NumberType[];
}

const aloneProgram = new URL('./training-memory-alone.ts', import.meta.url);

async function run(options: Options, context: CommandContext): Promise<void> {
  const { layers, hidden, heads, tokens, threads, steps, modes, precisions } = options;
  const shape: TrainingShape = { layers, hidden, heads, tokens, window: options.window, threads };
  const results: (TrainingMemory & Pick<TrainingJob, 'checkpoint' | 'precision'>)[] = [];
  {
    using progress = context.progress({ label: 'training', unit: 'modes', total: modes.length * precisions.length });
    for (const [checkpoint, precision] of modes.flatMap((mode) => precisions.map((each) => [mode, each] as const))) {
      const job: TrainingJob = { shape, checkpoint, precision, steps };
      results.push({ checkpoint, precision, ...(await runAlone<TrainingMemory>(aloneProgram, job, context.signal)) });
      progress.update(results.length);
    }
  }
  const [first] = results;
  const rows = results.map((result) => {
    const time = median(result.milliseconds);
    return [
      String(result.checkpoint),
      result.precision,
      formatDuration(time),
      `${formatRate(time / median(first?.milliseconds ?? [time]))} x`,
      formatCount(Math.round((1000 * tokens) / time)),
      formatBytes(result.peakBytes),
      formatBytes(result.peakBytes - result.startBytes),
      `1 / ${formatRate(((first?.peakBytes ?? 0) - (first?.startBytes ?? 0)) / (result.peakBytes - result.startBytes))}`,
      formatBytes(result.plannedBytes),
      result.loss.toFixed(5),
    ];
  });
  const header = [
    'kept',
    'rows',
    'a step',
    'time',
    'tokens/s',
    'peak memory',
    'of the step',
    'memory',
    'planned',
    'loss',
  ];
  context.result(
    { ...shape, steps, results },
    [
      `${layers} layers of ${hidden}, ${heads} heads, ${formatCount(tokens)} tokens, a window of ${shape.window}, ${threads} threads`,
      '',
      formatTable([header, ...rows], [...header.keys()].slice(2)),
      '',
      `Medians of ${steps}. Peak resident memory of a process of its own; "of the step" leaves out what it held before the first step (Node,`,
      'weights, gradients, sessions). "Planned": what the buffers between operations hold. Time and memory beside the first row.',
    ].join('\n'),
  );
}

function modesOf(text: string): Checkpoint[] {
  return text.split(',').map((each): Checkpoint => {
    const mode = each.trim();
    return mode === 'none' || mode === 'attention' || mode === 'layer' ? mode : integer(1)(mode);
  });
}

function precisionsOf(text: string): NumberType[] {
  return text.split(',').map((each): NumberType => {
    const precision = each.trim();
    if (precision === 'f32' || precision === 'f16' || precision === 'bf16') return precision;
    throw new ArgumentError(`--precisions: "${precision}" is none of f32, f16, bf16`);
  });
}

const command = benchmark(
  'bench:training-memory',
  'Memory and time of a training step, with and without gradient checkpointing, each in a process of its own.',
  [
    ['as in the docs, a few minutes', 'npm run bench:training-memory'],
    ['quickly', 'npm run bench:training-memory -- --layers 4 --tokens 2048 --steps 1'],
  ],
)
  .option('--layers <count>', 'layers', integer(1), 12)
  .option('--hidden <width>', 'width of the residual', integer(1), 128)
  .option('--heads <count>', 'heads', integer(1), 4)
  .option('--tokens <count>', 'tokens of the one sequence', integer(1), 16_384)
  .option('--window <tokens>', 'keys before itself that a query sees', integer(0), 512)
  .option('--threads <count>', 'threads', integer(1), availableParallelism())
  .option('--steps <count>', 'steps that count, after one that does not', integer(1), 1)
  .option('--modes <list>', 'what is kept: none, attention, layer or a number of layers', modesOf, [
    'none',
    'attention',
    'layer',
    2,
  ])
  .option('--precisions <list>', 'how rows are stored: f32, f16, bf16', precisionsOf, ['f32', 'bf16']);

await start<Options>(command, run);
