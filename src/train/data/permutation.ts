/** Exact shuffling: permutations of large index ranges, entry by entry. */
import { mix, randomStream } from './random.ts';

/** Up to this many entries a permutation is an array: Fisher-Yates is uniform over all of them, and the array small. */
const LISTED = 2 ** 16;

/** Luby and Rackoff need 4 rounds for a pseudorandom permutation; more, because the halves are small. */
const ROUNDS = 8;

/**
 * A permutation of 0 to `count` - 1, another one for each list of numbers, such as (seed, epoch). Each result comes exactly once.
 * Memory does not grow with the count. `count` is at most 2^52.
 */
export function permutation(count: number, ...key: readonly number[]): (index: number) => number {
  if (count > LISTED) return feistelPermutation(count, ...key);
  let listed: Uint32Array | undefined;
  return (index) => {
    listed ??= fisherYates(count, key);
    return listed[index];
  };
}

/** Durstenfeld's form of the Fisher-Yates shuffle (Knuth, The Art of Computer Programming, algorithm 3.4.2P). */
function fisherYates(count: number, key: readonly number[]): Uint32Array {
  const random = randomStream(...key);
  const entries = Uint32Array.from({ length: count }, (_, i) => i);
  for (let last = count - 1; last > 0; last--) {
    const chosen = random.integer(last + 1);
    const entry = entries[chosen];
    entries[chosen] = entries[last];
    entries[last] = entry;
  }
  return entries;
}

/**
 * A Feistel network over the smallest even number of bits that holds `count`, and cycle walking: where it leads out of the range it
 * is applied again (Black and Rogaway 2002, "Ciphers with Arbitrary Finite Domains", methods 2 and 3). The range of the network is
 * less than 4 times `count` + 4, so a walk takes fewer than 4 steps on average.
 */
export function feistelPermutation(count: number, ...key: readonly number[]): (index: number) => number {
  let halfBits = 1;
  while (4 ** halfBits < count) halfBits++;
  const side = 2 ** halfBits;
  const random = randomStream(...key);
  const roundKeys = Array.from({ length: ROUNDS }, () => random.word());
  return (index) => {
    let value = index;
    do {
      let left = Math.floor(value / side);
      let right = value % side;
      for (const roundKey of roundKeys) {
        const next = left ^ (mix(roundKey, right) & (side - 1));
        left = right;
        right = next;
      }
      value = left * side + right;
    } while (value >= count);
    return value;
  };
}
