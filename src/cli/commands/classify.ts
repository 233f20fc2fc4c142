import { classify } from '../../task/index.ts';
import { addCommand, type Register } from '../command.ts';
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
  readonly text: string[];
}

export const registerClassify: Register = (program, start) => {
  const command = addCommand(program, 'classify', {
    summary: 'tell the class of texts',
    description: 'Reads each document in one pass of a sequence classifier and prints the probability of each class.',
    examples: [
      {
        does: 'what kind of contract a long file is',
        command: 'farfield classify --model longformer-contracts --text contract.html',
      },
      {
        does: 'several texts together, for a program',
        command: 'farfield classify --model bert-sentiment --text one.txt two.md --json',
      },
    ],
  }).option('--text <files...>', 'txt, md or html');
  addEncoderOptions(command).action(start(classifyTexts, ['model', 'text']));
};

async function classifyTexts(options: Options, context: CommandContext): Promise<void> {
  const texts: string[] = [];
  for (const file of options.text) texts.push((await openDocument(file, '--text')).text);
  await using encoder = await openHeadModelFor('sequenceClassification', options, context);
  await lookAtPattern(options, encoder, texts, context);
  const results = await readBehindProgress(context, (running) => classify({ encoder, texts, ...running }));
  const named = results.map((result, i) => ({ text: options.text[i] ?? '', ...result }));
  const described = named.map(({ text, tokens, classes }) => {
    const lines = classes.map(({ label, score }) => `  ${score.toFixed(4)}  ${label}`);
    return [`${text} (${formatCounted(tokens, 'token')})`, ...lines].join('\n');
  });
  context.result({ texts: named }, described.join('\n\n'));
}
