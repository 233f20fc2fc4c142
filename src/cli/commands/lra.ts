import { availableParallelism } from 'node:os';
import { Option } from 'commander';
import { createDevice } from '../../attention/index.ts';
import { createNodeBackend } from '../../graph/index.ts';
import { type ArenaResult, arenaPatterns, ownPattern, runArena } from '../../task/index.ts';
import { type TaskName, tasks } from '../../train/index.ts';
import { addCommand, integer, listOf, type Register } from '../command.ts';
import type { CommandContext } from '../context.ts';
import { formatCount, formatCounted, formatDuration, formatGroups, formatPercent, wrap } from '../format.ts';
import { numberFrom } from './model-options.ts';

interface Options {
  readonly task: readonly TaskName[];
  readonly pattern?: readonly string[];
  readonly steps: number;
  readonly tokens: number;
  readonly heldOut: number;
  readonly width: number;
  readonly layers: number;
  readonly heads: number;
  readonly learningRate: number;
  readonly seed: number;
  readonly threads: number;
}

const names = Object.keys(tasks) as TaskName[];

/** Those of 16,384 and of 8,001 tokens take longer, under dense attention, than all others together. */
const LONG: readonly TaskName[] = ['pathfinder-128', 'shared-subject'];
const DEFAULT_TASKS = names.filter((name) => !LONG.includes(name));

export const registerLra: Register = (program, start) => {
  addCommand(program, 'lra', {
    summary: 'train one small classifier under many patterns, on tasks after the Long Range Arena',
    description:
      'Trains the same small encoder under each pattern, from the same weights, on the same sequences, for the same number of ' +
      'steps and tokens, and prints the accuracy on sequences held out, beside that of the published table (Tay et al. 2021). Published ' +
      'models were larger and trained far longer. The tasks are made by code: see docs/data.md.',
    examples: [
      { does: 'all patterns on ListOps and Pathfinder', command: 'farfield lra --task listops,pathfinder-32' },
      {
        does: 'longer, with patterns of your own',
        command: 'farfield lra --pattern dense window:32+global:0 --steps 2000',
      },
      { does: 'to see how long a step takes', command: 'farfield lra --steps 3 --held-out 8' },
    ],
  })
    .addOption(
      new Option('--task <names>', `tasks, separated by commas: ${names.join(', ')}`)
        .argParser(listOf(names))
        .default(DEFAULT_TASKS, DEFAULT_TASKS.join(',')),
    )
    .option('--pattern <texts...>', 'patterns instead of the usual five; row 0 is the classification token')
    .option('--steps <count>', 'steps of each training', integer(1), 400)
    .option('--tokens <count>', "tokens in a step: as many of a task's longest sequences as fit", integer(1), 8192)
    .option('--held-out <count>', 'sequences that the accuracy is measured on', integer(2), 200)
    .option('--width <count>', 'width of the model', integer(1), 32)
    .option('--layers <count>', 'layers', integer(1), 1)
    .option('--heads <count>', 'heads', integer(1), 2)
    .option('--learning-rate <rate>', 'the largest, after a tenth of the steps; it falls to 0', numberFrom(0, 1), 0.004)
    .option('--seed <number>', 'of weights and data', integer(0), 0)
    .option('--threads <count>', 'threads', integer(1), availableParallelism())
    .action(start(lra));
};

async function lra(options: Options, context: CommandContext): Promise<void> {
  const {
    task,
    pattern,
    steps,
    tokens,
    heldOut,
    width: hiddenSize,
    layers,
    heads,
    learningRate,
    seed,
    threads,
  } = options;
  const patterns = pattern === undefined ? arenaPatterns : pattern.map(ownPattern);
  await using device = await createDevice({ threads });
  const backend = await createNodeBackend({ threads, memoryArena: true });
  const total = task.length * patterns.length * steps;
  const results: ArenaResult[] = [];
  using line = context.progress({ label: 'training', unit: 'steps', total });
  const runs = runArena({
    tasks: task,
    patterns,
    steps,
    tokens,
    heldOut,
    hiddenSize,
    layers,
    heads,
    learningRate,
    seed,
    model: { device, backend },
    signal: context.signal,
    onProgress: ({ done }) => line.update(done),
  });
  for await (const result of runs) {
    results.push(result);
    // A training takes minutes: what is known is said at once.
    context.note(`${result.task}, ${result.pattern}: ${formatPercent(result.accuracy)} of ${heldOut}`);
  }
  const budget = { steps, tokens, heldOut, hiddenSize, layers, heads, learningRate, seed };
  context.result({ ...budget, results }, describe(results, budget, Math.min(context.columns, 100)));
}

function describe(
  results: readonly ArenaResult[],
  { steps, tokens, heldOut }: { readonly steps: number; readonly tokens: number; readonly heldOut: number },
  columns: number,
): string {
  const percent = (share: number): string => (100 * share).toFixed(1);
  const groups = [...new Set(results.map(({ task }) => task))].map((task) => {
    const own = results.filter((result) => result.task === task);
    const rows = own.map((result) => [
      result.pattern,
      `${percent(result.accuracy)} ± ${percent(result.standardError)}`,
      result.published === undefined ? '' : publishedText(result),
      formatCount(result.sequences),
      formatDuration(1000 * result.seconds),
      formatCount(result.weights),
    ]);
    return { title: `${task} (the commonest class: ${percent(own[0]?.majority ?? Number.NaN)})`, rows };
  });
  const header = ['', 'accuracy', 'published', 'a step', 'time', 'weights'];
  const standIns = [...new Set(results.map(({ task }) => task))].filter((task) => tasks[task].likeness === 'stand-in');
  const remarks = [
    `${formatCounted(steps, 'step')} of at most ${formatCounted(tokens, 'token')}; a step: in so many sequences.`,
    `Accuracy in percent of ${formatCount(heldOut)} held-out sequences, with its standard error.`,
    'Published: Tay et al. 2021, table 1, of larger models that trained far longer.',
    ...(standIns.length === 0
      ? []
      : [`In brackets: published on other data, which ${standIns.join(', ')} stands in for.`]),
  ];
  return [formatGroups(header, groups), '', ...remarks.map((remark) => wrap(remark, columns))].join('\n');
}

function publishedText({ task, published = Number.NaN }: ArenaResult): string {
  return tasks[task].likeness === 'stand-in' ? `(${published.toFixed(2)})` : published.toFixed(2);
}
