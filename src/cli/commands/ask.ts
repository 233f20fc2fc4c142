import { ask } from '../../task/index.ts';
import { addCommand, integer, type Register } from '../command.ts';
import type { CommandContext } from '../context.ts';
import { formatCounted } from '../format.ts';
import {
  addEncoderOptions,
  type EncoderOptions,
  lookAtPattern,
  openDocument,
  openHeadModelFor,
  readBehindProgress,
} from './encoder-options.ts';

interface Options extends EncoderOptions {
  readonly text: string;
  readonly question: string;
  readonly top: number;
  readonly overlap?: number;
}

export const registerAsk: Register = (program, start) => {
  const command = addCommand(program, 'ask', {
    summary: 'find the answer to a question in a document',
    description:
      'Prints the passage of a document that answers a question, with its line and column. A document longer than the model’s ' +
      'positions is read in overlapping windows, or in one pass with --pattern and --positions repeat.',
    examples: [
      {
        does: 'a fact in a long report',
        command: 'farfield ask --model longformer-squad --text report.html --question "Who signed it?"',
      },
      {
        does: 'the three best passages, for a program',
        command: 'farfield ask --model bert-squad --text book.txt --question "Where was she born?" --top 3 --json',
      },
    ],
  })
    .option('--text <file>', 'txt, md or html')
    .option('--question <text>', 'what to ask')
    .option('--top <count>', 'how many passages', integer(1), 1)
    .option('--overlap <tokens>', 'that a window has in common with the next; default: 128', integer(0));
  addEncoderOptions(command).action(start(askDocument, ['model', 'text', 'question']));
};

async function askDocument(options: Options, context: CommandContext): Promise<void> {
  const { question, top, overlap } = options;
  const document = await openDocument(options.text, '--text');
  await using encoder = await openHeadModelFor('questionAnswering', options, context);
  await lookAtPattern(options, encoder, [document.text], context);
  const result = await readBehindProgress(context, (running) =>
    ask({ encoder, question, document, top, ...(overlap === undefined ? {} : { overlap }), ...running }),
  );
  const lines = result.answers.map(
    ({ text, score, place }) =>
      `${score.toFixed(4)}  ${options.text}:${place.start.line}:${place.start.column}  ${text.replaceAll(/\s+/g, ' ')}`,
  );
  const read = `${formatCounted(result.tokens, 'token')} in ${formatCounted(result.windows, 'pass', 'windows')}`;
  context.result({ question, text: options.text, ...result }, [...lines, '', read].join('\n'));
}
