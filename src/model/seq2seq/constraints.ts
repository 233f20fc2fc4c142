/** What may not be written next, whatever its probability. */
import { ArgumentError } from '../../errors.ts';

/** Lengths count the tokens that are generated, the end token included. */
export interface OutputConstraints {
  /** The end token is not chosen before. Default 0. */
  readonly minTokens?: number;
  /** No run of so many tokens is written twice (Paulus et al., "A Deep Reinforced Model for Abstractive Summarization", section 2.5). Default 0: it may be. */
  readonly noRepeat?: number;
  /** The first token of every output. Default: any. */
  readonly firstToken?: number;
  /** The last token of an output that is cut at `maxTokens`. Default: any. */
  readonly lastToken?: number;
}

/** @throws ArgumentError */
export function checkConstraints({ minTokens = 0, noRepeat = 0 }: OutputConstraints, maxTokens: number): void {
  for (const [name, value] of Object.entries({ minTokens, noRepeat })) {
    if (!(Number.isSafeInteger(value) && value >= 0)) {
      throw new ArgumentError(`generate: ${name} is ${value}; it must be an integer from 0`);
    }
  }
  if (minTokens > maxTokens) {
    throw new ArgumentError(`generate: minTokens is ${minTokens} and maxTokens ${maxTokens}; it must not be more`);
  }
}

export interface OutputSoFar {
  /** The decoder's first tokens. */
  readonly prefix: readonly number[];
  readonly ids: readonly number[];
  readonly maxTokens: number;
  readonly endToken: number | undefined;
}

/**
 * Sets the scores [vocabulary], log probabilities or logits, of tokens that may not follow to -Infinity, in place. A token that is set is
 * certain: 0, as in transformers, so that a beam search does not rank outputs by it.
 */
export function constrain(scores: Float32Array, output: OutputSoFar, constraints: OutputConstraints): void {
  const { prefix, ids, maxTokens, endToken } = output;
  const { minTokens = 0, noRepeat = 0, firstToken, lastToken } = constraints;
  const last = ids.length === maxTokens - 1 ? lastToken : undefined;
  const only = last ?? (ids.length === 0 ? firstToken : undefined);
  if (only !== undefined) {
    scores.fill(-Infinity);
    scores[only] = 0;
    return;
  }
  if (endToken !== undefined && ids.length + 1 < minTokens) scores[endToken] = -Infinity;
  if (noRepeat === 0) return;
  const all = [...prefix, ...ids];
  const current = all.slice(all.length - noRepeat + 1).join();
  for (let end = noRepeat - 1; end < all.length; end++) {
    const next = all[end] ?? 0;
    if (all.slice(end - noRepeat + 1, end).join() === current) scores[next] = -Infinity;
  }
}
