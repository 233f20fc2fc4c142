/**
 * Memory of exported files in onnxruntime-node as the text grows: `npm run bench:exported-length`. A LongT5 with summaries, an LED that answers and a
 * Gemma 3 of small sizes with random weights, each length in a process of its own.
 */
import { availableParallelism } from 'node:os';
import { Option } from 'commander';
import { integer } from '../src/cli/command.ts';
import { formatBytes, formatCount, formatDuration, formatTable } from '../src/cli/format.ts';
import { runAlone } from './alone.ts';
import type { ExportedFile, ExportedLengthJob, ExportedLengthResult } from './exported-length-alone.ts';
import { benchmark, type CommandContext, integers, type OptionValues, start } from './frame.ts';

interface Options extends OptionValues {
  readonly files: readonly ExportedFile[];
  readonly lengths: readonly number[];
  readonly threads: number;
}

const FILES: readonly ExportedFile[] = ['longt5-encoder', 'longt5-decoder', 'led-answers', 'gemma3'];
const alone = new URL('./exported-length-alone.ts', import.meta.url);

async function run({ files, lengths, threads }: Options, context: CommandContext): Promise<void> {
  const jobs = files.flatMap((file) => lengths.map((length): ExportedLengthJob => ({ file, length, threads })));
  using progress = context.progress({ label: 'running', unit: 'files', total: jobs.length });
  const results: (ExportedLengthJob & ExportedLengthResult)[] = [];
  for (const job of jobs) {
    results.push({ ...job, ...(await runAlone<ExportedLengthResult>(alone, job, context.signal)) });
    progress.update(results.length);
  }
  progress.clear();
  const header = ['file', 'tokens', 'one run', 'peak memory', 'more for each token more'];
  const rows = results.map(({ file, length, milliseconds, peakMemoryBytes }, i) => {
    const last = results[i - 1];
    const grows = last?.file === file ? (peakMemoryBytes - last.peakMemoryBytes) / (length - last.length) : undefined;
    return [
      file,
      formatCount(length),
      formatDuration(milliseconds),
      formatBytes(peakMemoryBytes),
      grows === undefined ? '' : formatBytes(Math.max(0, grows)),
    ];
  });
  context.result({ results }, formatTable([header, ...rows], [1, 2, 3, 4]));
}

const command = benchmark(
  'bench:exported-length',
  'Memory of exported ONNX files in onnxruntime-node at growing lengths: each in a process of its own.',
  [
    ['as in the docs', 'npm run bench:exported-length'],
    ['quickly', 'npm run bench:exported-length -- --lengths 2048,4096'],
  ],
)
  .addOption(new Option('--files <names...>', 'which of them').choices(FILES).default(FILES))
  .option('--lengths <list>', 'tokens, separated by commas', integers(1), [4096, 8192, 16_384])
  .option('--threads <count>', 'threads', integer(1), availableParallelism());

await start<Options>(command, run);
