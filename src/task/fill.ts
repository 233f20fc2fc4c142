/** Words for the gaps of a text. */
import { ArgumentError, TextError } from '../errors.ts';
import { softmax } from './labels.ts';
import { checkEncoder, type EncoderTaskOptions, runOptions } from './model-input.ts';

export interface FillOptions extends EncoderTaskOptions {
  /** With the tokenizer's mask token, e.g. "[MASK]" or "<mask>", in the place of each token that is to be found. */
  readonly text: string;
  /** How many tokens for each gap. Default 5. */
  readonly top?: number;
}

export interface Filling {
  readonly id: number;
  /** The token as text. */
  readonly token: string;
  readonly probability: number;
}

export interface FillResult {
  /** For each mask token, in the order of the text, the most probable tokens. Each gap is filled as if the others stayed. */
  readonly gaps: readonly (readonly Filling[])[];
  readonly tokens: number;
}

/**
 * Masked language modelling (Devlin et al., "BERT", section 3.1): a softmax over the vocabulary at each mask token.
 * @throws ArgumentError where the text has no mask token or more tokens than the encoder has positions; ModelError for a model with
 *   another head; TextError for a tokenizer without a mask token.
 */
export async function fill(options: FillOptions): Promise<FillResult> {
  const { encoder, text, top = 5, signal } = options;
  if (!(Number.isInteger(top) && top > 0)) throw new ArgumentError(`fill: top is ${top}; it must be at least 1`);
  const tokenizer = checkEncoder('fill', encoder, 'maskedLm');
  const { maskToken } = tokenizer;
  if (maskToken === undefined) throw new TextError('fill: the tokenizer has no mask token');
  const ids = await tokenizer.encodeInPieces(text, signal ? { signal } : {});
  const places = Array.from(ids.keys()).filter((place) => ids[place] === maskToken);
  if (places.length === 0) {
    throw new ArgumentError(`fill: the text has no ${tokenizer.decode([maskToken])}, which marks what is to be found`);
  }
  const [result] = await encoder.run({
    inputIds: [ids],
    outputs: ['head'],
    headPlaces: [places],
    ...runOptions(options),
  });
  const logits = result?.logits?.data ?? new Float32Array();
  const width = logits.length / places.length;
  const gaps = places.map((_, i) => {
    const probabilities = softmax(logits.subarray(i * width, (i + 1) * width));
    const order = Array.from(probabilities.keys()).sort((a, b) => (probabilities[b] ?? 0) - (probabilities[a] ?? 0));
    return order.slice(0, top).map((id) => ({
      id,
      // Tables of embeddings are often longer than the vocabulary.
      token: id < tokenizer.vocabularySize ? tokenizer.decode([id]).trim() : '',
      probability: probabilities[id] ?? 0,
    }));
  });
  return { gaps, tokens: ids.length };
}
