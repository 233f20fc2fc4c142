/** Random numbers that are the same on every platform: 32-bit integer arithmetic, no state. */

/** MurmurHash3's finalizer: every bit of the input moves every bit of the output. */
function mix(value: number): number {
  let x = value | 0;
  x = Math.imul(x ^ (x >>> 16), 0x85ebca6b);
  x = Math.imul(x ^ (x >>> 13), 0xc2b2ae35);
  return x ^ (x >>> 16);
}

/** Both halves of a non-negative safe integer, mixed into `state`. */
function absorb(state: number, value: number): number {
  return mix(mix(state ^ value) + Math.floor(value / 2 ** 32) + 0x9e3779b9);
}

/** The seed that head h uses where every head draws for itself. */
export function headSeed(seed: number, head: number): number {
  return absorb(absorb(0x51ed270b, seed), head) >>> 0;
}

/**
 * `count` different numbers below `population`, ascending; all where there are not more. They depend on the seed, the row
 * and the population alone. Floyd's algorithm (Bentley and Floyd 1987): one draw for each number, nothing of size `population`.
 */
export function drawDistinct(seed: number, row: number, count: number, population: number): number[] {
  if (count >= population) return Array.from({ length: Math.max(0, population) }, (_, i) => i);
  const state = absorb(absorb(0x2545f491, seed), row);
  const drawn = new Set<number>();
  for (let last = population - count; last < population; last++) {
    const first = absorb(state, last);
    // 53 bits, so that the remainder's bias is below one in 2^20 even for 2^32 numbers.
    const value = ((mix(first + 0x632be5ab) >>> 11) * 2 ** 32 + (first >>> 0)) % (last + 1);
    drawn.add(drawn.has(value) ? last : value);
  }
  return [...drawn].sort((a, b) => a - b);
}
