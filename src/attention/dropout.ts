import { ArgumentError } from '../errors.ts';

/**
 * Dropout of probabilities (Srivastava et al. 2014): each pair's probability is dropped with chance `rate`, the others are divided
 * by 1 - rate. lse is that of all pairs. Which pairs are dropped is a function of (seed, batch, head, q, k) alone: the same on
 * any device and number of threads, and in the backward pass.
 */
export interface Dropout {
  /** From 0 up to, not including, 1. */
  readonly rate: number;
  /** A non-negative integer. Another one for each step and layer. */
  readonly seed: number;
}

/** @throws ArgumentError */
export function checkDropout({ rate, seed }: Dropout): void {
  if (!(rate >= 0 && rate < 1))
    throw new ArgumentError(`attention: dropout.rate must be from 0 to below 1, got ${rate}`);
  if (!Number.isSafeInteger(seed) || seed < 0)
    throw new ArgumentError(`attention: dropout.seed must be a non-negative integer, got ${seed}`);
}

/** Numbers below this, of 2^32, are dropped. */
export function dropBelow(rate: number): number {
  return Math.min(2 ** 32 - 1, Math.round(rate * 2 ** 32));
}

/** The low and the high 32 bits of a seed. */
export function seedWords(seed: number): [number, number] {
  return [seed >>> 0, Math.floor(seed / 2 ** 32)];
}

/** Whether a pair is kept: the definition that wasm/kernel/dropout.ts evaluates. Positions are absolute. */
export function isKept({ rate, seed }: Dropout, batch: number, head: number, q: number, k: number): boolean {
  const key = (start: number) => {
    const [low, high] = seedWords(seed);
    return [low, high, batch, head, q].reduce(mix, start);
  };
  let x = (key(0x243f6a88) + Math.imul(k, 0x9e3779b9)) | 0;
  x ^= x >>> 16;
  x = Math.imul(x, 0x21f0aaad);
  x ^= key(0x85a308d3) ^ (x >>> 15);
  x = Math.imul(x, 0xd35a2d97);
  x ^= x >>> 15;
  return x >>> 0 >= dropBelow(rate);
}

function mix(hash: number, word: number): number {
  let h = hash ^ word;
  h ^= h >>> 16;
  h = Math.imul(h, 0x21f0aaad);
  h ^= h >>> 15;
  h = Math.imul(h, 0xd35a2d97);
  return h ^ (h >>> 15);
}
