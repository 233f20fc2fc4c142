/** Numbers in [0, 1) that are the same on every platform for the same seed: SplitMix32, an integer hash of a counter. */
export function seededRandom(seed: number): () => number {
  let state = seed | 0;
  return () => {
    state = (state + 0x9e3779b9) | 0;
    let bits = state ^ (state >>> 16);
    bits = Math.imul(bits, 0x21f0aaad);
    bits = Math.imul(bits ^ (bits >>> 15), 0x735a2d97);
    return ((bits ^ (bits >>> 15)) >>> 0) / 2 ** 32;
  };
}

/** `count` different integers below `below`, ascending: Floyd's sampling, without an array of `below`. */
export function sampleIntegers(count: number, below: number, random: () => number): number[] {
  const chosen = new Set<number>();
  for (let top = below - count; top < below; top++) {
    const candidate = Math.floor(random() * (top + 1));
    chosen.add(chosen.has(candidate) ? top : candidate);
  }
  return [...chosen].sort((a, b) => a - b);
}
