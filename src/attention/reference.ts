import { isAllowed } from '../mask/index.ts';
import { isKept } from './dropout.ts';
import { checkProblem, maskOfEntry, sizes, strides } from './problem.ts';
import { scoreFunction } from './score/index.ts';
import { numbersOf } from './storage.ts';
import type { AnyAttentionOptions } from './types.ts';

/** Output and lse in float64, in the layout that attention() returns. */
export interface ReferenceResult {
  readonly output: Float64Array;
  readonly lse: Float64Array;
}

/**
 * The definition in float64, one row at a time: softmax(scale Q K^T, soft-capped, then modified, over the allowed keys and the
 * sink) V (Attention Is All You Need, equation 1), some of the probabilities dropped. Slow and plain on purpose; the devices are checked against it.
 */
export function referenceAttention(options: AnyAttentionOptions): ReferenceResult {
  const problem = checkProblem(options);
  const { batch, heads, keyValueHeads, queries, keys, queryWidth, valueWidth, scale, sinkLogits, mask, dropout } =
    problem;
  const { q, k, v, softcap } = options;
  const modify = options.score && scoreFunction(options.score);
  const [at, atK, atV] = [strides(q), strides(k), strides(v)];
  const atO = strides({ ...q, shape: outputShape(options) });
  const [dataQ, dataK, dataV] = [numbersOf('q', q), numbersOf('k', k), numbersOf('v', v)];
  const output = new Float64Array(batch * heads * queries * valueWidth);
  const lse = new Float64Array(batch * heads * queries);
  const scores = new Float64Array(keys);
  for (let b = 0; b < batch; b++) {
    for (let h = 0; h < heads; h++) {
      const g = Math.floor(h / (heads / keyValueHeads));
      for (let i = 0; i < queries; i++) {
        const query = b * at.batch + h * at.head + i * at.row;
        let maximum = sinkLogits ? sinkLogits[h] : -Infinity;
        for (let j = 0; j < keys; j++) {
          scores[j] = -Infinity;
          if (!isAllowed(maskOfEntry({ mask }, b), h, i, j)) continue;
          const key = b * atK.batch + g * atK.head + j * atK.row;
          let dot = 0;
          for (let d = 0; d < queryWidth; d++) dot += dataQ[query + d] * dataK[key + d];
          dot *= scale;
          const score = softcap === undefined ? dot : softcap * Math.tanh(dot / softcap);
          scores[j] = modify ? modify({ score, q: i + mask.queryOffset, k: j, row: i, head: h, batch: b }) : score;
          maximum = Math.max(maximum, scores[j]);
        }
        const row = (b * heads + h) * queries + i;
        lse[row] = -Infinity;
        if (maximum === -Infinity) continue;
        let sum = sinkLogits ? Math.exp(sinkLogits[h] - maximum) : 0;
        const out = b * atO.batch + h * atO.head + i * atO.row;
        for (let j = 0; j < keys; j++) {
          if (scores[j] === -Infinity) continue;
          const weight = Math.exp(scores[j] - maximum);
          sum += weight;
          if (dropout && !isKept(dropout, b, h, i + mask.queryOffset, j)) continue;
          const value = b * atV.batch + g * atV.head + j * atV.row;
          for (let e = 0; e < valueWidth; e++) output[out + e] += weight * dataV[value + e];
        }
        for (let e = 0; e < valueWidth; e++) output[out + e] /= sum * (1 - (dropout?.rate ?? 0));
        lse[row] = maximum + Math.log(sum);
      }
    }
  }
  return { output, lse };
}

/** The shape of the output, in the layout of q: q's with the width of v. */
export function outputShape({ q, v }: AnyAttentionOptions): [number, number, number, number] {
  const [a, b, c] = q.shape;
  return [a, b, c, sizes(v)[3]];
}
