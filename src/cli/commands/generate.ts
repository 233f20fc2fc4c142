import { FarfieldError } from '../../errors.ts';
import { generate } from '../../task/index.ts';
import { addCommand, integer, type Register } from '../command.ts';
import type { CommandContext } from '../context.ts';
import { formatCount, formatRate } from '../format.ts';
import { addModelOptions, type ModelOptions, numberFrom, openModel, patternOf, readText } from './model-options.ts';

interface Options extends ModelOptions {
  readonly prompt?: string;
  readonly promptFile?: string;
  readonly maxTokens: number;
  readonly temperature: number;
  readonly topK?: number;
  readonly topP: number;
  readonly seed: number;
  readonly stop?: string[];
}

export const registerGenerate: Register = (program, start) => {
  addModelOptions(
    addCommand(program, 'generate', {
      summary: 'continue a prompt',
      description:
        'Reads a prompt and continues it, printing the text as it comes. Always the most probable token, unless ' +
        '--temperature is given; the same seed gives the same text.',
      examples: [
        {
          does: 'after a long file, in bounded memory',
          command: 'farfield generate --model model.gguf --prompt-file chapter.txt --pattern "sinks:4+window:1024"',
        },
        {
          does: 'sampled, and repeatable',
          command: 'farfield generate --model model.gguf --prompt "Call me" --temperature 0.8 --top-p 0.95 --seed 7',
        },
      ],
    }),
  )
    .option('--prompt <text>', 'the text to continue')
    .option('--prompt-file <file>', 'a UTF-8 file with the text to continue')
    .option('--max-tokens <count>', 'tokens to generate at most', integer(1), 256)
    .option('--temperature <number>', 'divides the logits; 0 takes the most probable token', numberFrom(0, Infinity), 0)
    .option('--top-k <count>', 'choose among the k most probable tokens', integer(1))
    .option(
      '--top-p <share>',
      'choose among the most probable tokens that have this share together',
      numberFrom(0, 1),
      1,
    )
    .option('--seed <number>', 'of the choices', integer(0), 0)
    .option('--stop <text...>', 'end before one of these texts')
    .action(start(continuePrompt, ['model']));
};

async function continuePrompt(options: Options, context: CommandContext): Promise<void> {
  const pattern = patternOf(options);
  const prompt = await promptOf(options);
  await using model = await openModel(options, context);
  const ids = model.tokenizer.encode(prompt);
  using line = context.progress({ label: 'reading the prompt', unit: 'tokens', total: ids.length });
  const { topK, topP, temperature, seed, maxTokens, positions, stop } = options;
  const result = await generate({
    model,
    // An empty prompt is left to generate(), which begins with the model's first token.
    ...(ids.length === 0 ? { prompt } : { ids }),
    maxTokens,
    ...pattern,
    positions,
    storage: options.kv,
    temperature,
    topP,
    seed,
    ...(topK === undefined ? {} : { topK }),
    ...(stop === undefined ? {} : { stop }),
    onProgress: (done) => line.update(done),
    onText: (text) => context.stream(text),
    signal: context.signal,
  });
  context.result(result, '\n');
  const { promptTokens, promptTokensPerSecond, tokensPerSecond } = result;
  const made = `${formatCount(result.ids.length)} tokens at ${formatRate(tokensPerSecond)} tokens/s`;
  if (!context.json) {
    context.note(
      `${formatCount(promptTokens)} prompt tokens at ${formatRate(promptTokensPerSecond)} tokens/s, ${made}`,
    );
  }
}

async function promptOf({ prompt, promptFile }: Options): Promise<string> {
  if ((prompt === undefined) === (promptFile === undefined)) {
    throw new FarfieldError('generate: give either --prompt or --prompt-file');
  }
  return promptFile === undefined ? (prompt ?? '') : readText(promptFile, '--prompt-file');
}
