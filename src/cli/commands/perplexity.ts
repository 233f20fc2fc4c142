import { Option } from 'commander';
import { formatPattern } from '../../pattern/index.ts';
import { type PerplexityResult, perplexity } from '../../task/index.ts';
import { addCommand, integer, type Register } from '../command.ts';
import type { CommandContext } from '../context.ts';
import { formatBytes, formatCount, formatDuration, formatRate, formatTable } from '../format.ts';
import { noteBlindTokens } from './blind-tokens.ts';
import { addModelOptions, type ModelOptions, openModel, patternOf, readText, tokenize } from './model-options.ts';
import { figuresOf } from './perplexity-figures.ts';

interface Options extends ModelOptions {
  readonly text: string;
  readonly length?: number;
  readonly compare?: 'dense';
  readonly compareLength?: number;
}

/** Characters of the longest name of a figure. */
const LABELS = 'keys and values'.length;

/** Dense attention takes time that grows with the square of the length: this is a few minutes on two cores. */
const COMPARE_LENGTH = 8192;

export const registerPerplexity: Register = (program, start) => {
  addModelOptions(
    addCommand(program, 'perplexity', {
      summary: 'read a text with a model, and measure how well it predicts it',
      description:
        'Reads a text token by token under an attention pattern, in memory that the pattern bounds, and prints the speed and ' +
        'the perplexity: e to the mean of -log p of each next token.',
      examples: [
        {
          does: 'a book, with a window and four sinks',
          command:
            'farfield perplexity --model model.gguf --text book.txt --pattern "sinks:4+window:1024" --length 65536',
        },
        {
          does: 'beside dense attention on its first 4096 tokens',
          command:
            'farfield perplexity --model model.gguf --text book.txt --pattern "sinks:4+window:256" --compare dense --compare-length 4096',
        },
      ],
    }),
  )
    .option('--text <file>', 'a UTF-8 text')
    .option('--length <tokens>', 'tokens to read from its start; default: all', integer(2))
    .addOption(new Option('--compare <with>', 'read it with dense attention too').choices(['dense']))
    .option(
      '--compare-length <tokens>',
      `tokens to read for the comparison, whose time grows with their square; default: ${COMPARE_LENGTH}`,
      integer(2),
    )
    .action(start(measure, ['model', 'text']));
};

async function measure(options: Options, context: CommandContext): Promise<void> {
  const { compare, signal } = { ...options, ...context };
  const pattern = patternOf(options);
  const text = await readText(options.text, '--text');
  await using model = await openModel(options, context);
  const ids = await tokenize(model, text, context);
  const length = options.length ?? ids.length;
  const { heads } = model.config;
  noteBlindTokens(pattern.pattern, { tokens: Math.min(length, ids.length), heads, isCausal: true }, context);
  let line = context.progress({ label: 'reading', unit: 'tokens', total: length });
  let run = 'pattern';
  const { compared, ...result } = await perplexity({
    model,
    ids,
    ...pattern,
    positions: options.positions,
    storage: options.kv,
    length,
    ...(compare === undefined
      ? {}
      : { compare, compareLength: options.compareLength ?? Math.min(length, COMPARE_LENGTH) }),
    onProgress: (progress) => {
      if (progress.run !== run) {
        run = progress.run;
        line[Symbol.dispose]();
        line = context.progress({ label: 'reading, dense', unit: 'tokens', total: progress.total });
      }
      line.update(progress.done);
    },
    signal,
  });
  line[Symbol.dispose]();
  const object = {
    ...figuresOf(result),
    weights: options.weights,
    ...(compared && { compared: figuresOf(compared) }),
  };
  context.result(object, describe(result, compared, context.columns));
}

function describe(result: PerplexityResult, compared: PerplexityResult | undefined, columns: number): string {
  const runs = compared === undefined ? [result] : [result, compared];
  const row = (name: string, cell: (run: PerplexityResult) => string): string[] => [name, ...runs.map(cell)];
  const patterns = runs.map(({ pattern }) => formatPattern(pattern));
  // A long one would push the figures out of sight.
  const wide = patterns.join('').length + LABELS + 2 * patterns.length > columns;
  const rows = [
    ...(wide && compared === undefined ? [] : [['pattern', ...(wide ? ['1', '2'] : patterns)]]),
    row('positions', ({ positions }) => positions),
    row('tokens', ({ tokens }) => formatCount(tokens)),
    row('tokens/s', ({ tokensPerSecond }) => formatRate(tokensPerSecond)),
    row('time', ({ seconds }) => formatDuration(1000 * seconds)),
    row('peak memory', ({ peakMemoryBytes }) => (peakMemoryBytes === undefined ? '' : formatBytes(peakMemoryBytes))),
    row('keys and values', ({ cacheBytes }) => formatBytes(cacheBytes)),
    row('perplexity', (run) => run.perplexity.toFixed(3)),
    row('  last tenth', (run) => run.perplexityLastTenth.toFixed(3)),
    row('bits per byte', (run) => run.bitsPerByte.toFixed(3)),
  ];
  const remark =
    compared === undefined
      ? ''
      : '\n\nPeak memory is the process’s so far; the second column can only be higher.' +
        (compared.tokens === result.tokens ? '' : ' Perplexities of different lengths do not compare.');
  const below = !wide
    ? ''
    : `\n\n${patterns.map((text, i) => `pattern${compared ? ` ${i + 1}` : ''}:\n${text}`).join('\n')}`;
  return formatTable(rows, [1, 2]) + below + remark;
}
