import { FarfieldError } from '../../errors.ts';
import { generate, promptIds } from '../../task/index.ts';
import { type ChatMessage, readMessages } from '../../text/index.ts';
import { addCommand, integer, type Register } from '../command.ts';
import type { CommandContext } from '../context.ts';
import { formatCounted, formatRate } from '../format.ts';
import { noteBlindTokens } from './blind-tokens.ts';
import { addModelOptions, type ModelOptions, numberFrom, openModel, patternOf, readText } from './model-options.ts';

interface Options extends ModelOptions {
  readonly prompt?: string;
  readonly promptFile?: string;
  readonly chat?: boolean;
  readonly system?: string;
  readonly messages?: string;
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
        'Reads a prompt and continues it, printing the text as it comes. With --chat the prompt is a message, which the model’s ' +
        'chat template puts into words and the model answers. Always the most probable token, unless --temperature is given; the ' +
        'same seed gives the same text.',
      examples: [
        {
          does: 'after a long file, in bounded memory',
          command: 'farfield generate --model model.gguf --prompt-file chapter.txt --pattern "sinks:4+window:1024"',
        },
        {
          does: 'an answer, of a model that was trained to chat',
          command:
            'farfield generate --model model.gguf --chat --prompt "Who is Ishmael?" --system "Answer in one sentence."',
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
    .option('--chat', 'the prompt is a message to answer, by the model’s chat template')
    .option('--system <text>', 'with --chat: the system message before it')
    .option('--messages <file>', 'a conversation to answer, as JSON: [{ "role": "user", "content": "..." }, ...]')
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
  const ids = await promptIds({ model, ...prompt });
  const tokens = ids.length + options.maxTokens;
  noteBlindTokens(pattern.pattern, { tokens, heads: model.config.heads, isCausal: true }, context);
  using line = context.progress({ label: 'reading the prompt', unit: 'tokens', total: ids.length });
  const { topK, topP, temperature, seed, maxTokens, positions, stop } = options;
  const result = await generate({
    model,
    ids,
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
  if (context.json) return;
  const { ids: made, promptTokens, promptTokensPerSecond, tokensPerSecond } = result;
  // A first token alone comes with the prompt, in no time of its own.
  const rate = made.length > 1 ? ` at ${formatRate(tokensPerSecond)} tokens/s` : '';
  context.note(
    `${formatCounted(promptTokens, 'prompt token')} at ${formatRate(promptTokensPerSecond)} tokens/s, ` +
      `${formatCounted(made.length, 'token')}${rate}`,
  );
  if (result.reason === 'end' && result.text.trim() === '') {
    const asked = options.chat === true || options.messages !== undefined;
    const chat = asked ? '' : '; one that was trained to chat answers a prompt with --chat';
    context.note(`the model ended its text at once${chat}`);
  }
}

/** What the command line asks to be continued. */
async function promptOf(
  options: Options,
): Promise<{ readonly prompt: string } | { readonly messages: readonly ChatMessage[] }> {
  const { prompt, promptFile, messages, chat = false, system } = options;
  if ([prompt, promptFile, messages].filter((each) => each !== undefined).length !== 1) {
    throw new FarfieldError('generate: give one of --prompt, --prompt-file and --messages');
  }
  if (messages !== undefined) {
    if (system !== undefined)
      throw new FarfieldError('generate: --system goes with --chat; --messages has all messages');
    return { messages: readMessages(await readText(messages, '--messages'), messages) };
  }
  const text = promptFile === undefined ? (prompt ?? '') : await readText(promptFile, '--prompt-file');
  if (promptFile !== undefined && text === '')
    throw new FarfieldError(`--prompt-file ${promptFile}: there is no text in it`);
  if (!chat) {
    if (system !== undefined) throw new FarfieldError('generate: --system needs --chat');
    return { prompt: text };
  }
  const first = system === undefined ? [] : [{ role: 'system', content: system }];
  return { messages: [...first, { role: 'user', content: text }] };
}
