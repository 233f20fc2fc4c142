import { availableParallelism } from 'node:os';
import { InvalidArgumentError } from 'commander';
import { type Advice, type Answer, advise } from '../../task/advise/index.ts';
import { addCommand, integer, type Register } from '../command.ts';
import type { CommandContext } from '../context.ts';
import { readMemory } from '../machine/processor.ts';
import { describeAnswer } from './advise-report.ts';

interface Options {
  readonly task: string;
  readonly length: number;
  readonly memory?: number;
  readonly heads: number;
  readonly dim: number;
  readonly layers: number;
  readonly threads: number;
}

export const registerAdvise: Register = (program, start) => {
  addCommand(program, 'advise', {
    summary: 'recommend a pattern for a task, a length and a memory budget',
    description:
      'Recommends attention patterns with their parameters: why, from which paper, what they cost, and how long one layer ' +
      'takes on this machine, measured. Memory is that of attention and the hidden states; the weights come on top.',
    examples: [
      {
        does: 'questions about a text of 60,000 tokens, in 4 GB',
        command: 'farfield advise --task qa --length 60000 --memory 4GB',
      },
      {
        does: 'a small model that writes, on one thread',
        command: 'farfield advise --task generation --length 200000 --heads 9 --layers 30 --threads 1',
      },
    ],
  })
    .option('--task <task>', 'what the model is for, such as qa, summarization, generation, genomics')
    .option('--length <tokens>', 'length of the text', integer(1))
    .option('--memory <bytes>', 'what the run may take, such as 4GB or 512MB; default: what is free', parseBytes)
    .option('--heads <count>', 'heads', integer(1), 12)
    .option('--dim <width>', 'width of a head', integer(1), 64)
    .option('--layers <count>', 'layers', integer(1), 12)
    .option('--threads <count>', 'threads', integer(1), availableParallelism())
    .action(start(run, ['task', 'length']));
};

/** 4GB is 4e9 bytes, 4GiB is 4 * 2^30, and 4G is 4GB. */
export function parseBytes(text: string): number {
  const found = /^(\d+(?:\.\d+)?)\s*(?:([kmgt])(i?)b?|b)?$/i.exec(text.trim());
  const power = found?.[2] === undefined ? 0 : 'kmgt'.indexOf(found[2].toLowerCase()) + 1;
  const bytes = Number(found?.[1] ?? Number.NaN) * (found?.[3] ? 1024 : 1000) ** power;
  if (!(bytes >= 1)) throw new InvalidArgumentError('It must be a size such as 4GB, 512MB or 1.5GiB.');
  return Math.floor(bytes);
}

async function run(options: Options, context: CommandContext): Promise<void> {
  const { task, length, memory = readMemory().availableBytes, heads, dim, layers, threads } = options;
  using progress = context.progress({ label: 'measuring', unit: 'patterns' });
  const answer = await advise({
    task,
    length,
    memoryBytes: memory,
    heads,
    width: dim,
    layers,
    threads,
    signal: context.signal,
    onMeasured: (done) => progress.update(done),
  });
  context.result(toJson(answer), describeAnswer(answer, Math.min(context.columns, 100)));
}

function toJson(answer: Answer): object {
  const { task, shape, memoryBytes, advice, dense, tooLarge, denseScoreBytes, threads, gigaflops } = answer;
  const plain = ({
    recommendation,
    size,
    patterns,
    ...numbers
  }: Omit<Advice, 'predictedMilliseconds' | 'measured'>) => {
    const { id, name, why, claim, note, source } = recommendation;
    return { id, name, patterns, why, claim, note, source, ...numbers };
  };
  return {
    task: task.name,
    ...shape,
    memoryBytes,
    threads,
    gigaflops,
    recommended: advice.map(plain),
    dense: { ...plain(dense), scoreBytes: denseScoreBytes },
    tooLarge: tooLarge.map(plain),
  };
}
