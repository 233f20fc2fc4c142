import { formatPattern, type Pattern } from '../../pattern/index.ts';
import { type Advice, type Answer, decimalBytes } from '../../task/advise/index.ts';
import {
  formatBytes,
  formatCount,
  formatCounted,
  formatDuration,
  formatPercent,
  formatRate,
  formatTable,
  wrap,
} from '../format.ts';

/** The answer of `farfield advise` for a person, in lines of at most `columns` but for a pattern that is longer. */
export function describeAnswer(answer: Answer, columns: number): string {
  const { task, shape, memoryBytes, advice, tooLarge, threads, gigaflops } = answer;
  const { length, heads, width, layers } = shape;
  const [best, ...others] = advice;
  if (best === undefined) return '';
  return [
    `${capital(task.name)} over ${formatCounted(length, 'token')}, within ${decimalBytes(memoryBytes, Math.floor)} of memory`,
    `${formatCounted(layers, 'layer')}, ${formatCounted(heads, 'head')} of ${width}, ${formatCounted(threads, 'thread')}; this machine runs at ${formatRate(gigaflops)} GFLOPS`,
    '',
    `Recommended: ${best.recommendation.name}`,
    '',
    ...patternLines(best.patterns, 160).map((line) => `  ${line}`),
    '',
    reasons(best, columns, 2, ['why', 'source', 'note']),
    '',
    comparison(best, answer),
    '',
    ...footnotes(best, answer).map((text) => wrap(text, columns)),
    ...others.flatMap((own, i) => ['', alternative(own, i + 2, length, columns)]),
    ...tooLarge.flatMap(({ recommendation, memory }) => [
      '',
      wrap(`Does not fit: ${recommendation.name}, which needs ${formatBytes(memory.bytes)}.`, columns),
    ]),
  ].join('\n');
}

/** One line for each distinct pattern, with the layers that use it where there are several. */
function patternLines(patterns: readonly Pattern[], longest: number): string[] {
  const layersOf = new Map<string, number[]>();
  for (const [i, pattern] of patterns.entries()) {
    const whole = formatPattern(pattern);
    const text = whole.length > longest ? shortenPositions(whole) : whole;
    layersOf.set(text, [...(layersOf.get(text) ?? []), i + 1]);
  }
  if (layersOf.size === 1) return [...layersOf.keys()];
  return [...layersOf].map(([text, layers]) => {
    const [first = 1, last = first] = [layers[0], layers.at(-1)];
    const which = first === last ? `layer ${first}` : `layers ${first} to ${last}`;
    return `${text}   (${which} of every ${patterns.length})`;
  });
}

/** Long runs of global positions would fill the screen: 0,1,2,...,127. */
function shortenPositions(text: string): string {
  return text.replaceAll(/\d+(?:,\d+){9,}/g, (list) => {
    const positions = list.split(',');
    return [...positions.slice(0, 3), '...', positions.at(-1)].join(',');
  });
}

function reasons(
  { recommendation }: Advice,
  columns: number,
  left: number,
  shown: readonly ('why' | 'source' | 'note')[],
): string {
  const { why, claim, note, source } = recommendation;
  const texts = { why, source: `${claim} ${source.authors} ${source.year}: ${source.title}, ${source.where}.`, note };
  const indent = ' '.repeat(left + 8);
  return shown
    .filter((name) => texts[name] !== '')
    .map((name) => `${' '.repeat(left)}${name.padEnd(8)}${wrap(texts[name], columns - indent.length, indent)}`)
    .join('\n');
}

/** The recommended pattern beside dense attention. */
function comparison(best: Advice, { dense, shape }: Answer): string {
  const { length, layers } = shape;
  const isDense = best.recommendation === dense.recommendation;
  const shown = isDense ? [best] : [best, dense];
  const isStarred = shown.some(({ measured }) => measured.isScaled);
  // Where one cell has a star, the others keep a place for it, so that the numbers stand under each other.
  const place = isStarred ? ' ' : '';
  const row = (
    name: string,
    of: (own: Advice) => number,
    format: (value: number) => string,
    stars = false,
  ): string[] => [
    `  ${name}`,
    ...shown.map((own) => format(of(own)) + (stars && own.measured.isScaled ? '*' : place)),
    ...(isDense ? [] : [`${formatRate(of(dense) / of(best))}x`]),
  ];
  const all = layers === 1 ? 'the only layer' : `all ${formatCount(layers)} layers`;
  return formatTable(
    [
      ['', ...['this pattern', ...(isDense ? [] : ['dense'])].map((name) => name + place), isDense ? '' : 'ratio'],
      row('pairs in a layer', ({ pairs }) => pairs, formatCount),
      row('pairs computed, by block', ({ computedPairs }) => computedPairs, formatCount),
      row('operations in a layer', ({ flops }) => flops, formatFlops),
      row('a layer, predicted', ({ predictedMilliseconds }) => predictedMilliseconds, formatDuration),
      row('a layer, measured', ({ measured }) => measured.milliseconds, formatDuration, true),
      row(all, ({ measured }) => measured.milliseconds * layers, formatDuration, true),
      row('memory', ({ memory }) => memory.bytes, formatBytes),
      ['  the last token depends on', ...shown.map((own) => reach(own, length) + place)],
    ],
    [1, 2, 3],
  );
}

function footnotes(best: Advice, { dense, shape, denseScoreBytes }: Answer): string[] {
  const notes = [best, ...(best.recommendation === dense.recommendation ? [] : [dense])].flatMap((own) =>
    own.measured.isScaled ? [`* ${own === best ? 'This pattern' : 'Dense'} was ${scaled(own, shape.length)}.`] : [],
  );
  const held = best.memory.isStreamed
    ? 'the keys and values that later tokens can still see, in all layers, and one chunk of the text'
    : "the whole text's hidden states, and the queries, keys, values and output of one layer";
  return [
    ...notes,
    `Times are of attention alone, forward. Memory is that of the process, of ${held}; the model's weights come on top.`,
    `A library that writes scores down would need ${formatBytes(denseScoreBytes)} for those of one dense layer.`,
  ];
}

function alternative(own: Advice, place: number, length: number, columns: number): string {
  const { recommendation, measured, memory, pairs } = own;
  const numbers = [
    formatCounted(pairs, 'pair'),
    `${formatDuration(measured.milliseconds)} a layer${measured.isScaled ? ` (${scaled(own, length)})` : ''}`,
    formatBytes(memory.bytes),
    `the last token depends on ${reach(own, length)}`,
  ];
  return [
    `${place}. ${recommendation.name}`,
    ...patternLines(own.patterns, 60).map((line) => `   ${line}`),
    `   ${wrap(numbers.join(', '), columns - 3, '   ')}`,
    reasons(own, columns, 3, ['why', 'source', 'note']),
  ].join('\n');
}

function scaled({ measured }: Advice, length: number): string {
  const what = [
    formatCounted(measured.heads, 'head'),
    ...(measured.length < length ? [formatCounted(measured.length, 'token')] : []),
  ];
  return `measured with ${what.join(' and ')}, and scaled by the pairs computed`;
}

/** The tokens that the last one depends on after all layers. */
function reach({ reach: tokens }: Advice, length: number): string {
  return tokens === length ? 'everything' : `${formatCount(tokens)} (${formatPercent(tokens / length)})`;
}

function formatFlops(flops: number): string {
  const units = ['', 'k', 'M', 'G', 'T', 'P'];
  let value = flops;
  let unit = 0;
  while (value >= 999.5 && unit < units.length - 1) {
    value /= 1000;
    unit++;
  }
  return `${Number(value.toPrecision(3))} ${units[unit]}FLOP`;
}

function capital(text: string): string {
  return text.charAt(0).toUpperCase() + text.slice(1);
}
