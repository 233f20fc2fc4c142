/** Choosing the next token from its logits. */
import { ArgumentError } from '../errors.ts';

export interface SamplingOptions {
  /** Logits are divided by it. 0, the default, always takes the most probable token. */
  readonly temperature?: number;
  /** Chooses among the k most probable tokens only (Fan et al., "Hierarchical Neural Story Generation"). Default: all. */
  readonly topK?: number;
  /** Chooses among the fewest most probable tokens that have this probability together (Holtzman et al., "The Curious Case of Neural Text Degeneration"). Default 1. */
  readonly topP?: number;
  /** The same seed gives the same tokens. Default 0. */
  readonly seed?: number;
}

/** A function from logits [vocabulary] to a token id. @throws ArgumentError for options out of range. */
export function sampler(options: SamplingOptions): (logits: Float32Array) => number {
  const { temperature = 0, topK = Infinity, topP = 1, seed = 0 } = options;
  if (!(temperature >= 0 && temperature < Infinity)) {
    throw new ArgumentError(`temperature is ${temperature}; it must be a number from 0`);
  }
  if (!(topK >= 1)) throw new ArgumentError(`topK is ${topK}; it must be at least 1`);
  if (!(topP > 0 && topP <= 1)) throw new ArgumentError(`topP is ${topP}; it must be above 0 and at most 1`);
  if (temperature === 0) return mostProbable;
  const random = randomNumbers(seed);
  return (logits) => sample(logits, temperature, topK, topP, random());
}

/** The index of the largest logit, the first of equal ones. */
export function mostProbable(logits: Float32Array): number {
  let best = 0;
  for (let i = 1; i < logits.length; i++) if ((logits[i] ?? 0) > (logits[best] ?? 0)) best = i;
  return best;
}

function sample(logits: Float32Array, temperature: number, topK: number, topP: number, random: number): number {
  const largest = logits[mostProbable(logits)] ?? 0;
  const ids = Uint32Array.from({ length: logits.length }, (_, id) => id);
  const weights = Float64Array.from(logits, (logit) => Math.exp((logit - largest) / temperature));
  let kept = ids;
  if (topK < logits.length || topP < 1) {
    kept = ids
      .sort((a, b) => (weights[b] ?? 0) - (weights[a] ?? 0) || a - b)
      .subarray(0, Math.min(topK, logits.length));
  }
  let all = 0;
  for (const id of kept) all += weights[id] ?? 0;
  if (topP < 1) {
    let sum = 0;
    const count = kept.findIndex((id) => {
      sum += weights[id] ?? 0;
      return sum >= topP * all;
    });
    if (count >= 0) {
      kept = kept.subarray(0, count + 1);
      all = sum;
    }
  }
  let left = random * all;
  for (const id of kept) {
    left -= weights[id] ?? 0;
    if (left < 0) return id;
  }
  return kept[0] ?? 0;
}

/** Numbers in [0, 1): mulberry32. */
function randomNumbers(seed: number): () => number {
  let state = seed | 0;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let t = Math.imul(state ^ (state >>> 15), 1 | state);
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
    return ((t ^ (t >>> 14)) >>> 0) / 2 ** 32;
  };
}
