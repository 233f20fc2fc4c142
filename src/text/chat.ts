/** Messages of a conversation as the text that a model was trained on: its publisher's chat template, filled in. */
import { TextError } from '../errors.ts';
import type { Tokenizer } from './tokenizer.ts';

export interface ChatMessage {
  /** "system", "user", "assistant", or what else the template knows. */
  readonly role: string;
  readonly content: string;
}

export interface ChatOptions {
  /** Ends with what begins the model's answer. Default true. */
  readonly addGenerationPrompt?: boolean;
}

/**
 * The prompt of a conversation by the tokenizer's chat template (Jinja, with what transformers' apply_chat_template gives it: `messages`,
 * `add_generation_prompt`, `bos_token`, `eos_token`). The template writes the special tokens, so the text is to be encoded with
 * `addSpecialTokens: false`. Special tokens inside a message are recognised too.
 * @throws TextError where there is no template, no message, or the template refuses the messages, with what it says.
 */
export async function chatPrompt(
  tokenizer: Tokenizer,
  messages: readonly ChatMessage[],
  { addGenerationPrompt = true }: ChatOptions = {},
): Promise<string> {
  const { chatTemplate, bosToken, eosToken } = tokenizer;
  if (chatTemplate === undefined) {
    throw new TextError('chat: the model has no chat template (chat_template in tokenizer_config.json); give a prompt');
  }
  if (messages.length === 0) throw new TextError('chat: there are no messages');
  for (const [i, message] of messages.entries()) {
    if (typeof message?.role !== 'string' || typeof message.content !== 'string') {
      throw new TextError(`chat: messages[${i}] must be { role, content }, both strings`);
    }
  }
  const { Template } = await import('@huggingface/jinja');
  const textOf = (id: number | undefined) => (id === undefined ? '' : tokenizer.decode([id]));
  try {
    return new Template(chatTemplate).render({
      messages: messages.map(({ role, content }) => ({ role, content })),
      add_generation_prompt: addGenerationPrompt,
      bos_token: textOf(bosToken),
      eos_token: textOf(eosToken),
    });
  } catch (cause) {
    throw new TextError(`chat: the model's chat template: ${cause instanceof Error ? cause.message : String(cause)}`, {
      cause,
    });
  }
}

/** The messages of a JSON text: [{ "role": "user", "content": "..." }, ...]. @throws TextError that says what is wrong. */
export function readMessages(json: string, source: string): ChatMessage[] {
  let value: unknown;
  try {
    value = JSON.parse(json);
  } catch (cause) {
    throw new TextError(`${source}: is not JSON`, { cause });
  }
  const form = 'messages are a list of { "role": "user", "content": "..." }';
  if (!Array.isArray(value)) throw new TextError(`${source}: ${form}`);
  return value.map((entry: unknown, i) => {
    const { role, content } = (typeof entry === 'object' && entry !== null ? entry : {}) as Record<string, unknown>;
    if (typeof role !== 'string' || typeof content !== 'string') {
      throw new TextError(`${source}: entry ${i} is ${JSON.stringify(entry)}; ${form}`);
    }
    return { role, content };
  });
}
