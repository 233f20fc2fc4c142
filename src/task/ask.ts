/** Questions whose answer is a passage of a document. */
import { ArgumentError, TextError } from '../errors.ts';
import type { HeadModel } from '../model/index.ts';
import { type FilePlace, type TextDocument, tokenSpans } from '../text/index.ts';
import { softmax } from './labels.ts';
import { checkEncoder, type EncoderTaskOptions, runOptions } from './model-input.ts';
import { type TokenWindow, tokenWindows } from './windows.ts';

/** `encoder`: one with the head of answers, or an encoder-decoder that has one (Seq2SeqReader). */
export interface AskOptions extends EncoderTaskOptions<HeadModel> {
  readonly question: string;
  readonly document: TextDocument;
  /** How many answers, none of which share a token. Default 1. */
  readonly top?: number;
  /** Tokens of the longest answer. Default 30. */
  readonly maxAnswerTokens?: number;
  /** Of a document longer than the model's positions: tokens that one window has in common with the next. Default 128, or half the room. */
  readonly overlap?: number;
}

export interface Answer {
  /** Of the document's text. */
  readonly text: string;
  /** The probability of its first token times that of its last, within its window. */
  readonly score: number;
  /** UTF-16 units of the document's text. */
  readonly start: number;
  readonly end: number;
  /** In the document's file. */
  readonly place: FilePlace;
}

export interface AskResult {
  /** From the best to the worst. */
  readonly answers: readonly Answer[];
  /** Tokens of the document. */
  readonly tokens: number;
  /** Passes in which it was read: 1 where the model's positions allow. */
  readonly windows: number;
}

/**
 * Extractive question answering (Devlin et al., "BERT", section 4.2): the span whose start and end have the highest product of
 * probabilities. These are a softmax over the document's tokens of one window and, where the tokenizer puts one there, the first token,
 * which stands for "no answer here", so that scores of windows compare. Tokens of the question have global attention where the model has it (Longformer, section 4.3). A
 * document longer than the model's positions is read in overlapping windows, packed.
 * @throws ModelError for a model with another head, TextError without a tokenizer, ArgumentError for a question without room for a text.
 */
export async function ask(options: AskOptions): Promise<AskResult> {
  const { encoder, question, document, top = 1, maxAnswerTokens = 30, signal } = options;
  const tokenizer = checkEncoder('ask', encoder, 'questionAnswering');
  for (const [name, value] of Object.entries({ top, maxAnswerTokens })) {
    if (!(Number.isInteger(value) && value > 0)) throw new ArgumentError(`${name} is ${value}; it must be at least 1`);
  }
  const around = tokenizer.aroundPair?.();
  if (around === undefined || around.before.length + around.between.length + around.after.length === 0) {
    throw new TextError('ask: the tokenizer does not say how a question and a text are put together (post_processor)');
  }
  const asked = tokenizer.encode(question, { addSpecialTokens: false });
  const ids = await tokenizer.encodeInPieces(document.text, {
    addSpecialTokens: false,
    ...(signal === undefined ? {} : { signal }),
  });
  if (ids.length === 0) return { answers: [], tokens: 0, windows: 0 };
  const head = [...around.before, ...asked, ...around.between];
  const room = encoder.maxTokens - head.length - around.after.length;
  if (room < 1) {
    throw new ArgumentError(
      `the question has ${asked.length} tokens, which leave no room for a text: ${encoder.maxTokens} positions`,
    );
  }
  const windows = tokenWindows(ids.length, room, options.overlap ?? Math.min(128, Math.floor(room / 2)));
  const inputIds = windows.map(({ start, end }) => [...head, ...ids.subarray(start, end), ...around.after]);
  const global = around.before.length + asked.length;
  const results = await encoder.run({
    inputIds,
    outputs: ['head'],
    ...(encoder.tokenKinds > around.secondKind
      ? { tokenTypes: inputIds.map((own) => own.map((_, i) => (i < head.length ? 0 : around.secondKind))) }
      : {}),
    ...(encoder.hasGlobals
      ? { globalAttentionMask: inputIds.map((own) => own.map((_, i) => (i < global ? 1 : 0))) }
      : {}),
    ...runOptions(options),
  });
  const scored = windows.map((window, i): ScoredWindow => {
    const probabilities = (logits: Float32Array = new Float32Array()) => {
      const own = logits.subarray(head.length, head.length + window.end - window.start);
      return around.before.length === 0 ? softmax(own) : softmax([logits[0] ?? 0, ...own]).subarray(1);
    };
    return { ...window, starts: probabilities(results[i]?.startLogits), ends: probabilities(results[i]?.endLogits) };
  });
  const spans = tokenSpans(tokenizer, document.text, ids);
  const answers = bestSpans(scored, ids.length, top, maxAnswerTokens).map(({ first, last, score }): Answer => {
    const start = spans[first]?.start ?? 0;
    const end = Math.max(start, spans[last]?.end ?? 0);
    return { text: document.text.slice(start, end), score, start, end, place: document.place(start, end) };
  });
  return { answers, tokens: ids.length, windows: windows.length };
}

interface ScoredWindow extends TokenWindow {
  readonly starts: Float64Array;
  readonly ends: Float64Array;
}

/** Tokens of the document. */
interface ScoredSpan {
  readonly first: number;
  readonly last: number;
  readonly score: number;
}

/** The best span, then the best that shares no token with those before it. */
function bestSpans(windows: readonly ScoredWindow[], tokens: number, top: number, longest: number): ScoredSpan[] {
  const taken = new Uint8Array(tokens);
  const chosen: ScoredSpan[] = [];
  while (chosen.length < top) {
    let best: ScoredSpan | undefined;
    for (const { start, end, starts, ends } of windows) {
      for (let first = start; first < end; first++) {
        const likely = starts[first - start] ?? 0;
        for (let last = first; last < Math.min(end, first + longest) && taken[last] === 0; last++) {
          const score = likely * (ends[last - start] ?? 0);
          if (best === undefined || score > best.score) best = { first, last, score };
        }
      }
    }
    if (best === undefined) break;
    taken.fill(1, best.first, best.last + 1);
    chosen.push(best);
  }
  return chosen;
}
