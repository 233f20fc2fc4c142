import type { AttentionGradients, AttentionOptions, AttentionResult, GradientOptions, NumberArray } from './types.ts';
import { type DeviceOptions, WasmDevice } from './wasm/device.ts';

let shared: Promise<WasmDevice> | undefined;

/**
 * Sparse attention, softmax(scale Q K^T over the allowed pairs) V (Attention Is All You Need, equation 1), without anything
 * of size N x M; scores first soft-capped and modified, probabilities dropped, where the options say so. Runs on `device`, or on one that is made at the first call and shared by all that follow.
 *
 * Rows that see no key give zeros and lse = -Infinity. NaN and infinities stay in the rows that see them. The result does not depend
 * on the number of threads. Tensors may be stored in f32, f16 or bf16; all sums are f32, and the output is rounded once, to its own type.
 * @throws ArgumentError where shapes disagree or a number is not finite; PatternError; MemoryError before anything is allocated
 *   where one head does not fit; DeviceError where a worker fails.
 */
export async function attention<
  Q extends NumberArray = Float32Array,
  K extends NumberArray = Q,
  V extends NumberArray = K,
  O extends NumberArray = Q,
>(options: AttentionOptions<Q, K, V, O> & { readonly device?: WasmDevice }): Promise<AttentionResult<O>> {
  const device = options.device ?? (await defaultDevice());
  return device.attention(options);
}

/**
 * The gradients of sum(output gradOutput) + sum(lse gradLse) with respect to q, k, v, the sink logits and the parameters of
 * the score modifier (FlashAttention-2, Dao 2023, section 3.1). Scores are computed again from lse; nothing of size N x M is stored. The result is the same to the bit
 * on any number of threads. NaN and infinities may reach the gradients of other tokens of their block of 64.
 * @throws as attention() does.
 */
export async function attentionGradients<
  Q extends NumberArray = Float32Array,
  K extends NumberArray = Q,
  V extends NumberArray = K,
>(
  options: GradientOptions<Q, K, V, NumberArray, NumberArray> & { readonly device?: WasmDevice },
): Promise<AttentionGradients<Q, K, V>> {
  const device = options.device ?? (await defaultDevice());
  return device.attentionGradients(options);
}

/** A device of one's own: threads and a build of the kernels. Ends with dispose(). */
export function createDevice(options?: DeviceOptions): Promise<WasmDevice> {
  return WasmDevice.create(options);
}

/** The shared device of attention(). A new one is made after it was disposed or could not be made. */
export function defaultDevice(): Promise<WasmDevice> {
  if (!shared) {
    shared = WasmDevice.create();
    shared.catch(() => {
      shared = undefined;
    });
  }
  return shared;
}

/** Ends the shared device's threads; a later attention() starts new ones. */
export async function dispose(): Promise<void> {
  const device = shared;
  shared = undefined;
  await (await device)?.dispose();
}
