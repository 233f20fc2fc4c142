/** What `farfield bench model` prints of a decoder. */
import { counted } from '../../../counted.ts';
import { formatPattern } from '../../../pattern/index.ts';
import { formatCounted, formatGroups, formatRate, wrap } from '../../format.ts';
import { byteUnit, formatRatio, timeUnit } from '../table.ts';
import { type DecoderContenderName, type DecoderSubject, decoderContenders } from './contenders.ts';

export interface DecoderBenchResult {
  /** Tokens of the text. */
  readonly tokens: number;
  readonly name: DecoderContenderName;
  /** Median of reading the text, and each; absent with --no-time. */
  readonly prefillMilliseconds?: number;
  readonly prefillRuns?: readonly number[];
  readonly prefillTokensPerSecond?: number;
  /** Of generating behind the text; absent where the contender only reads. */
  readonly decodeTokensPerSecond?: number;
  /** Of keys and values. */
  readonly cacheBytes?: number;
  /** Peak resident memory of a process of its own; absent with --no-memory. */
  readonly peakMemoryBytes?: number;
  /** Largest difference of the logits behind the text from farfield-dense's, over the largest of them, with float32 weights. */
  readonly largestDifference?: number;
}

export interface DecoderReportOptions {
  readonly repeat: number;
  readonly time: boolean;
  readonly memory: boolean;
  /** The width to write to. */
  readonly columns: number;
}

export function describeDecoderBench(
  { model, pattern, weights, decode, threads }: DecoderSubject,
  results: readonly DecoderBenchResult[],
  { repeat, time, memory, columns }: DecoderReportOptions,
): string {
  const times = timeUnit(results.flatMap(({ prefillRuns = [] }) => prefillRuns));
  const caches = byteUnit(results.map(({ cacheBytes = 0 }) => cacheBytes));
  const peaks = byteUnit(results.map(({ peakMemoryBytes = 0 }) => peakMemoryBytes));
  const rate = (value: number | undefined): string => (value === undefined ? '' : formatRate(value));
  const groups = [...new Set(results.map(({ tokens }) => tokens))].map((tokens) => {
    const own = results.filter((result) => result.tokens === tokens);
    const ours = own.find(({ name }) => name === 'farfield');
    const rows = own.map((result) => {
      const { name, prefillMilliseconds, peakMemoryBytes } = result;
      const speed = [
        times.format(prefillMilliseconds),
        result === ours ? '' : formatRatio(prefillMilliseconds, ours?.prefillMilliseconds),
        rate(result.prefillTokensPerSecond),
        rate(result.decodeTokensPerSecond),
        caches.format(result.cacheBytes),
      ];
      return [name, ...(time ? speed : []), ...(memory ? [peaks.format(peakMemoryBytes)] : [])];
    });
    return { title: formatCounted(tokens, 'token'), rows };
  });
  const header = [
    '',
    ...(time ? [times.name, 'ratio', 'tokens/s', 'next/s', `cache, ${caches.name}`] : []),
    ...(memory ? [`peak, ${peaks.name}`] : []),
  ];
  const notes = [
    ...(time
      ? [
          `${times.name}: of reading the text, the median of ${counted(repeat, 'run')}, in turns, in one process; ratio: to farfield's.`,
          `next/s: tokens/s at generating ${counted(decode, 'token')} behind it; cache: its keys and values.`,
        ]
      : []),
    ...(memory ? ['peak: the memory of a process of its own, Node and the weights included.'] : []),
    ...[...new Set(results.map(({ name }) => name))].map((name) => `${name}: ${decoderContenders[name].what}.`),
    ...results.flatMap(({ tokens, name, largestDifference }) =>
      largestDifference === undefined
        ? []
        : [
            `${name} at ${formatCounted(tokens, 'token')} differs from farfield-dense by at most ${largestDifference.toExponential(1)}.`,
          ],
    ),
  ];
  const form = pattern === undefined ? 'its own pattern' : formatPattern(pattern);
  return [
    wrap(`${model}, ${form}, weights ${weights}, ${counted(threads, 'thread')}`, columns),
    '',
    formatGroups(header, groups),
    '',
    ...notes.map((note) => wrap(note, columns - 2, '  ')),
  ].join('\n');
}
