import { Option } from 'commander';
import { type EmbedResult, embed } from '../../task/index.ts';
import { addCommand, type Register } from '../command.ts';
import type { CommandContext } from '../context.ts';
import { formatCount, formatCounted, formatRate, formatTable } from '../format.ts';
import {
  addEncoderOptions,
  type EncoderOptions,
  lookAtPattern,
  openDocument,
  openEncoderFor,
  readBehindProgress,
} from './encoder-options.ts';

interface Options extends EncoderOptions {
  readonly text: string[];
  readonly pooling: 'mean' | 'cls';
  readonly normalize: boolean;
}

export const registerEmbed: Register = (program, start) => {
  const command = addCommand(program, 'embed', {
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
    .option('--text <files...>', 'txt, md or html, one vector for each')
    .addOption(
      new Option('--pooling <kind>', 'the mean of all tokens, or the first').choices(['mean', 'cls']).default('mean'),
    )
    .option('--no-normalize', 'leave the vectors as long as they are');
  addEncoderOptions(command).action(start(embedTexts, ['model', 'text']));
};

async function embedTexts(options: Options, context: CommandContext): Promise<void> {
  const texts: string[] = [];
  for (const file of options.text) texts.push((await openDocument(file, '--text')).text);
  // Of a checkpoint with a head only the encoder is needed.
  await using encoder = await openEncoderFor('base', options, context);
  await lookAtPattern(options, encoder, texts, context);
  const { pooling, normalize } = options;
  const result = await readBehindProgress(context, (running) =>
    embed({ encoder, texts, pooling, normalize, ...running }),
  );
  const embeddings = result.embeddings.map((vector, i) => ({
    text: options.text[i],
    tokens: result.tokens[i],
    embedding: [...vector],
  }));
  const { tokensPerSecond, peakMemoryBytes } = result;
  context.result({ embeddings, tokensPerSecond, peakMemoryBytes }, describe(result, options.text));
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
  return `${table}\n\n${formatCounted(embeddings.length, 'vector')} of ${width} numbers (--json prints them), ${formatRate(tokensPerSecond)} tokens/s`;
}
