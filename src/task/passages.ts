/** The parts of a text that a model predicted worst. */
import { ArgumentError } from '../errors.ts';

export interface PassageOptions {
  /** How many at most. Default 5. */
  readonly count?: number;
  /** Tokens of a passage. Default 160. */
  readonly length?: number;
}

/** Tokens `start` to `end` of a text. */
export interface Passage {
  readonly start: number;
  readonly end: number;
  /** Mean -log p of its tokens, natural. */
  readonly loss: number;
}

/**
 * The passages of `length` tokens with the highest mean loss, the worst first, none within another's length of it. `losses` [n]:
 * -log p of each token. A text shorter than a passage is one.
 * @throws ArgumentError
 */
export function surprisingPassages(losses: ArrayLike<number>, options: PassageOptions = {}): Passage[] {
  const { count = 5, length = 160 } = options;
  for (const [name, value] of Object.entries({ count, length })) {
    if (!Number.isSafeInteger(value) || value < 1) {
      throw new ArgumentError(`surprisingPassages: ${name} is ${value}; it must be a whole number from 1`);
    }
  }
  if (losses.length === 0) return [];
  const size = Math.min(length, losses.length);
  const sums = new Float64Array(losses.length + 1);
  for (let i = 0; i < losses.length; i++) sums[i + 1] = (sums[i] ?? 0) + (losses[i] ?? 0);
  const means = Float64Array.from(
    { length: losses.length - size + 1 },
    (_, start) => ((sums[start + size] ?? 0) - (sums[start] ?? 0)) / size,
  );
  const starts = Uint32Array.from(means.keys()).sort((a, b) => (means[b] ?? 0) - (means[a] ?? 0) || a - b);
  const found: Passage[] = [];
  for (const start of starts) {
    if (found.length === count) break;
    // At least another passage's length lies between two.
    if (found.some((passage) => Math.abs(passage.start - start) < 2 * size)) continue;
    found.push({ start, end: start + size, loss: means[start] ?? 0 });
  }
  return found;
}
