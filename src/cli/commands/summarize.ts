import { loadSeq2Seq, type Seq2Seq } from '../../model/index.ts';
import { type SummarizeProgress, summarize } from '../../task/index.ts';
import { addCommand, integer, type Register } from '../command.ts';
import type { CommandContext } from '../context.ts';
import { formatCount, formatCounted } from '../format.ts';
import type { Progress } from '../progress.ts';
import { openDocument } from './encoder-options.ts';
import { hubProgress } from './hub-progress.ts';
import { numberFrom } from './model-options.ts';

interface Options {
  readonly model: string;
  readonly text: string[];
  readonly length?: number;
  readonly maxTokens?: number;
  readonly minTokens?: number;
  readonly beams?: number;
  readonly lengthPenalty?: number;
  readonly distinctRuns?: number;
  readonly threads?: number;
}

export const registerSummarize: Register = (program, start) => {
  addCommand(program, 'summarize', {
    summary: 'write the summary of a document',
    description:
      'Reads each document in one pass of an encoder-decoder (LED, BigBird-Pegasus, LongT5) and writes its summary. What the model’s ' +
      'publisher says of its outputs, in generation_config.json or config.json, is the default of every option.',
    examples: [
      { does: 'a paper', command: 'farfield summarize --model allenai/led-base-16384 --text paper.html' },
      {
        does: 'several reports with a beam search, for a program',
        command: 'farfield summarize --model bigbird-pegasus --text one.txt two.md --beams 4 --max-tokens 200 --json',
      },
    ],
  })
    .option(
      '--model <path>',
      'a folder with config.json, weights and tokenizer.json, or owner/name on the Hugging Face hub',
    )
    .option('--text <files...>', 'txt, md or html')
    .option('--length <tokens>', 'tokens of each document to read from its start; default: all', integer(1))
    .option('--max-tokens <count>', 'tokens of the longest summary; default: the publisher’s, else 256', integer(1))
    .option('--min-tokens <count>', 'tokens of the shortest summary', integer(0))
    .option('--beams <count>', 'summaries that are kept at each step; 1: the most probable token', integer(1))
    .option('--length-penalty <number>', 'with beams: above 1 prefers long summaries', numberFrom(-100, 100))
    .option('--distinct-runs <count>', 'no run of so many tokens is written twice; 0: it may be', integer(0))
    .option('--threads <count>', 'threads; default: one for each core', integer(1))
    .action(start(summarizeDocuments, ['model', 'text']));
};

async function summarizeDocuments(options: Options, context: CommandContext): Promise<void> {
  const texts: string[] = [];
  for (const file of options.text) texts.push((await openDocument(file, '--text')).text);
  await using model = await openSeq2Seq(options, context);
  using lines = progressLines(context);
  const { length, maxTokens, minTokens, beams, lengthPenalty, distinctRuns: noRepeat } = options;
  const streams = texts.length === 1 && !context.json;
  let isStreamed = false;
  const summaries = await summarize({
    model,
    texts,
    ...(length === undefined ? {} : { length }),
    ...(maxTokens === undefined ? {} : { maxTokens }),
    ...(minTokens === undefined ? {} : { minTokens }),
    ...(beams === undefined ? {} : { beams }),
    ...(lengthPenalty === undefined ? {} : { lengthPenalty }),
    ...(noRepeat === undefined ? {} : { noRepeat }),
    onProgress: (at) => {
      if (!isStreamed) lines.update(at);
    },
    ...(streams
      ? {
          onText: (text) => {
            isStreamed = true;
            context.stream(text);
          },
        }
      : {}),
    signal: context.signal,
  });
  const named = summaries.map((summary, i) => ({ file: options.text[i] ?? '', ...summary }));
  const described = named.map(({ file, text, tokens, isCut }) => {
    const read = `${file} (${isCut ? 'the first ' : ''}${formatCounted(tokens, 'token')})`;
    return named.length === 1 ? text : `${read}\n${text}`;
  });
  context.result({ summaries: named }, isStreamed ? '\n' : described.join('\n\n'));
  const [only] = named;
  if (!context.json && named.length === 1 && only !== undefined) {
    context.note(
      `${only.isCut ? 'the first ' : ''}${formatCounted(only.tokens, 'token')} read, ${formatCount(only.ids.length)} written`,
    );
  }
}

async function openSeq2Seq({ model, threads }: Options, context: CommandContext): Promise<Seq2Seq> {
  using download = hubProgress(context);
  let line: Progress | undefined;
  try {
    return await loadSeq2Seq(model, {
      ...(threads === undefined ? {} : { threads }),
      onProgress: (done, total) => {
        line ??= context.progress({ label: 'loading the model', unit: 'parts', total });
        line.update(done);
      },
      hub: download.hub,
      signal: context.signal,
    });
  } finally {
    line?.[Symbol.dispose]();
  }
}

/** One line at a time: for each text its reading, then its writing. */
function progressLines({ progress }: CommandContext): { update(at: SummarizeProgress): void } & Disposable {
  let line: Progress | undefined;
  let shown = '';
  return {
    update({ text, stage, done, total }) {
      const label = `${stage} ${text}`;
      if (shown !== label) {
        line?.[Symbol.dispose]();
        line = progress({ label: stage, unit: stage === 'reading' ? 'layers' : 'tokens', total });
        shown = label;
      }
      line?.update(done);
    },
    [Symbol.dispose]: () => line?.[Symbol.dispose](),
  };
}
