import { fill } from '../../task/index.ts';
import { addCommand, integer, type Register } from '../command.ts';
import type { CommandContext } from '../context.ts';
import {
  addEncoderOptions,
  type EncoderOptions,
  lookAtPattern,
  openDocument,
  openEncoderFor,
  readBehindProgress,
} from './encoder-options.ts';

interface Options extends EncoderOptions {
  readonly text: string;
  readonly top: number;
}

export const registerFill: Register = (program, start) => {
  const command = addCommand(program, 'fill', {
    summary: 'find the words for the gaps of a text',
    description:
      'Prints the most probable tokens for each mask token ([MASK] or <mask>, as the model has it) of a document.',
    examples: [
      { does: 'a word that is missing', command: 'farfield fill --model bert-base-uncased --text gaps.txt --top 3' },
      {
        does: 'in a long text, for a program',
        command: 'farfield fill --model longformer-base-4096 --text gaps.md --json',
      },
    ],
  })
    .option('--text <file>', 'txt, md or html')
    .option('--top <count>', 'tokens for each gap', integer(1), 5);
  addEncoderOptions(command).action(start(fillText, ['model', 'text']));
};

async function fillText(options: Options, context: CommandContext): Promise<void> {
  const { text } = await openDocument(options.text, '--text');
  await using encoder = await openEncoderFor('maskedLm', options, context);
  await lookAtPattern(options, encoder, [text], context);
  const result = await readBehindProgress(context, (running) => fill({ encoder, text, top: options.top, ...running }));
  const lines = result.gaps.map((gap, i) =>
    [`gap ${i + 1}`, ...gap.map(({ token, probability }) => `  ${probability.toFixed(4)}  ${token}`)].join('\n'),
  );
  context.result({ text: options.text, ...result }, lines.join('\n\n'));
}
