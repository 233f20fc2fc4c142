import { tag } from '../../task/index.ts';
import { addCommand, type Register } from '../command.ts';
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
}

export const registerTag: Register = (program, start) => {
  const command = addCommand(program, 'tag', {
    summary: 'find names and other spans in a document',
    description: 'Labels each token of a document and prints the spans of one label, with their line and column.',
    examples: [
      { does: 'the names in a page', command: 'farfield tag --model bert-ner --text page.html' },
      { does: 'the same for a program', command: 'farfield tag --model bert-ner --text page.html --json' },
    ],
  }).option('--text <file>', 'txt, md or html');
  addEncoderOptions(command).action(start(tagDocument, ['model', 'text']));
};

async function tagDocument(options: Options, context: CommandContext): Promise<void> {
  const document = await openDocument(options.text, '--text');
  await using encoder = await openEncoderFor('tokenClassification', options, context);
  await lookAtPattern(options, encoder, [document.text], context);
  const spans = await readBehindProgress(context, (running) => tag({ encoder, document, ...running }));
  const lines = spans.map(
    ({ label, score, text, place: { start } }) =>
      `${score.toFixed(4)}  ${label}  ${options.text}:${start.line}:${start.column}  ${text.replaceAll(/\s+/g, ' ')}`,
  );
  context.result({ text: options.text, spans }, lines.length === 0 ? 'no spans' : lines.join('\n'));
}
