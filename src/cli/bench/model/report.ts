/** What `farfield bench model` prints of an encoder. */
import { counted, plural } from '../../../counted.ts';
import { formatPattern } from '../../../pattern/index.ts';
import { formatCount, formatGroups, formatRate, wrap } from '../../format.ts';
import { byteUnit, formatRange, formatRatio, timeUnit } from '../table.ts';
import { type ModelContenderName, modelContenders } from './contenders.ts';
import type { Subject } from './subject.ts';

export interface ModelBenchResult {
  /** Tokens of each text of the batch. */
  readonly lengths: readonly number[];
  readonly name: ModelContenderName;
  /** Median of the repeats, and each; absent with --no-time. */
  readonly milliseconds?: number;
  readonly runs?: readonly number[];
  readonly tokensPerSecond?: number;
  /** Peak resident memory of a process of its own; absent with --no-memory. */
  readonly peakMemoryBytes?: number;
  /** Largest difference of the mean hidden state from Farfield's, over the largest number in it, where both compute the same. */
  readonly largestDifference?: number;
}

export interface ModelReportOptions {
  readonly repeat: number;
  readonly time: boolean;
  readonly memory: boolean;
  /** The width to write to. */
  readonly columns: number;
}

export function describeModelBench(
  subject: Subject,
  results: readonly ModelBenchResult[],
  { repeat, time, memory, columns }: ModelReportOptions,
): string {
  const times = timeUnit(results.flatMap(({ runs = [] }) => runs));
  const bytes = byteUnit(results.map(({ peakMemoryBytes = 0 }) => peakMemoryBytes));
  const batches = [...new Set(results.map(({ lengths }) => lengths))];
  const groups = batches.map((lengths) => {
    const own = results.filter((result) => result.lengths === lengths);
    const ours = own.find(({ name }) => name === 'farfield');
    const rows = own.map((result) => {
      const { name, milliseconds, runs = [], tokensPerSecond = Number.NaN, peakMemoryBytes } = result;
      const base = result === ours ? undefined : ours;
      const speed = [
        times.format(milliseconds),
        formatRange(runs, times),
        formatRatio(milliseconds, base?.milliseconds),
        formatRate(tokensPerSecond),
      ];
      const peak = [bytes.format(peakMemoryBytes), formatRatio(peakMemoryBytes, base?.peakMemoryBytes)];
      return [name, ...(time ? speed : []), ...(memory ? peak : [])];
    });
    return { title: wrap(textsOf(lengths), columns), rows };
  });
  const header = [
    '',
    ...(time ? [times.name, 'range', 'ratio', 'tokens/s'] : []),
    ...(memory ? [bytes.name, 'ratio'] : []),
  ];
  const notes = [
    ...(time
      ? [`${times.name}: the median of ${counted(repeat, 'run')}, in turns, in one process; range: of all.`]
      : []),
    ...(memory ? [`${bytes.name}: peak memory of a process of its own, Node and the weights included.`] : []),
    "ratio: to farfield's.",
    ...[...new Set(results.map(({ name }) => name))].map((name) => `${name}: ${modelContenders[name].what}.`),
    ...results.flatMap(({ lengths, name, largestDifference }) =>
      largestDifference === undefined
        ? []
        : [`${name} at ${textsOf(lengths)} differs from farfield by at most ${largestDifference.toExponential(1)}.`],
    ),
  ];
  return [
    wrap(titleOf(subject), columns),
    '',
    formatGroups(header, groups),
    '',
    ...notes.map((note) => wrap(note, columns - 2, '  ')),
  ].join('\n');
}

function titleOf({ model, geometry, layers, pattern, threads }: Subject): string {
  return [
    ...(geometry === undefined ? [model] : [geometry]),
    ...(geometry === undefined || layers === undefined ? [] : [counted(layers, 'layer')]),
    ...(geometry === undefined ? [] : ['random weights']),
    ...(pattern === undefined ? [] : [formatPattern(pattern)]),
    counted(threads, 'thread'),
  ].join(', ');
}

/** "4,096 tokens", or "64 + 512 tokens" of a batch. */
function textsOf(lengths: readonly number[]): string {
  return `${lengths.map(formatCount).join(' + ')} ${plural(lengths.length === 1 ? (lengths[0] ?? 0) : 2, 'token')}`;
}
