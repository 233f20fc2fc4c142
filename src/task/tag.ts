/** Names and other spans of a document. */
import { type FilePlace, type TextDocument, tokenSpans } from '../text/index.ts';
import { labelsOf, softmax } from './labels.ts';
import { checkEncoder, type EncoderTaskOptions, runOptions } from './model-input.ts';
import { tokenWindows } from './windows.ts';

export interface TagOptions extends EncoderTaskOptions {
  readonly document: TextDocument;
  /** Labels that are left out. Default: "O". */
  readonly ignored?: readonly string[];
  /** Of a document longer than the model's positions: tokens that one window has in common with the next. Default 128, or half the room. */
  readonly overlap?: number;
}

export interface TaggedSpan {
  /** Without "B-" or "I-". */
  readonly label: string;
  /** The mean of its tokens' probabilities. */
  readonly score: number;
  readonly text: string;
  /** UTF-16 units of the document's text. */
  readonly start: number;
  readonly end: number;
  /** In the document's file. */
  readonly place: FilePlace;
}

/**
 * Token classification. Each token has its most probable label; neighbours of one label make a span, and a label that starts with "B-"
 * begins a new one, which is the strategy "simple" of transformers' pipeline. Documents longer than the model's positions are read in
 * overlapping windows, packed; a token has the label of the window in which it is farthest from an edge.
 * @throws ModelError for a model with another head, TextError without a tokenizer, ArgumentError for an impossible overlap.
 */
export async function tag(options: TagOptions): Promise<TaggedSpan[]> {
  const { encoder, document, ignored = ['O'], signal } = options;
  const tokenizer = checkEncoder('tag', encoder, 'tokenClassification');
  const ids = await tokenizer.encodeInPieces(document.text, {
    addSpecialTokens: false,
    ...(signal === undefined ? {} : { signal }),
  });
  if (ids.length === 0) return [];
  const { before = [], after = [] } = tokenizer.aroundText?.() ?? {};
  const room = encoder.maxTokens - before.length - after.length;
  const windows = tokenWindows(ids.length, room, options.overlap ?? Math.min(128, Math.floor(room / 2)));
  const inputIds = windows.map(({ start, end }) => [...before, ...ids.subarray(start, end), ...after]);
  const results = await encoder.run({ inputIds, outputs: ['head'], ...runOptions(options) });
  const classes = results[0]?.logits?.shape[1] ?? 0;
  const labels = labelsOf(encoder, classes);
  const tokens = Array.from(ids, (_, token): TokenLabel => {
    let [chosen, farthest] = [0, -1];
    for (const [i, { start, end }] of windows.entries()) {
      const distance = Math.min(token - start, end - 1 - token);
      if (distance > farthest) [chosen, farthest] = [i, distance];
    }
    const row = before.length + token - (windows[chosen]?.start ?? 0);
    const logits = results[chosen]?.logits?.data.subarray(row * classes, (row + 1) * classes) ?? new Float32Array();
    const probabilities = softmax(logits);
    const best = probabilities.indexOf(Math.max(...probabilities));
    return { label: labels[best] ?? '', score: probabilities[best] ?? 0 };
  });
  const spans = tokenSpans(tokenizer, document.text, ids);
  return groupTokens(tokens)
    .filter(({ label }) => !ignored.includes(label))
    .map(({ label, score, first, last }) => {
      const start = spans[first]?.start ?? 0;
      const end = Math.max(start, spans[last]?.end ?? 0);
      return { label, score, text: document.text.slice(start, end), start, end, place: document.place(start, end) };
    });
}

interface TokenLabel {
  readonly label: string;
  readonly score: number;
}

interface TokenGroup extends TokenLabel {
  readonly first: number;
  readonly last: number;
}

function groupTokens(tokens: readonly TokenLabel[]): TokenGroup[] {
  const groups: { label: string; first: number; last: number; sum: number }[] = [];
  for (const [i, { label: full, score }] of tokens.entries()) {
    const label = full.replace(/^[BI]-/, '');
    const current = groups.at(-1);
    if (current !== undefined && current.label === label && !full.startsWith('B-')) {
      current.last = i;
      current.sum += score;
    } else {
      groups.push({ label, first: i, last: i, sum: score });
    }
  }
  return groups.map(({ label, first, last, sum }) => ({ label, first, last, score: sum / (last - first + 1) }));
}
