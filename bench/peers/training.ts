/**
 * The same small dense GPT trained by Farfield, TensorFlow.js and jax-js, in one process, in turns: the same weights, batch and
 * optimizer. bench/peers/README.md says how to install and run it; docs/benchmarks.md what it showed.
 */
import { availableParallelism } from 'node:os';
import { timeInTurns } from '../../src/cli/bench/timing.ts';
import { integer, listOf } from '../../src/cli/command.ts';
import { formatDuration, formatRate, formatTable } from '../../src/cli/format.ts';
import { FarfieldError } from '../../src/errors.ts';
import { gptSpecifications } from '../../src/model/gpt.ts';
import { initialParameters } from '../../src/model/transformer.ts';
import { benchmark, type CommandContext, type OptionValues, start } from '../frame.ts';
import { openFarfieldTrainer } from './farfield-trainer.ts';
import { openJaxTrainer } from './jax-js-trainer.ts';
import { openTfjsTrainer } from './tfjs-trainer.ts';
import { type Trainer, type TrainerName, type TrainingProblem, trainerNames } from './trainer.ts';

interface Options extends OptionValues {
  readonly layers: number;
  readonly hidden: number;
  readonly heads: number;
  readonly context: number;
  readonly batch: number;
  readonly threads: number;
  readonly repeat: number;
  readonly trainers: readonly TrainerName[];
}

const LEARNING_RATE = 0.05;
/** Largest difference of two trainers' losses, relative. */
const AGREEMENT = 1e-3;

const openers: Record<TrainerName, (problem: TrainingProblem) => Promise<Trainer>> = {
  farfield: openFarfieldTrainer,
  tfjs: openTfjsTrainer,
  'jax-js': openJaxTrainer,
};

async function run(options: Options, context: CommandContext): Promise<void> {
  const { repeat, signal } = { ...options, signal: context.signal };
  const problem = problemOf(options);
  await using stack = new AsyncDisposableStack();
  const trainers: Trainer[] = [];
  for (const name of options.trainers) {
    const trainer = stack.use(await openers[name](problem));
    trainers.push(trainer);
    context.note(`${name}: ${trainer.about}`);
    signal.throwIfAborted();
  }
  const losses = trainers.map((): number[] => []);
  const contenders = trainers.map((trainer, i) => ({
    run: async () => {
      losses[i]?.push(await trainer.step(signal));
    },
    at: () => Number.NaN,
    [Symbol.asyncDispose]: async () => {},
  }));
  const total = (1 + repeat) * trainers.length;
  using progress = context.progress({ label: 'training', unit: 'steps', total });
  const timings = await timeInTurns(contenders, { repeat, signal, onRun: (done) => progress.update(done) });
  const difference = largestDifference(losses);
  if (!(difference <= AGREEMENT)) {
    throw new FarfieldError(
      `the trainers do not compute the same: losses differ by ${difference.toExponential(1)} relative, more than ` +
        `${AGREEMENT}: ${trainers.map(({ name }, i) => `${name} ${losses[i]?.map((loss) => loss.toFixed(5)).join(', ')}`).join('; ')}`,
    );
  }
  const [first] = timings;
  const results = trainers.map(({ name, about }, i) => ({
    name,
    about,
    stepsPerSecond: 1000 / (timings[i]?.milliseconds ?? Number.NaN),
    timesSlower: (timings[i]?.milliseconds ?? Number.NaN) / (first?.milliseconds ?? Number.NaN),
    milliseconds: timings[i]?.milliseconds ?? Number.NaN,
    runs: timings[i]?.runs ?? [],
    losses: losses[i] ?? [],
  }));
  const { layers, hidden, heads, context: length, batch, threads } = options;
  context.result(
    { layers, hidden, heads, context: length, batch, threads, repeat, difference, results },
    [
      `${layers} layers of ${hidden}, ${heads} heads, ${batch} sequences of ${length} bytes, dense causal attention, SGD`,
      '',
      formatTable(
        [
          ['trainer', 'a step', 'steps/s', `time beside ${results[0]?.name}`, 'first loss', 'last loss'],
          ...results.map((each) => [
            each.name,
            formatDuration(each.milliseconds),
            formatRate(each.stepsPerSecond),
            `${formatRate(each.timesSlower)} x`,
            (each.losses[0] ?? Number.NaN).toFixed(5),
            (each.losses.at(-1) ?? Number.NaN).toFixed(5),
          ]),
        ],
        [1, 2, 3, 4, 5],
      ),
      '',
      `Medians of ${repeat}, in turns, after one step that does not count. Losses of all steps agree to ${difference.toExponential(1)}.`,
    ].join('\n'),
  );
}

function problemOf({ layers, hidden, heads, context, batch, threads }: Options): TrainingProblem {
  const config = { vocabularySize: 256, hiddenSize: hidden, layers, heads, context, positions: 'learned' } as const;
  const parameters = initialParameters(gptSpecifications(config));
  const rows = batch * context;
  // Bytes with some order in them: each is a function of its place.
  const ids = Int32Array.from({ length: rows + 1 }, (_, i) => (i * i + (i >> 3)) % 251);
  return {
    vocabulary: config.vocabularySize,
    layers,
    hidden,
    heads,
    context,
    batch,
    threads,
    learningRate: LEARNING_RATE,
    weights: new Map(parameters.map(({ name, shape, data }) => [name, { shape, data }])),
    inputs: ids.slice(0, rows),
    targets: ids.slice(1),
  };
}

/** Of the losses of any step between any trainer and the first, relative to the first's. */
function largestDifference(losses: readonly (readonly number[])[]): number {
  const [first = [], ...others] = losses;
  const differences = others.flatMap((own) =>
    first.map((loss, step) => Math.abs((own[step] ?? Number.NaN) - loss) / Math.abs(loss)),
  );
  return differences.reduce((most, each) => (each <= most ? most : each), 0);
}

const command = benchmark(
  'bench:training-peers',
  'Trains the same small dense GPT with Farfield, TensorFlow.js (wasm) and jax-js (wasm), in one process and in turns, and prints steps/s.',
  [
    ['as in the docs', 'npm run bench:training-peers'],
    ['quickly', 'npm run bench:training-peers -- --layers 2 --context 128 --batch 1 --repeat 2'],
  ],
)
  .option('--layers <count>', 'layers', integer(1), 4)
  .option('--hidden <width>', 'width of the residual', integer(1), 128)
  .option('--heads <count>', 'heads', integer(1), 4)
  .option('--context <tokens>', 'tokens of a sequence', integer(1), 256)
  .option('--batch <sequences>', 'sequences of a step', integer(1), 4)
  .option('--threads <count>', 'threads of each that can have threads', integer(1), Math.min(2, availableParallelism()))
  .option('--repeat <times>', 'steps of each that count', integer(1), 5)
  .option('--trainers <names>', 'who trains; times are beside the first', listOf(trainerNames), [...trainerNames]);

await start<Options>(command, run);
