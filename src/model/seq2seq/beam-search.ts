/** The most probable outputs, several at a time. */
import { ArgumentError } from '../../errors.ts';

export interface BeamSearchOptions {
  /** Outputs that are kept at each step. */
  readonly beams: number;
  /** Tokens to generate at most, the end token included. */
  readonly maxTokens: number;
  /** An output of n tokens is worth log p / n^lengthPenalty: above 1 prefers long ones. */
  readonly lengthPenalty: number;
  readonly endToken: number | undefined;
  /** For each of the outputs so far, the log probability of each next token [vocabulary]; `parents` are their places among the outputs before. */
  readonly next: (
    outputs: readonly (readonly number[])[],
    parents: readonly number[],
  ) => Promise<readonly Float32Array[]>;
}

interface Beam {
  readonly ids: readonly number[];
  /** Sum of log p. */
  readonly score: number;
  /** Its place among the outputs that were kept one step before. */
  readonly parent: number;
}

/**
 * Beam search with a length penalty (Wu et al., "Google's Neural Machine Translation System", section 7, with the plain power of the length). Of all
 * continuations of the kept outputs the best `beams` go on; one that ends is set aside. Stops when `beams` have ended and none that
 * goes on can be worth more. The best output, with its end token where it has one.
 */
export async function beamSearch(options: BeamSearchOptions): Promise<number[]> {
  const { beams, maxTokens, lengthPenalty, endToken, next } = options;
  if (!Number.isSafeInteger(beams) || beams < 1) {
    throw new ArgumentError(`generate: beams is ${beams}; it must be an integer from 1`);
  }
  if (!Number.isFinite(lengthPenalty)) {
    throw new ArgumentError(`generate: lengthPenalty is ${lengthPenalty}; it must be a finite number`);
  }
  const worth = ({ ids, score }: Beam): number => score / Math.max(1, ids.length) ** lengthPenalty;
  let running: Beam[] = [{ ids: [], score: 0, parent: 0 }];
  const ended: Beam[] = [];
  for (let length = 1; length <= maxTokens && running.length > 0; length++) {
    const scores = await next(
      running.map(({ ids }) => ids),
      running.map(({ parent }) => parent),
    );
    // An output can end in one way only, so twice as many candidates hold `beams` that go on.
    const candidates = running
      .flatMap(({ ids, score }, i) =>
        largest(scores[i] ?? new Float32Array(), 2 * beams).map(
          ([id, own]): Beam => ({ ids: [...ids, id], score: score + own, parent: i }),
        ),
      )
      .filter((beam) => beam.score > -Infinity)
      .sort((a, b) => b.score - a.score)
      .slice(0, 2 * beams);
    running = [];
    for (const [rank, beam] of candidates.entries()) {
      if (beam.ids.at(-1) !== endToken) running.push(beam);
      else if (rank < beams) ended.push(beam);
      if (running.length === beams) break;
    }
    ended.sort((a, b) => worth(b) - worth(a)).splice(beams);
    const [best] = running;
    const last = ended[beams - 1];
    if (best === undefined || (last !== undefined && attainable(best, length, maxTokens, lengthPenalty) <= worth(last)))
      break;
    if (length === maxTokens) ended.push(...running);
  }
  const [best] = ended.sort((a, b) => worth(b) - worth(a));
  return [...(best?.ids ?? [])];
}

/** The most that an output can be worth later: no more of log p, at the length that is best for it. */
function attainable({ score }: Beam, length: number, maxTokens: number, lengthPenalty: number): number {
  return score / (lengthPenalty > 0 ? maxTokens : length) ** lengthPenalty;
}

/** The `count` largest numbers with their places, the largest first; of equal ones the first. */
function largest(numbers: Float32Array, count: number): [number, number][] {
  const found: [number, number][] = [];
  for (const [i, value] of numbers.entries()) {
    if (found.length === count && value <= (found.at(-1)?.[1] ?? Infinity)) continue;
    const at = found.findIndex(([, other]) => other < value);
    found.splice(at < 0 ? found.length : at, 0, [i, value]);
    if (found.length > count) found.pop();
  }
  return found;
}
