/** Random numbers that are the same on every platform: integer arithmetic only. */
import { ArgumentError } from '../../errors.ts';

/** Digits of pi: where the four hashes that seed a stream start. */
const STARTS = [0x243f6a88, 0x85a308d3, 0x13198a2e, 0x03707344];

/** Joins a word to a hash; all 32 bits of both matter. For one hash, a bijection of the word. */
export function mix(hash: number, word: number): number {
  let h = hash ^ word;
  h ^= h >>> 16;
  h = Math.imul(h, 0x21f0aaad);
  h ^= h >>> 15;
  h = Math.imul(h, 0xd35a2d97);
  return h ^ (h >>> 15);
}

/** 32 bits of a list of non-negative integers, both halves of each; `start` chooses one of many independent hashes. */
export function hashOf(start: number, ...numbers: readonly number[]): number {
  let hash = mix(STARTS[0], start);
  for (const number of numbers) hash = mix(mix(hash, number >>> 0), Math.floor(number / 2 ** 32));
  return hash;
}

export interface RandomStream {
  /** 32 random bits, from 0. */
  word(): number;
  /** An integer from 0 to below `below`, each equally likely; `below` from 1 to 2^32. */
  integer(below: number): number;
  /** A number from 0 to below 1, a multiple of 2^-32. */
  unit(): number;
}

/** A stream of its own for every list of numbers, such as (seed, epoch): xoshiro128** seeded by hashes of the list. */
export function randomStream(...numbers: readonly number[]): RandomStream {
  return xoshiro(STARTS.map((start) => hashOf(start, ...numbers)));
}

/** xoshiro128** (Blackman and Vigna 2021, "Scrambled linear pseudorandom number generators"). The state must not be all 0. */
export function xoshiro(state: readonly number[]): RandomStream {
  let [a, b, c, d] = state;
  const word = (): number => {
    const result = Math.imul(rotate(Math.imul(b, 5), 7), 9) >>> 0;
    const shifted = b << 9;
    c ^= a;
    d ^= b;
    b ^= c;
    a ^= d;
    c ^= shifted;
    d = rotate(d, 11);
    return result;
  };
  return {
    word,
    integer: (below) => {
      // Words from the last, incomplete run of `below` values would favour small results.
      const limit = 2 ** 32 - (2 ** 32 % below);
      let value = word();
      while (value >= limit) value = word();
      return value % below;
    },
    unit: () => word() / 2 ** 32,
  };
}

function rotate(word: number, by: number): number {
  return (word << by) | (word >>> (32 - by));
}

/** @throws ArgumentError unless the seed is a non-negative integer. */
export function checkSeed(seed: number): void {
  if (!Number.isSafeInteger(seed) || seed < 0) {
    throw new ArgumentError(`seed is ${seed}; it must be a non-negative integer`);
  }
}
