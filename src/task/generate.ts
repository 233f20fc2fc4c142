/** Continuing a text. */
import type { NumberType } from '../attention/index.ts';
import { ArgumentError } from '../errors.ts';
import type { LanguageModel, Positions } from '../model/index.ts';
import type { Pattern } from '../pattern/index.ts';
import { type ChatMessage, chatPrompt } from '../text/index.ts';
import { peakMemory } from './peak-memory.ts';
import { type SamplingOptions, sampler } from './sampling.ts';
import { StopTexts } from './stop-texts.ts';

export interface GenerateOptions extends SamplingOptions {
  readonly model: LanguageModel;
  /** The text to continue; special tokens in it are recognised. Or give `ids`, or `messages`. */
  readonly prompt?: string;
  readonly ids?: ArrayLike<number>;
  /** A conversation that the model answers, by its chat template: see chatPrompt(). */
  readonly messages?: readonly ChatMessage[];
  /** Default 256. */
  readonly maxTokens?: number;
  /** Which earlier tokens each token sees. Default: what the model was trained to see, all for most. */
  readonly pattern?: Pattern;
  readonly positions?: Positions;
  /** How keys and values are kept. Default 'f32'. */
  readonly storage?: NumberType;
  /** Ends before the first of these texts. */
  readonly stop?: readonly string[];
  /** Goes on after the model's end-of-text token. Default false. */
  readonly ignoreEnd?: boolean;
  /** Each piece of text as soon as it is complete. */
  readonly onText?: (text: string) => void;
  /** While the prompt is read. */
  readonly onProgress?: (done: number, total: number) => void;
  readonly signal?: AbortSignal;
}

export interface GenerateResult {
  /** What was generated, without special tokens and without a stop text. */
  readonly text: string;
  /** The tokens generated, the end-of-text token included. */
  readonly ids: readonly number[];
  /** Why it ended: `maxTokens` were made, the model's end-of-text token came, or a text of `stop`. */
  readonly reason: 'length' | 'end' | 'stop';
  readonly promptTokens: number;
  readonly promptTokensPerSecond: number;
  /** Of the tokens after the first, which comes with the prompt. */
  readonly tokensPerSecond: number;
  readonly peakMemoryBytes: number | undefined;
}

/** Tokens of the prompt between two reports of progress. */
const STEP = 1024;

/**
 * Continues a prompt token by token: greedily, or by sampling, which a seed makes repeatable.
 * Ends at any of the model's end tokens: an answer of a chat has one of its own.
 * @throws ArgumentError for an empty prompt or options out of range, TextError for messages to a model without a chat template, MemoryError before reading where prompt and tokens do not
 *   fit, the signal's reason.
 */
export async function generate(options: GenerateOptions): Promise<GenerateResult> {
  const { model, maxTokens = 256, pattern, positions, signal, onText, onProgress } = options;
  const { tokenizer } = model;
  if (!Number.isSafeInteger(maxTokens) || maxTokens < 0) {
    throw new ArgumentError(`generate: maxTokens is ${maxTokens}; it must be an integer from 0`);
  }
  const next = sampler(options);
  const prompt = await promptIds(options);
  const ends = new Set([tokenizer.eosToken, ...model.endTokens]);
  const decoder = tokenizer.streamDecoder({ skipSpecialTokens: true });
  const stops = new StopTexts(options.stop ?? []);
  const reading = signal === undefined ? {} : { signal };
  const stream = model.stream({
    length: prompt.length + maxTokens,
    ...(pattern === undefined ? {} : { pattern }),
    ...(positions === undefined ? {} : { positions }),
    ...(options.storage === undefined ? {} : { storage: options.storage }),
  });
  const ids: number[] = [];
  let text = '';
  let reason: GenerateResult['reason'] = 'length';
  const give = (piece: string) => {
    if (piece === '') return;
    text += piece;
    onText?.(piece);
  };
  try {
    const start = performance.now();
    const last = prompt.length - 1;
    for (let from = 0; from < last; from += STEP) {
      await stream.read(prompt.subarray(from, Math.min(from + STEP, last)), reading);
      onProgress?.(Math.min(from + STEP, last), prompt.length);
    }
    let logits = await stream.logits(prompt.subarray(last), reading);
    onProgress?.(prompt.length, prompt.length);
    const first = performance.now();
    while (ids.length < maxTokens) {
      const id = next(logits);
      ids.push(id);
      if (ends.has(id) && options.ignoreEnd !== true) {
        reason = 'end';
        break;
      }
      const { text: piece, stopped } = stops.push(decoder.push(id));
      give(piece);
      if (stopped) {
        reason = 'stop';
        break;
      }
      if (ids.length < maxTokens) logits = await stream.logits([id], reading);
    }
    const end = performance.now();
    if (reason !== 'stop') {
      give(stops.push(decoder.flush()).text);
      give(stops.flush());
    }
    return {
      text,
      ids,
      reason,
      promptTokens: prompt.length,
      promptTokensPerSecond: (1000 * prompt.length) / (first - start),
      tokensPerSecond: ids.length < 2 ? 0 : (1000 * (ids.length - 1)) / (end - first),
      peakMemoryBytes: peakMemory(),
    };
  } finally {
    stream.close();
  }
}

/** Token ids of what is to be continued, with which generate() begins. @throws ArgumentError, TextError */
export async function promptIds({
  model,
  prompt,
  ids,
  messages,
}: Pick<GenerateOptions, 'model' | 'prompt' | 'ids' | 'messages'>): Promise<Int32Array> {
  if ([prompt, ids, messages].filter((each) => each !== undefined).length !== 1) {
    throw new ArgumentError('generate: give one of prompt, ids and messages');
  }
  const { tokenizer } = model;
  if (messages !== undefined)
    return tokenizer.encode(await chatPrompt(tokenizer, messages), { addSpecialTokens: false });
  const given = ids === undefined ? tokenizer.encode(prompt ?? '') : Int32Array.from(ids);
  if (given.length > 0) return given;
  const { bosToken } = tokenizer;
  if (bosToken === undefined)
    throw new ArgumentError('generate: the prompt is empty, and the model has no first token');
  return Int32Array.of(bosToken);
}
