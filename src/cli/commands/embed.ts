import { Option } from 'commander';
import { type Encoder, loadEncoder } from '../../model/index.ts';
import { parsePattern } from '../../pattern/index.ts';
import { type EmbedResult, embed } from '../../task/index.ts';
import { addCommand, integer, type Register } from '../command.ts';
import type { CommandContext } from '../context.ts';
import { formatCount, formatRate, formatTable } from '../format.ts';
import type { Progress } from '../progress.ts';
import { hubProgress } from './hub-progress.ts';
import { readText } from './model-options.ts';

interface Options {
  readonly model: string;
  readonly text: string[];
  readonly pattern?: string;
  readonly positions: 'given' | 'repeat';
  readonly pooling: 'mean' | 'cls';
  readonly normalize: boolean;
  readonly threads?: number;
}

export const registerEmbed: Register = (program, start) => {
  addCommand(program, 'embed', {
    summary: 'turn texts into vectors',
    description:
      'Reads each text in one pass of an encoder, whatever its length, and pools its tokens into one vector. Prints how similar ' +
      'the texts are; with --json the vectors themselves.',
    examples: [
      {
        does: 'how alike two short texts are',
        command: 'farfield embed --model all-MiniLM-L6-v2 --text one.txt two.txt',
      },
      {
        does: 'a book with a model of 512 positions: a window, and the positions again and again',
        command:
          'farfield embed --model all-MiniLM-L6-v2 --text book.txt --pattern window:128 --positions repeat --json',
      },
    ],
  })
    .option(
      '--model <path>',
      'a folder with config.json, model.safetensors and tokenizer.json, or owner/name on the Hugging Face hub',
    )
    .option('--text <files...>', 'UTF-8 texts, one vector for each')
    .option(
      '--pattern <pattern>',
      'what each token sees in layers with full attention, for example "window:128"; default: all',
    )
    .addOption(
      new Option(
        '--positions <kind>',
        'beyond the last position that the model has learned: given: refuse; repeat: begin again (Longformer, section 5)',
      )
        .choices(['given', 'repeat'])
        .default('given'),
    )
    .addOption(
      new Option('--pooling <kind>', 'the mean of all tokens, or the first').choices(['mean', 'cls']).default('mean'),
    )
    .option('--no-normalize', 'leave the vectors as long as they are')
    .option('--threads <count>', 'threads; default: one for each core', integer(1))
    .action(start(embedTexts, ['model', 'text']));
};

async function embedTexts(options: Options, context: CommandContext): Promise<void> {
  const pattern = options.pattern === undefined ? undefined : parsePattern(options.pattern);
  const texts: string[] = [];
  for (const file of options.text) texts.push(await readText(file, '--text'));
  await using encoder = await openEncoder(options, pattern, context);
  let line: Progress | undefined;
  const result = await embed({
    encoder,
    texts,
    pooling: options.pooling,
    normalize: options.normalize,
    onProgress: (done, total) => {
      line ??= context.progress({ label: 'reading', unit: 'layers', total });
      line.update(done);
    },
    signal: context.signal,
  });
  line?.[Symbol.dispose]();
  const embeddings = result.embeddings.map((vector, i) => ({
    text: options.text[i],
    tokens: result.tokens[i],
    embedding: [...vector],
  }));
  const { tokensPerSecond, peakMemoryBytes } = result;
  context.result({ embeddings, tokensPerSecond, peakMemoryBytes }, describe(result, options.text));
}

async function openEncoder(
  { model, positions, threads }: Options,
  pattern: ReturnType<typeof parsePattern> | undefined,
  context: CommandContext,
): Promise<Encoder> {
  const { progress, signal } = context;
  using download = hubProgress(context);
  let line: Progress | undefined;
  try {
    return await loadEncoder(model, {
      positions,
      ...(pattern === undefined ? {} : { pattern }),
      ...(threads === undefined ? {} : { threads }),
      // Of a checkpoint with a head only the encoder is needed.
      task: 'base',
      onProgress: (done, total) => {
        line ??= progress({ label: 'loading the model', unit: 'parts', total });
        line.update(done);
      },
      hub: download.hub,
      signal,
    });
  } finally {
    line?.[Symbol.dispose]();
  }
}

/** The cosine of each two texts. */
function describe({ embeddings, tokens, tokensPerSecond }: EmbedResult, names: readonly string[]): string {
  const lengths = embeddings.map((vector) => Math.hypot(...vector));
  const cosine = (a: number, b: number): number => {
    const dot = (embeddings[a] ?? new Float32Array()).reduce((sum, x, d) => sum + x * (embeddings[b]?.[d] ?? 0), 0);
    return dot / ((lengths[a] ?? 1) * (lengths[b] ?? 1));
  };
  const compared = names.length > 1 ? names : [];
  const rows = names.map((name, i) => [
    String(i + 1),
    name,
    formatCount(tokens[i] ?? 0),
    ...compared.slice(0, i + 1).map((_, j) => cosine(i, j).toFixed(3)),
  ]);
  const titles = ['', 'text', 'tokens', ...compared.map((_, i) => `cos ${i + 1}`)];
  const table = formatTable(
    [titles, ...rows.map((row) => [...row, ...Array(titles.length - row.length).fill('')])],
    titles.map((_, i) => i).filter((i) => i !== 1),
  );
  const width = embeddings[0]?.length ?? 0;
  return `${table}\n\n${formatCount(embeddings.length)} vectors of ${width} numbers (--json prints them), ${formatRate(tokensPerSecond)} tokens/s`;
}
