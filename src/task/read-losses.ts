/** Reads a text with a model, step by step, and takes down how well each token was predicted. */
import type { TokenStream } from '../model/index.ts';

/** Tokens between two reports of progress. */
const STEP = 1024;

export interface ReadLossesOptions {
  /** After each step: tokens read, and the sum of the losses so far in nats. */
  readonly onStep?: (done: number, nats: number) => void;
  readonly signal?: AbortSignal;
}

/** -log p of ids 1 to `tokens` - 1, natural [tokens - 1]; the first is given. @throws the signal's reason */
export async function readLosses(
  stream: TokenStream,
  ids: ArrayLike<number>,
  tokens: number,
  { onStep, signal }: ReadLossesOptions = {},
): Promise<Float32Array> {
  const losses = new Float32Array(tokens - 1);
  const all = Int32Array.from({ length: tokens }, (_, i) => ids[i] ?? -1);
  let sum = 0;
  for (let from = 0; from < losses.length; from += STEP) {
    const to = Math.min(from + STEP, losses.length);
    const part = await stream.losses(all.subarray(from, to), all.subarray(from + 1, to + 1), {
      ...(signal === undefined ? {} : { signal }),
    });
    losses.set(part, from);
    sum += total(part);
    onStep?.(to === losses.length ? tokens : to, sum);
  }
  return losses;
}

/** In float64, as thousands of losses are added. */
export function total(losses: Float32Array): number {
  let sum = 0;
  for (const loss of losses) sum += loss;
  return sum;
}
