/** What `farfield bench model` does with a decoder. */
import { ArgumentError } from '../../errors.ts';
import {
  type DecoderContender,
  type DecoderContenderName,
  type DecoderRun,
  type DecoderSubject,
  decoderContenders,
} from '../bench/decoder/contenders.ts';
import { type DecoderBenchResult, describeDecoderBench } from '../bench/decoder/report.ts';
import { peakOfProcess } from '../bench/peak-memory.ts';
import { median } from '../bench/timing.ts';
import type { CommandContext } from '../context.ts';

export interface DecoderBenchOptions {
  readonly names: readonly DecoderContenderName[];
  /** Lengths of texts. */
  readonly lengths: readonly number[];
  readonly repeat: number;
  readonly warmUp: boolean;
  readonly time: boolean;
  readonly memory: boolean;
}

/** Measures each contender at each length, in turns, and prints a table. */
export async function benchDecoder(
  subject: DecoderSubject,
  options: DecoderBenchOptions,
  context: CommandContext,
): Promise<void> {
  const results = await measure(subject, options, context);
  const text = describeDecoderBench(subject, results, { ...options, columns: Math.min(context.columns, 100) });
  context.result({ ...subject, repeat: options.repeat, results }, text);
}

async function measure(
  subject: DecoderSubject,
  { names, lengths, repeat, warmUp, time, memory }: DecoderBenchOptions,
  context: CommandContext,
): Promise<DecoderBenchResult[]> {
  const { signal } = context;
  const rounds = time ? repeat + (warmUp ? 1 : 0) : 0;
  const total = names.length * lengths.length * ((memory ? 1 : 0) + rounds);
  if (total === 0) throw new ArgumentError('nothing is left to measure: leave out one of --no-time and --no-memory');
  using progress = context.progress({ label: 'measuring', unit: 'runs', total });
  let done = 0;
  const results: DecoderBenchResult[] = [];
  // First the memory, each in a process of its own, while this one is still small.
  for (const tokens of lengths) {
    for (const name of names) {
      if (!memory) results.push({ tokens, name });
      else {
        const args = [name, JSON.stringify({ ...subject, longest: tokens }), String(tokens)];
        const peakMemoryBytes = await peakOfProcess('./decoder/peak-memory-process', args, signal);
        results.push({ tokens, name, peakMemoryBytes });
        progress.update(++done);
      }
    }
  }
  if (!time) return results;
  const prepared: DecoderContender[] = [];
  try {
    for (const name of names) prepared.push(await decoderContenders[name].prepare(subject, signal));
    for (const tokens of lengths) {
      const runs = names.map((): DecoderRun[] => []);
      for (let round = warmUp ? -1 : 0; round < repeat; round++) {
        for (const [i, contender] of prepared.entries()) {
          signal.throwIfAborted();
          const run = await contender.run(tokens, signal);
          if (round >= 0) runs[i]?.push(run);
          progress.update(++done);
          // Lets Ctrl-C and the progress line in: a run of ONNX Runtime blocks the event loop.
          await new Promise((resolve) => setImmediate(resolve));
        }
      }
      const reference = runs[names.indexOf('farfield-dense')]?.[0];
      for (const [i, name] of names.entries()) {
        const at = results.findIndex((result) => result.tokens === tokens && result.name === name);
        const compared = name === 'onnxruntime-dense' && subject.weights === 'f32' ? reference : undefined;
        results[at] = { ...(results[at] ?? { tokens, name }), ...figures(runs[i] ?? [], tokens, subject, compared) };
      }
    }
    return results;
  } finally {
    for (const contender of prepared) await contender[Symbol.asyncDispose]();
  }
}

function figures(
  runs: readonly DecoderRun[],
  tokens: number,
  { decode }: DecoderSubject,
  reference: DecoderRun | undefined,
): Partial<DecoderBenchResult> {
  const [first] = runs;
  const prefillRuns = runs.map(({ prefill }) => prefill);
  const milliseconds = median(prefillRuns);
  const decodes = runs.flatMap((run) => (run.decode === undefined ? [] : [run.decode]));
  return {
    prefillMilliseconds: milliseconds,
    prefillRuns,
    prefillTokensPerSecond: (1000 * tokens) / milliseconds,
    ...(decodes.length === 0 ? {} : { decodeTokensPerSecond: (1000 * decode) / median(decodes) }),
    ...(first?.cacheBytes === undefined ? {} : { cacheBytes: first.cacheBytes }),
    ...(reference === undefined ? {} : { largestDifference: difference(reference.logits, first?.logits ?? []) }),
  };
}

function difference(want: Float32Array, got: ArrayLike<number>): number {
  let [largest, apart] = [0, 0];
  for (const [i, x] of want.entries()) {
    largest = Math.max(largest, Math.abs(x));
    apart = Math.max(apart, Math.abs(x - (got[i] ?? Number.NaN)));
  }
  return apart / largest;
}
