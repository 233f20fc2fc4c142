/**
 * How the attention kernel became fast, step by step, on one thread: `npm run bench:ladder`. The first step is plain; the others are
 * the product's kernel with later ideas taken back (steps.ts), the last is the product. Two yardsticks stand beside it: the
 * register tile alone, and a matrix product of ONNX Runtime.
 */
import { referenceAttention, type Tensor } from '../../src/attention/index.ts';
import { Heap } from '../../src/attention/wasm/heap.ts';
import { type BlockedPlace, JOB_WORDS, NEXT_TASK_WORD, scratchBytes, writeJobs } from '../../src/attention/wasm/job.ts';
import { instantiate } from '../../src/attention/wasm/kernel-instance.ts';
import { placeMask } from '../../src/attention/wasm/mask-upload.ts';
import { compileBytes } from '../../src/attention/wasm/platform-node.ts';
import { type Contender, fill, type Problem } from '../../src/cli/bench/problem.ts';
import { timeInTurns } from '../../src/cli/bench/timing.ts';
import { integer } from '../../src/cli/command.ts';
import { formatDuration, formatPercent, formatRate, formatTable } from '../../src/cli/format.ts';
import { createNodeBackend, GraphBuilder, matmul } from '../../src/graph/index.ts';
import { BLOCK_SIDE, compileMask, statistics } from '../../src/mask/index.ts';
import { window } from '../../src/pattern/index.ts';
import { benchmark, type CommandContext, type OptionValues, start } from '../frame.ts';
import { compileAlone } from './compile-alone.ts';
import { type Step, steps } from './steps.ts';

interface Options extends OptionValues {
  readonly window: number;
  readonly seq: number;
  readonly repeat: number;
}

/** D = E; the microkernels' usual width. */
const WIDTH = 64;

type Rung = Pick<Step, 'name' | 'why'> & { readonly gigaflop: number; readonly contender: Contender };

/** q, k, v and the output of one head [N, D], and scratch, in the kernels' memory. */
class Data {
  readonly heap = new Heap();
  readonly problem: Problem;
  readonly reach: number;
  readonly q: number;
  readonly k: number;
  readonly v: number;
  readonly output: number;
  readonly scratch: number;

  constructor(length: number, reach: number) {
    this.problem = { pattern: window(reach), length, heads: 1, width: WIDTH, threads: 1 };
    this.reach = reach;
    const place = (which: number) => {
      const address = this.heap.allocate(4 * length * WIDTH);
      if (which < 3)
        fill(this.heap.floats(address, length * WIDTH) as Float32Array<ArrayBuffer>, which, this.problem, {});
      return address;
    };
    [this.q, this.k, this.v, this.output] = [place(0), place(1), place(2), place(3)];
    this.scratch = this.heap.allocate(Math.max(scratchBytes({ queryWidth: WIDTH, valueWidth: WIDTH }), 8 * reach + 64));
  }

  contender(run: () => void): Contender {
    const numbers = this.heap.floats(this.output, this.problem.length * WIDTH);
    return {
      async run() {
        run();
      },
      at: (_, i, d) => numbers[i * WIDTH + d] ?? Number.NaN,
      async [Symbol.asyncDispose]() {},
    };
  }

  /** Largest difference of the last output from the float64 definition, in the first rows. */
  difference(): number {
    const { length } = this.problem;
    const rows = Math.min(length, 2 * this.reach + BLOCK_SIDE);
    const part = (address: number): Tensor => ({
      data: this.heap.floats(address, rows * WIDTH).slice() as Float32Array<ArrayBuffer>,
      shape: [1, 1, rows, WIDTH],
    });
    const exact = referenceAttention({
      q: part(this.q),
      k: part(this.k),
      v: part(this.v),
      pattern: window(this.reach),
    });
    const got = this.heap.floats(this.output, rows * WIDTH);
    // Later rows see keys beyond these.
    const complete = rows === length ? rows : rows - this.reach;
    let worst = 0;
    for (let i = 0; i < complete * WIDTH; i++) {
      worst = Math.max(worst, Math.abs((exact.output[i] ?? Number.NaN) - (got[i] ?? Number.NaN)));
    }
    return worst;
  }
}

async function plain(data: Data): Promise<Contender> {
  const bytes = await compileAlone('plain');
  const { attend } = new WebAssembly.Instance(compileBytes('baseline', bytes), {
    env: { memory: data.heap.memory },
  }).exports as { attend: (...values: number[]) => void };
  const { q, k, v, output, scratch, reach, problem } = data;
  return data.contender(() => {
    attend(q, k, v, output, scratch, problem.length, WIDTH, reach, Math.LOG2E / Math.sqrt(WIDTH));
  });
}

async function kernel(index: number, data: Data): Promise<Contender> {
  const { relaxed, merged } = steps[index] as Step;
  const bytes = await compileAlone(index);
  const module = compileBytes(merged ? 'merged' : relaxed ? 'relaxed' : 'baseline', bytes);
  const { heap, problem, scratch } = data;
  const { length } = problem;
  const { work } = instantiate(module, heap.memory);
  const place = (address: number): BlockedPlace => ({
    address,
    batch: 0,
    head: 0,
    row: 4 * WIDTH,
    block: 4 * WIDTH * BLOCK_SIDE,
  });
  const job = heap.allocate(4 * JOB_WORDS);
  writeJobs(heap.words(job, JOB_WORDS), [
    {
      batch: 1,
      heads: 1,
      keyValueHeads: 1,
      queries: length,
      queryWidth: WIDTH,
      valueWidth: WIDTH,
      q: place(data.q),
      k: place(data.k),
      v: place(data.v),
      output: place(data.output),
      lse: heap.allocate(4 * length),
      scale: 1 / Math.sqrt(WIDTH),
      sinkLogits: 0,
      mask: placeMask(heap, compileMask(problem.pattern, { queries: length, keys: length, heads: 1 })),
    },
  ]);
  return data.contender(() => {
    heap.words(job, JOB_WORDS)[NEXT_TASK_WORD] = 0;
    work(job, scratch, length);
  });
}

/** The product's register tile on operands in the first cache. */
async function tile(data: Data): Promise<Rung> {
  const bytes = await compileAlone('peak');
  const { multiply } = new WebAssembly.Instance(compileBytes('merged', bytes), {
    env: { memory: data.heap.memory },
  }).exports as { multiply: (...values: number[]) => number };
  const [times, address] = [2000, data.heap.allocate(4 * (48 * 64 + 64 * 16 + 48 * 16))];
  const run = () => multiply(address, address + 4 * 48 * 64, address + 4 * (48 * 64 + 64 * 16), times);
  return { name: 'the register tile alone', why: '', gigaflop: (2 * run()) / 1e9, contender: data.contender(run) };
}

/** A matrix product of ONNX Runtime on one thread: what native code reaches here. */
async function native(data: Data): Promise<Rung> {
  const side = 768;
  const graph = new GraphBuilder('matrix product');
  const [a, b] = [graph.input('a', 'float32', [side, side]), graph.input('b', 'float32', [side, side])];
  graph.output(matmul(graph, a, b), 'c');
  const session = await (await createNodeBackend({ threads: 1 })).compile(graph.build());
  const tensor = () =>
    ({ type: 'float32', data: new Float32Array(side * side).fill(0.5), shape: [side, side] }) as const;
  const [feeds, fetches] = [{ a: tensor(), b: tensor() }, { c: tensor() }];
  return {
    name: "ONNX Runtime's matrix product",
    why: '',
    gigaflop: (2 * side ** 3) / 1e9,
    contender: { ...data.contender(() => {}), run: () => session.run(feeds, fetches) },
  };
}

async function run({ seq, window: reach, repeat }: Options, context: CommandContext): Promise<void> {
  const data = new Data(Math.ceil(seq / BLOCK_SIDE) * BLOCK_SIDE, reach);
  const { length } = data.problem;
  const { pairs } = statistics(compileMask(data.problem.pattern, { queries: length, keys: length, heads: 1 }));
  const gigaflop = (4 * WIDTH * pairs) / 1e9;
  const rungs: Rung[] = [{ name: 'plain', why: 'as the definition reads', gigaflop, contender: await plain(data) }];
  const differences: number[] = [];
  {
    using progress = context.progress({ label: 'compiling', unit: 'steps', total: steps.length + 2 });
    for (const [i, { name, why }] of steps.entries()) {
      context.signal.throwIfAborted();
      rungs.push({ name, why, gigaflop, contender: await kernel(i, data) });
      progress.update(i + 1);
    }
  }
  for (const { contender } of rungs) {
    data.heap.floats(data.output, length * WIDTH).fill(Number.NaN);
    await contender.run(context.signal);
    differences.push(data.difference());
  }
  const all = [...rungs, await tile(data), await native(data)];
  using progress = context.progress({ label: 'timing', unit: 'runs', total: all.length * (repeat + 1) });
  const timings = await timeInTurns(
    all.map(({ contender }) => contender),
    { repeat, signal: context.signal, onRun: (done) => progress.update(done) },
  );
  const results = all.map(({ name, why, gigaflop: work }, i) => {
    const { milliseconds = Number.NaN, runs = [] } = timings[i] ?? {};
    return {
      name,
      why,
      milliseconds,
      runs,
      gigaflops: (1000 * work) / milliseconds,
      largestDifference: differences[i],
    };
  });
  const last = results[rungs.length - 1];
  const rows = results.map(({ name, milliseconds, gigaflops, largestDifference }, i) => {
    const before = i > 0 && i < rungs.length ? results[i - 1] : undefined;
    return [
      name,
      formatDuration(milliseconds),
      formatRate(gigaflops),
      before === undefined ? '' : `${formatRate(before.milliseconds / milliseconds)}x`,
      largestDifference?.toExponential(1) ?? '',
    ];
  });
  const share = (other: number) => formatPercent((last?.gigaflops ?? Number.NaN) / (results[other]?.gigaflops ?? 0));
  context.result(
    { window: reach, seq: length, dim: WIDTH, threads: 1, repeat, pairs, results },
    [
      `window:${reach}, ${length} tokens, one head of ${WIDTH}, one thread; medians of ${repeat}, in turns`,
      '',
      formatTable([['step', 'median', 'GFLOPS', 'gain', 'from float64'], ...rows], [1, 2, 3, 4]),
      '',
      ...rungs.map(({ name, why }) => `${name}: ${why}`),
      '',
      'GFLOPS count 4 D operations for each allowed pair.',
      `The last step reaches ${share(rungs.length)} of the register tile alone, ${share(rungs.length + 1)} of ONNX Runtime's matrix product.`,
    ].join('\n'),
  );
}

const command = benchmark(
  'bench:ladder',
  'Times the attention kernel step by step, from the definition to the product.',
  [['as in the docs', 'npm run bench:ladder']],
)
  .option('--window <tokens>', 'keys to either side that a query sees', integer(0), 256)
  .option('--seq <tokens>', 'queries, and keys', integer(1), 6144)
  .option('--repeat <times>', 'runs of each that count', integer(1), 15);

await start<Options>(command, run);
