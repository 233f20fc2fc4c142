import { compileMask, drawPng, drawSvg, drawText, type MaskStatistics, statistics } from '../../mask/index.ts';
import { causal, formatPattern, intersect, parsePattern } from '../../pattern/index.ts';
import { addCommand, integer, type Register } from '../command.ts';
import type { CommandContext } from '../context.ts';
import { formatBytes, formatCount, formatCounted, formatDuration, formatPercent, formatTable } from '../format.ts';
import { checkOutputFile, writeOutputFile } from '../output-file.ts';

interface Options {
  readonly pattern: string;
  readonly length: number;
  readonly keys?: number;
  readonly heads: number;
  readonly head: number;
  readonly causal?: boolean;
  readonly svg?: string;
  readonly png?: string;
  readonly size?: number;
}

export const registerMask: Register = (program, start) => {
  addCommand(program, 'mask', {
    summary: 'draw a pattern, and count what it keeps',
    description:
      'Compiles a pattern for a length, draws the mask (queries downwards, keys to the right) and counts the pairs that it ' +
      'keeps. With more keys than queries the last query stands at the last key, as in decoding.',
    examples: [
      {
        does: 'a window and four sinks, causal',
        command: 'farfield mask --pattern "sinks:4+window:64" --length 1024 --causal',
      },
      { does: 'as files', command: 'farfield mask --pattern window:256 --length 4096 --svg mask.svg --png mask.png' },
      {
        does: 'two heads that differ; the second one drawn',
        command: 'farfield mask --pattern "window:64|window:512" --length 2048 --heads 2 --head 1',
      },
      {
        does: 'what a chunk of 256 queries sees of 8192 keys',
        command: 'farfield mask --pattern window:1024 --causal --length 256 --keys 8192',
      },
      {
        does: 'the counts for a script',
        command: 'farfield mask --pattern "sinks:4+window:512" --causal --length 1000000 --json',
      },
    ],
  })
    .option('--pattern <pattern>', 'which pairs attend, for example "sinks:4+window:1024", or its JSON')
    .option('--length <tokens>', 'queries, and keys where --keys does not say otherwise', integer(1), 1024)
    .option('--keys <tokens>', 'keys', integer(1))
    .option('--causal', 'only pairs in which the key does not come after the query')
    .option('--heads <count>', 'heads', integer(1), 1)
    .option('--head <number>', 'the head that is drawn, counted from 0', integer(0), 0)
    .option('--svg <file>', 'draw to an SVG file')
    .option('--png <file>', 'draw to a PNG file')
    .option('--size <pixels>', 'longer side of the SVG or PNG', integer(16))
    .action(start(mask, ['pattern']));
};

async function mask(options: Options, context: CommandContext): Promise<void> {
  const { length, keys = length, heads, head, svg, png, size } = options;
  const parsed = parsePattern(options.pattern);
  const pattern = options.causal ? intersect(parsed, causal()) : parsed;
  if (svg !== undefined) await checkOutputFile(svg, '--svg');
  if (png !== undefined) await checkOutputFile(png, '--png');
  const started = performance.now();
  const compiled = compileMask(pattern, { queries: length, keys, heads });
  const compileMilliseconds = performance.now() - started;
  const counts = statistics(compiled);
  if (svg !== undefined) await writeOutputFile(svg, drawSvg(compiled, { head, size }), context.signal);
  if (png !== undefined) await writeOutputFile(png, drawPng(compiled, { head, size }), context.signal);
  for (const file of [svg, png]) if (file !== undefined) context.note(`wrote ${file}`);
  const object = { pattern, queries: length, keys, heads, compileMilliseconds, ...counts };
  if (context.json) context.result(object, '');
  else {
    const drawing = drawText(compiled, { head, columns: Math.min(context.columns, 72) });
    const sizes = `${formatCounted(length, 'query', 'queries')}, ${formatCounted(keys, 'key')}, ${formatCounted(heads, 'head')}`;
    context.result(
      object,
      `${formatPattern(pattern)}: ${sizes}\n\n${drawing}\n\n${describe(counts, compileMilliseconds, formatPattern(pattern).includes('causal'))}`,
    );
  }
}

function describe(counts: MaskStatistics, compileMilliseconds: number, isCausal: boolean): string {
  const { pairs, density, densityOfCausal, blocks, computedPairs, bytes } = counts;
  const ofCausal = isCausal ? `, ${formatPercent(densityOfCausal)} of the causal ones` : '';
  const kept = blocks.full + blocks.partial;
  return formatTable([
    ['pairs kept', `${formatCount(pairs)}, ${formatPercent(density)} of all${ofCausal}`],
    [
      'blocks kept',
      `${formatCount(kept)} of ${formatCount(blocks.total)}: ${formatCount(blocks.full)} full, ${formatCount(blocks.partial)} partial`,
    ],
    [
      'pairs in them',
      `${formatCount(computedPairs)}, ${formatPercent(computedPairs === 0 ? 0 : pairs / computedPairs)} of them allowed`,
    ],
    ['the mask', `${formatBytes(bytes)}, compiled in ${formatDuration(compileMilliseconds)}`],
  ]);
}
