import { availableParallelism } from 'node:os';
import { counted } from '../../counted.ts';
import { drawChart, type Line, letter } from '../bench/scaling/chart.ts';
import { drawChartSvg } from '../bench/scaling/chart-svg.ts';
import { type Family, families } from '../bench/scaling/families.ts';
import type { PowerFit } from '../bench/scaling/fit.ts';
import { type Curve, measureScaling } from '../bench/scaling/measure.ts';
import { addCommand, integer, listOf, type Register } from '../command.ts';
import type { CommandContext } from '../context.ts';
import { formatCount, formatDuration, formatTable, wrap } from '../format.ts';
import { checkOutputFile, writeOutputFile } from '../output-file.ts';

interface Options {
  readonly family?: readonly string[];
  readonly from: number;
  readonly to: number;
  readonly heads: number;
  readonly dim: number;
  readonly threads: number;
  readonly repeat: number;
  readonly limit: number;
  readonly svg?: string;
}

const names = families.map(({ name }) => name);

export const registerBenchScaling: Register = (bench, start) => {
  addCommand(bench, 'scaling', {
    summary: 'time attention as the text grows, and fit how fast it does',
    description:
      'Times attention at doubling lengths for patterns whose pairs grow as n, n log n, n sqrt n and n^2, fits the exponent ' +
      'of each by least squares on logarithms, and draws the curves. Masks are compiled before the clock starts.',
    examples: [
      { does: 'all families, 1,024 to 16,384 tokens', command: 'farfield bench scaling' },
      {
        does: 'two of them further, and the picture',
        command: 'farfield bench scaling --family window,sinks+window --to 262144 --svg scaling.svg',
      },
      { does: 'for a script', command: 'farfield bench scaling --json' },
    ],
  })
    .option('--family <names>', `patterns to time, separated by commas: ${names.join(', ')}`, listOf(names))
    .option('--from <tokens>', 'shortest length', integer(64), 1024)
    .option('--to <tokens>', 'longest length', integer(128), 16_384)
    .option('--heads <count>', 'heads', integer(1), 2)
    .option('--dim <width>', 'width of queries, keys and values', integer(1), 64)
    .option('--threads <count>', 'threads', integer(1), availableParallelism())
    .option('--repeat <times>', 'runs of each that count', integer(1), 5)
    .option('--limit <milliseconds>', 'leave out what one run is expected to take longer for', integer(1), 5000)
    .option('--svg <file>', 'draw the curves to an SVG file')
    .action(start(benchScaling));
};

async function benchScaling(options: Options, context: CommandContext): Promise<void> {
  const { family, from, to, heads, dim, threads, repeat, limit, svg } = options;
  // Said before minutes of measuring, not after.
  if (svg !== undefined) await checkOutputFile(svg, '--svg');
  const chosen = families.filter(({ name }) => family === undefined || family.includes(name));
  const lengths: number[] = [];
  for (let length = from; length <= to; length *= 2) lengths.push(length);
  using progress = context.progress({
    label: 'measuring',
    unit: 'runs',
    total: chosen.length * lengths.length * (repeat + 1),
  });
  const curves = await measureScaling(chosen, {
    lengths,
    heads,
    width: dim,
    threads,
    repeat,
    limitMilliseconds: limit,
    signal: context.signal,
    onRun: (done) => progress.update(done),
  });
  const about = `${counted(heads, 'head')} of ${dim}, ${counted(threads, 'thread')}`;
  const axes = { formatX: formatCount, formatY: formatDuration };
  if (svg !== undefined) {
    const drawing = drawChartSvg(curves.map(line), {
      ...axes,
      title: `Attention as the text grows: ${about}`,
      xName: 'tokens',
      yName: 'time of one run',
    });
    await writeOutputFile(svg, drawing, context.signal);
    context.note(`wrote ${svg}`);
  }
  context.result(
    { lengths, heads, dim, threads, repeat, families: curves },
    describe(curves, chosen, lengths, about, repeat, context.columns),
  );
}

function describe(
  curves: readonly Curve[],
  chosen: readonly Family[],
  lengths: readonly number[],
  about: string,
  repeat: number,
  columns: number,
): string {
  const fits = curves.map(({ name, order, time, computedPairs, pairs }, i) => [
    letter(i),
    name,
    order,
    exponent(time, true),
    exponent(computedPairs),
    exponent(pairs),
  ]);
  return [
    `Attention as the text grows: ${about}, medians of ${repeat}`,
    '',
    timesTable(curves, lengths, columns),
    ...(curves.some(({ points }) => points.length < lengths.length)
      ? ['-: left out, because one run was expected to take longer than --limit']
      : []),
    '',
    drawChart(curves.map(line), {
      columns: Math.min(columns, 100),
      rows: 18,
      formatX: formatCount,
      formatY: formatDuration,
    }),
    '',
    'Fitted exponents: with an exponent e, twice the text takes 2^e times as much',
    formatTable([['', '', 'pairs grow as', 'time', 'pairs computed', 'pairs'], ...fits], [3, 4, 5]),
    '',
    wrap(
      'Kernels work on blocks of 64 x 64 pairs. Pairs computed are all pairs of the blocks that hold an allowed one, with the ' +
        'tokens in their natural order: where a pattern scatters its pairs they grow faster than the pairs do. Where that ' +
        'is known of the pattern, the kernels take the tokens in an order in which blocks fill up, and time follows the pairs.',
      Math.min(columns, 100),
    ),
    '',
    ...legend(chosen, Math.min(columns, 100)),
  ].join('\n');
}

/** The times by length, in as many tables below each other as the width makes necessary. */
function timesTable(curves: readonly Curve[], lengths: readonly number[], columns: number): string {
  const table = (shown: readonly number[]): string => {
    const rows = curves.map(({ name, points }, i) => {
      const times = shown.map((length) => points.find((own) => own.length === length)?.milliseconds);
      return [letter(i), name, ...times.map((time) => (time === undefined ? '-' : formatDuration(time)))];
    });
    return formatTable(
      [['', 'tokens', ...shown.map(formatCount)], ...rows],
      [...shown.keys()].map((i) => i + 2),
    );
  };
  const tables: string[] = [];
  for (let from = 0; from < lengths.length; ) {
    let to = lengths.length;
    while (
      to > from + 1 &&
      table(lengths.slice(from, to))
        .split('\n')
        .some((line) => line.length > columns)
    )
      to--;
    tables.push(table(lengths.slice(from, to)));
    from = to;
  }
  return tables.join('\n\n');
}

function legend(chosen: readonly Family[], columns: number): string[] {
  const width = Math.max(...chosen.map(({ name }) => name.length));
  return chosen.map(({ name, what }, i) => {
    const left = `${letter(i)}  ${name.padEnd(width)}  `;
    return left + wrap(what, columns - left.length, ' '.repeat(left.length));
  });
}

function line({ name, points }: Curve): Line {
  return { name, points: points.map(({ length, milliseconds }) => ({ x: length, y: milliseconds })) };
}

/** 1.52, or 1.52 ± 0.03. */
function exponent(fit: PowerFit | null, withError = false): string {
  if (fit === null) return '-';
  const value = fit.exponent.toFixed(2);
  return withError && fit.standardError !== null ? `${value} ± ${fit.standardError.toFixed(2)}` : value;
}
