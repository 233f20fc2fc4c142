import { isAllowed } from '../mask/index.ts';
import { checkProblem, maskOfEntry, strides } from './problem.ts';
import { referenceAttention } from './reference.ts';
import { scoreFunction } from './score/index.ts';
import { numbersOf } from './storage.ts';
import type { AnyAttentionOptions } from './types.ts';

/**
 * The probabilities of attention() before dropout in float64, every pair written out [B, H, N, M], 0 where it is not allowed:
 * exp(score - lse). Slow and plain on purpose; attentionWeights() is checked against it.
 */
export function referenceWeights(options: AnyAttentionOptions): Float64Array {
  const { batch, heads, keyValueHeads, queries, keys, queryWidth, scale, mask } = checkProblem(options);
  const { q, k, softcap } = options;
  const { lse } = referenceAttention(options);
  const modify = options.score && scoreFunction(options.score);
  const [at, atK] = [strides(q), strides(k)];
  const [dataQ, dataK] = [numbersOf('q', q), numbersOf('k', k)];
  const weights = new Float64Array(batch * heads * queries * keys);
  for (let b = 0; b < batch; b++) {
    for (let h = 0; h < heads; h++) {
      const g = Math.floor(h / (heads / keyValueHeads));
      for (let i = 0; i < queries; i++) {
        const row = (b * heads + h) * queries + i;
        const query = b * at.batch + h * at.head + i * at.row;
        for (let j = 0; j < keys; j++) {
          if (lse[row] === -Infinity || !isAllowed(maskOfEntry({ mask }, b), h, i, j)) continue;
          const key = b * atK.batch + g * atK.head + j * atK.row;
          let dot = 0;
          for (let d = 0; d < queryWidth; d++) dot += dataQ[query + d] * dataK[key + d];
          dot *= scale;
          const score = softcap === undefined ? dot : softcap * Math.tanh(dot / softcap);
          const pair = { score, q: i + mask.queryOffset, k: j, row: i, head: h, batch: b };
          weights[row * keys + j] = Math.exp((modify ? modify(pair) : score) - lse[row]);
        }
      }
    }
  }
  return weights;
}
