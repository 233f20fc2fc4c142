/** Numbers of a parameter before training. */

/**
 * Normally distributed numbers with mean 0, drawn from the seed and the parameter's name alone, so that adding a parameter does not change
 * the others: xoshiro128** (Blackman and Vigna, "Scrambled Linear Pseudorandom Number Generators") and the transform of Box and Muller.
 */
export function normal(length: number, deviation: number, seed: number, name: string): Float32Array {
  const next = uniform(seed, name);
  const result = new Float32Array(length);
  for (let i = 0; i < length; i += 2) {
    const radius = deviation * Math.sqrt(-2 * Math.log(1 - next()));
    const angle = 2 * Math.PI * next();
    result[i] = radius * Math.cos(angle);
    if (i + 1 < length) result[i + 1] = radius * Math.sin(angle);
  }
  return result;
}

/** Numbers from 0 to below 1, in steps of 2^-32. */
function uniform(seed: number, name: string): () => number {
  // FNV-1a of the name, mixed with the seed by splitmix32, fills the state.
  let hash = 0x811c9dc5;
  for (let i = 0; i < name.length; i++) hash = Math.imul(hash ^ name.charCodeAt(i), 0x01000193);
  let counter = (hash ^ Math.imul(seed, 0x9e3779b9)) | 0;
  const state = Uint32Array.from({ length: 4 }, () => {
    counter = (counter + 0x9e3779b9) | 0;
    let z = counter;
    z = Math.imul(z ^ (z >>> 16), 0x21f0aaad);
    z = Math.imul(z ^ (z >>> 15), 0x735a2d97);
    return z ^ (z >>> 15);
  });
  const rotated = (x: number, by: number): number => (x << by) | (x >>> (32 - by));
  return () => {
    const [a = 0, b = 0, c = 0, d = 0] = state;
    const result = Math.imul(rotated(Math.imul(b, 5), 7), 9) >>> 0;
    const third = c ^ a;
    const fourth = d ^ b;
    state[1] = b ^ third;
    state[0] = a ^ fourth;
    state[2] = third ^ (b << 9);
    state[3] = rotated(fourth, 11);
    return result / 2 ** 32;
  };
}
