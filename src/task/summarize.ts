/** Texts in fewer words. */
import { ArgumentError, TextError } from '../errors.ts';
import type { Seq2Seq } from '../model/index.ts';
import type { Tokenizer } from '../text/index.ts';

export interface SummarizeProgress {
  /** Which of the texts. While texts are read together, the first of them. */
  readonly text: number;
  /** Layers that have read, or tokens that are written of at most `total`. */
  readonly stage: 'reading' | 'writing';
  readonly done: number;
  readonly total: number;
}

export interface SummarizeOptions {
  readonly model: Seq2Seq;
  /** Each is read in one pass. */
  readonly texts: readonly string[];
  /** Tokens of each text to read from its start, with those that the tokenizer puts around. Default: all; a text that is longer than the model's positions is refused. */
  readonly length?: number;
  /** Tokens of the longest summary, the end token included. Default: what the model's publisher says, else 256. */
  readonly maxTokens?: number;
  /** The end token is not chosen before. Default: what the publisher says, else 0. */
  readonly minTokens?: number;
  /** Outputs that are kept at each step; 1 always takes the most probable token. Default: what the publisher says, else 1. */
  readonly beams?: number;
  /** With beams: a summary of n tokens is worth log p / n^lengthPenalty. Default: what the publisher says, else 1. */
  readonly lengthPenalty?: number;
  /** No run of so many tokens is written twice. Default: what the publisher says, else 0: it may be. */
  readonly noRepeat?: number;
  /** Each piece of a summary as soon as it is certain: with one beam. */
  readonly onText?: (text: string, index: number) => void;
  readonly onProgress?: (progress: SummarizeProgress) => void;
  readonly signal?: AbortSignal;
}

export interface Summary {
  readonly text: string;
  /** The tokens of the summary, the end token included. */
  readonly ids: readonly number[];
  /** Tokens of the text that were read. */
  readonly tokens: number;
  /** Whether the text has more, which `length` left out. */
  readonly isCut: boolean;
}

/** Texts that are read together have so many tokens at most. */
const TOGETHER = 16_384;

/**
 * Summarizes each text with an encoder-decoder that was trained to. What generation_config.json or config.json says of outputs (lengths,
 * beams, length penalty, runs that must not repeat, forced tokens) holds where the options say nothing. In models with global
 * attention the first token has it (Beltagy et al., "Longformer", section 7).
 * @throws TextError without a tokenizer, ArgumentError for a text that is longer than the model's positions and for options out of range.
 */
export async function summarize(options: SummarizeOptions): Promise<Summary[]> {
  const { model, texts, signal, onText, onProgress } = options;
  const { tokenizer, generation } = model;
  if (tokenizer === undefined) {
    throw new TextError('summarize: the model was loaded without a tokenizer; put tokenizer.json beside the weights');
  }
  const maxTokens = options.maxTokens ?? Math.min(generation?.maxTokens ?? 256, model.maxOutputTokens);
  const settings = {
    maxTokens,
    minTokens: options.minTokens ?? Math.min(generation?.minTokens ?? 0, maxTokens),
    beams: options.beams ?? generation?.beams ?? 1,
    lengthPenalty: options.lengthPenalty ?? generation?.lengthPenalty ?? 1,
    noRepeat: options.noRepeat ?? generation?.noRepeat ?? 0,
    ...(generation?.firstToken === undefined ? {} : { firstToken: generation.firstToken }),
    ...(generation?.lastToken === undefined ? {} : { lastToken: generation.lastToken }),
  };
  const encoded: EncodedText[] = [];
  for (const [i, text] of texts.entries()) encoded.push(await encode(tokenizer, text, i, options));
  const summaries: Summary[] = [];
  for (const group of groupsOf(encoded)) {
    const first = summaries.length;
    const read = await model.encode({
      inputIds: group.map(({ ids }) => ids),
      ...(model.hasGlobals
        ? { globalAttentionMask: group.map(({ ids }) => Array.from(ids, (_, i) => (i === 0 ? 1 : 0))) }
        : {}),
      ...(onProgress === undefined
        ? {}
        : { onProgress: (done, total) => onProgress({ text: first, stage: 'reading', done, total }) }),
      ...(signal === undefined ? {} : { signal }),
    });
    try {
      for (const [i, { ids: given, isCut }] of group.entries()) {
        const text = first + i;
        const decoder = tokenizer.streamDecoder({ skipSpecialTokens: true });
        const give = (piece: string) => {
          if (piece !== '') onText?.(piece, text);
        };
        const [ids = []] = await model.generate(read, {
          ...settings,
          only: i,
          onToken: (id) => give(decoder.push(id)),
          ...(onProgress === undefined
            ? {}
            : { onProgress: (done) => onProgress({ text, stage: 'writing', done, total: maxTokens }) }),
          ...(signal === undefined ? {} : { signal }),
        });
        give(decoder.flush());
        const written = tokenizer.decode(ids, { skipSpecialTokens: true }).trim();
        summaries.push({ text: written, ids, tokens: given.length, isCut });
      }
    } finally {
      read.dispose();
    }
  }
  return summaries;
}

interface EncodedText {
  readonly ids: ArrayLike<number>;
  readonly isCut: boolean;
}

async function encode(
  tokenizer: Tokenizer,
  text: string,
  index: number,
  { model, length = Infinity, signal }: SummarizeOptions,
): Promise<EncodedText> {
  const ids = await tokenizer.encodeInPieces(text, signal ? { signal } : {});
  if (ids.length === 0) throw new ArgumentError(`summarize: texts[${index}] is empty`);
  const room = Math.min(length, model.maxTokens);
  if (ids.length <= room) return { ids, isCut: false };
  const { before = [], after = [] } = tokenizer.aroundText?.() ?? {};
  if (!(Number.isInteger(length) && length > before.length + after.length)) {
    throw new ArgumentError(
      length === Infinity
        ? `summarize: texts[${index}] has ${ids.length} tokens and the model ${model.maxTokens} positions; with a length its first tokens are read`
        : `summarize: length is ${length}; it must be an integer above the ${before.length + after.length} tokens around a text`,
    );
  }
  const kept = room - after.length;
  return { ids: [...ids.subarray(0, kept), ...after], isCut: true };
}

/** Neighbours that are read together. */
function groupsOf(texts: readonly EncodedText[]): EncodedText[][] {
  const groups: EncodedText[][] = [];
  let tokens = Infinity;
  for (const text of texts) {
    tokens += text.ids.length;
    if (tokens > TOGETHER) {
      groups.push([]);
      tokens = text.ids.length;
    }
    groups.at(-1)?.push(text);
  }
  return groups;
}
