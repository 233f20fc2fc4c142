import { median } from '../../src/cli/bench/timing.ts';
import { formatBytes, formatCount, formatRate, formatTable } from '../../src/cli/format.ts';
import type { Measurement, MemoryMeasurement } from './book-measure.ts';
import type { ReaderName } from './reader.ts';

export interface Speed {
  readonly name: ReaderName;
  readonly length: number;
  readonly runs: number;
  /** Of medians. */
  readonly tokensPerSecond: number;
  /** One by one after `length` others; null where that was not measured. */
  readonly decodeTokensPerSecond: number | null;
  /** null where it was not measured. */
  readonly peakMemoryBytes: number | null;
}

export interface BookSummary {
  /** By length, then by reader. */
  readonly speeds: readonly Speed[];
  /** Farfield's tokens/s over llama.cpp's at the lengths that both read. */
  readonly prefillRatios: readonly { readonly length: number; readonly ratio: number }[];
  readonly decodeRatio: number | null;
  /** Farfield at its longest of the flat lengths against its shortest. */
  readonly flat: { readonly tokensPerSecond: number; readonly peakMemory: number | null } | null;
}

export function summarize(
  measurements: readonly Measurement[],
  memory: readonly MemoryMeasurement[],
  flatLengths: readonly number[],
): BookSummary {
  const keys = new Map<string, Measurement[]>();
  for (const measurement of [...measurements].sort((a, b) => a.length - b.length || a.name.localeCompare(b.name))) {
    const key = `${measurement.length} ${measurement.name}`;
    keys.set(key, [...(keys.get(key) ?? []), measurement]);
  }
  const speeds = [...keys.values()].flatMap((runs): Speed[] => {
    const [first] = runs;
    if (first === undefined) return [];
    const { name, length, decode } = first;
    const weighed = memory.find((own) => own.name === name && own.length === length);
    return [
      {
        name,
        length,
        runs: runs.length,
        tokensPerSecond: (1000 * length) / median(runs.map((run) => run.prefillMilliseconds)),
        decodeTokensPerSecond:
          decode === 0 ? null : (1000 * decode) / median(runs.map((run) => run.decodeMilliseconds)),
        peakMemoryBytes: weighed?.peakMemoryBytes ?? null,
      },
    ];
  });
  const find = (name: ReaderName, length: number) =>
    speeds.find((speed) => speed.name === name && speed.length === length);
  const lengths = [...new Set(speeds.map((speed) => speed.length))];
  const pairs = lengths.flatMap((length) => {
    const [ours, theirs] = [find('farfield', length), find('llama.cpp', length)];
    return ours === undefined || theirs === undefined ? [] : [{ length, ours, theirs }];
  });
  const decoded = pairs.find(({ ours, theirs }) => ours.decodeTokensPerSecond && theirs.decodeTokensPerSecond);
  const [short, long] = [Math.min(...flatLengths), Math.max(...flatLengths)].map((length) => find('farfield', length));
  return {
    speeds,
    prefillRatios: pairs.map(({ length, ours, theirs }) => ({
      length,
      ratio: ours.tokensPerSecond / theirs.tokensPerSecond,
    })),
    decodeRatio: decoded
      ? (decoded.ours.decodeTokensPerSecond ?? Number.NaN) / (decoded.theirs.decodeTokensPerSecond ?? Number.NaN)
      : null,
    flat:
      short === undefined || long === undefined
        ? null
        : {
            tokensPerSecond: long.tokensPerSecond / short.tokensPerSecond,
            peakMemory:
              short.peakMemoryBytes === null || long.peakMemoryBytes === null
                ? null
                : long.peakMemoryBytes / short.peakMemoryBytes,
          },
  };
}

export function describeSummary({ speeds, prefillRatios, decodeRatio, flat }: BookSummary): string {
  const rows = speeds.map((speed) => {
    const ratio = prefillRatios.find(({ length }) => length === speed.length)?.ratio;
    return [
      formatCount(speed.length),
      speed.name,
      formatRate(speed.tokensPerSecond),
      speed.name === 'farfield' && ratio !== undefined ? `${formatRate(ratio)}x` : '',
      speed.decodeTokensPerSecond === null ? '' : formatRate(speed.decodeTokensPerSecond),
      speed.name === 'farfield' && speed.decodeTokensPerSecond !== null && decodeRatio !== null
        ? `${formatRate(decodeRatio)}x`
        : '',
      speed.peakMemoryBytes === null ? '' : formatBytes(speed.peakMemoryBytes),
      `${speed.runs}`,
    ];
  });
  const header = ['tokens', 'reader', 'prefill tokens/s', 'ratio', 'decode tokens/s', 'ratio', 'peak memory', 'runs'];
  return [
    formatTable([header, ...rows], [0, 2, 3, 4, 5, 6, 7]),
    '',
    'Medians. Prefill computes the logits of the last token only. Ratios are Farfield over llama.cpp.',
    'Peak memory is that of a process of its own that reads so many tokens once; the weights are part of it.',
    ...(flat === null
      ? []
      : [
          `Farfield at its longest against its shortest: ${formatRate(flat.tokensPerSecond)}x tokens/s` +
            (flat.peakMemory === null ? '' : `, ${formatRate(flat.peakMemory)}x peak memory`),
        ]),
  ].join('\n');
}
