import { isAllowed } from '../mask/index.ts';
import { isKept } from './dropout.ts';
import { checkProblem, maskOfEntry, strides } from './problem.ts';
import { outputShape, referenceAttention } from './reference.ts';
import { entryOf } from './score/evaluate.ts';
import { differentiate, ExpressionGraph } from './score/index.ts';
import { numbersOf } from './storage.ts';
import type { AnyAttentionOptions, NumberArray, Tensor } from './types.ts';

/** Gradients in float64, in the layouts of what they are the gradients of. */
export interface ReferenceGradients {
  readonly gradQ: Float64Array;
  readonly gradK: Float64Array;
  readonly gradV: Float64Array;
  readonly gradSinkLogits: Float64Array;
  readonly gradParameters: Readonly<Record<string, Float64Array>>;
}

/**
 * The gradients of sum(output gradOutput) + sum(lse gradLse) in float64, one pair at a time, by the chain rule. Slow and plain on
 * purpose; the devices are checked against it, and it against finite differences.
 */
export function referenceGradients(
  options: AnyAttentionOptions & { readonly gradOutput: Tensor<NumberArray>; readonly gradLse?: Float32Array },
): ReferenceGradients {
  const { batch, heads, keyValueHeads, queries, keys, queryWidth, valueWidth, scale, sinkLogits, mask, dropout } =
    checkProblem(options);
  const { q, k, v, softcap, score: modifier, gradOutput, gradLse } = options;
  const { output, lse } = referenceAttention(options);
  const [at, atK, atV] = [strides(q), strides(k), strides(v)];
  const atO = strides({ ...q, shape: outputShape(options) });
  const [dataQ, dataK, dataV] = [numbersOf('q', q), numbersOf('k', k), numbersOf('v', v)];
  const dataGradOutput = numbersOf('gradOutput', gradOutput);
  const parameters = modifier?.parameters ?? {};
  const result: ReferenceGradients = {
    gradQ: new Float64Array(q.data.length),
    gradK: new Float64Array(k.data.length),
    gradV: new Float64Array(v.data.length),
    gradSinkLogits: new Float64Array(heads),
    gradParameters: Object.fromEntries(
      Object.entries(parameters).map(([name, { data }]) => [name, new Float64Array(data.length)]),
    ),
  };
  const graph = new ExpressionGraph();
  const root = graph.add(modifier?.expression ?? { kind: 'score' });
  const { slope, lookups } = differentiate(graph, root);
  const kept = 1 / (1 - (dropout?.rate ?? 0));
  for (let b = 0; b < batch; b++) {
    for (let h = 0; h < heads; h++) {
      const g = Math.floor(h / (heads / keyValueHeads));
      for (let i = 0; i < queries; i++) {
        const row = (b * heads + h) * queries + i;
        if (lse[row] === -Infinity) continue;
        const query = b * at.batch + h * at.head + i * at.row;
        const out = b * atO.batch + h * atO.head + i * atO.row;
        let delta = -(gradLse?.[row] ?? 0);
        for (let e = 0; e < valueWidth; e++) delta += output[out + e] * dataGradOutput[out + e];
        if (sinkLogits) result.gradSinkLogits[h] -= Math.exp(sinkLogits[h] - lse[row]) * delta;
        for (let j = 0; j < keys; j++) {
          if (!isAllowed(maskOfEntry({ mask }, b), h, i, j)) continue;
          const key = b * atK.batch + g * atK.head + j * atK.row;
          const value = b * atV.batch + g * atV.head + j * atV.row;
          let dot = 0;
          for (let d = 0; d < queryWidth; d++) dot += dataQ[query + d] * dataK[key + d];
          const cap = softcap === undefined ? 0 : Math.tanh((dot * scale) / softcap);
          const score = softcap === undefined ? dot * scale : softcap * cap;
          const pair = { score, q: i + mask.queryOffset, k: j, row: i, head: h, batch: b };
          const values = graph.evaluate(parameters, pair);
          const probability = Math.exp(values[root] - lse[row]);
          const keep = dropout && !isKept(dropout, b, h, i + mask.queryOffset, j) ? 0 : kept;
          let gradProbability = 0;
          for (let e = 0; e < valueWidth; e++) {
            gradProbability += dataV[value + e] * dataGradOutput[out + e] * keep;
            result.gradV[value + e] += probability * keep * dataGradOutput[out + e];
          }
          const gradModified = probability * (gradProbability - delta);
          if (gradModified === 0) continue;
          for (const { node, adjoint } of lookups) {
            const { parameter = '', operands } = graph.nodes[node];
            const entry = entryOf(
              parameters[parameter].shape,
              operands.map((operand) => values[operand]),
            );
            result.gradParameters[parameter][entry] += gradModified * values[adjoint];
          }
          const gradDot = gradModified * (slope === undefined ? 0 : values[slope]) * (1 - cap * cap) * scale;
          for (let d = 0; d < queryWidth; d++) {
            result.gradQ[query + d] += gradDot * dataK[key + d];
            result.gradK[key + d] += gradDot * dataQ[query + d];
          }
        }
      }
    }
  }
  return result;
}
