/** Which tokens a masked language model must guess. */
import { ArgumentError } from '../../errors.ts';
import { hashOf } from './random.ts';

/** Devlin et al. 2019, "BERT", section 3.1, has 0.15, 0.8 and 0.1; the rest of the chosen tokens stays as it is. */
export interface Masking {
  /** The chance of a token to be chosen: its output is scored. */
  readonly rate: number;
  /** Share of the chosen tokens that the mask token replaces. */
  readonly masked: number;
  /** Share of the chosen tokens that a random token replaces. */
  readonly random: number;
}

export const bertMasking: Masking = { rate: 0.15, masked: 0.8, random: 0.1 };

export interface MaskVocabulary {
  readonly maskToken: number;
  readonly documentEnd: number;
  /** Random tokens are drawn from 0 to below this, without the two special ones. */
  readonly plainTokens: number;
}

/** @throws ArgumentError */
export function checkMasking({ rate, masked, random }: Masking): void {
  if (!(rate > 0 && rate <= 1)) throw new ArgumentError(`masking.rate is ${rate}; it must be above 0 and at most 1`);
  if (!(masked >= 0 && random >= 0 && masked + random <= 1)) {
    throw new ArgumentError(
      `masking.masked is ${masked} and masking.random ${random}; they must be from 0, together at most 1`,
    );
  }
}

/**
 * What the model reads in place of a token, or undefined where the token is not chosen. It depends on (seed, epoch, document, position)
 * and on nothing else, so packing and the context change nothing, and every epoch chooses anew (as RoBERTa, Liu et al. 2019, section 4.1).
 */
export function masker(
  { rate, masked, random }: Masking,
  vocabulary: MaskVocabulary,
  seed: number,
): (epoch: number, document: number, position: number, token: number) => number | undefined {
  const { maskToken, documentEnd, plainTokens } = vocabulary;
  const chance = (what: number, epoch: number, document: number, position: number): number =>
    (hashOf(what, seed, epoch, document, position) >>> 0) / 2 ** 32;
  return (epoch, document, position, token) => {
    if (chance(0, epoch, document, position) >= rate) return undefined;
    const kind = chance(1, epoch, document, position);
    if (kind < masked) return maskToken;
    if (kind >= masked + random) return token;
    for (let draw = 2; ; draw++) {
      const other = Math.floor(chance(draw, epoch, document, position) * plainTokens);
      if (other !== maskToken && other !== documentEnd) return other;
    }
  };
}
