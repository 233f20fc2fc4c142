import { defaultDevice } from './attention.ts';
import type { AttentionWeights, WeightsOptions } from './sparse-weights.ts';
import type { WasmDevice } from './wasm/device.ts';

/**
 * The attention weights softmax(scale Q K^T over the allowed pairs), with sink logits in the denominator, soft cap and score
 * modifier as in attention(), and before dropout (Attention Is All You Need, equation 1, without the values): in compressed
 * sparse rows, a number for each allowed pair and nothing of size N x M. Each row's values times its keys' rows of v give
 * attention()'s output. Rows without a key are empty. The result does not depend on the number of threads.
 * @throws as attention() does; MemoryError, which says how many pairs there are, before anything of their size is allocated.
 */
export async function attentionWeights(
  options: WeightsOptions & { readonly device?: WasmDevice },
): Promise<AttentionWeights> {
  const device = options.device ?? (await defaultDevice());
  return device.attentionWeights(options);
}
