import { seededRandom } from '../../../src/mask/analysis/random.ts';

/**
 * What q, k and v are filled with. `noise`: independent normal numbers; no token has anything to do with another, which is the
 * worst case for leaving pairs out. `topics`: each number is a slow random walk over the tokens, and q = k, so that tokens look
 * for their like, which lie mostly near, as in text.
 */
export type Content = 'noise' | 'topics';

/** Tokens over which the likeness of `topics` falls to 1/e. */
export const TOPIC_LENGTH = 64;

/** Fills q, k and v, each [1, H, N, D], the same for the same seed. */
export function fillTensors(
  { q, k, v }: Readonly<Record<'q' | 'k' | 'v', Float32Array>>,
  { heads, tokens, width }: { readonly heads: number; readonly tokens: number; readonly width: number },
  content: Content,
  seed: number,
): void {
  const normal = normalNumbers(seed);
  if (content === 'noise') {
    for (const array of [q, k, v]) for (let i = 0; i < array.length; i++) array[i] = normal();
    return;
  }
  // An autoregressive process of order 1 with unit variance.
  const keep = Math.exp(-1 / TOPIC_LENGTH);
  const fresh = Math.sqrt(1 - keep * keep);
  const walk = new Float64Array(width);
  for (let head = 0; head < heads; head++) {
    for (let d = 0; d < width; d++) walk[d] = normal();
    for (let token = 0; token < tokens; token++) {
      const row = (head * tokens + token) * width;
      for (let d = 0; d < width; d++) {
        walk[d] = keep * walk[d] + fresh * normal();
        q[row + d] = walk[d];
        v[row + d] = normal();
      }
    }
  }
  k.set(q);
}

/** Standard normal numbers (Box and Muller 1958). */
function normalNumbers(seed: number): () => number {
  const random = seededRandom(seed);
  let spare: number | undefined;
  return () => {
    if (spare !== undefined) {
      const number = spare;
      spare = undefined;
      return number;
    }
    const radius = Math.sqrt(-2 * Math.log(1 - random()));
    const angle = 2 * Math.PI * random();
    spare = radius * Math.sin(angle);
    return radius * Math.cos(angle);
  };
}
