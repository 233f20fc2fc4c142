import { describe, expect, it } from 'vitest';
import { causal, perHead, sinks, union, window } from '../pattern/index.ts';
import {
  type AttentionOptions,
  additiveBias,
  alibi,
  alibiSlopes,
  composeScores,
  expression as e,
  headScale,
  referenceAttention,
  referenceGradients,
  relativePositions,
  type ScoreModifier,
  softcap,
  swinBias2d,
  type Tensor,
  t5Buckets,
} from './index.ts';

/** Numbers in [-1, 1) from a linear congruential generator. */
function numbers(length: number, seed: number): Float32Array {
  let state = seed >>> 0;
  return Float32Array.from({ length }, () => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    return state / 2 ** 31 - 1;
  });
}

function tensor(shape: [number, number, number, number], seed: number): Tensor {
  return { data: numbers(shape[0] * shape[1] * shape[2] * shape[3], seed), shape };
}

/** Small, so that no pair of these inputs comes to a kink of min, max or abs. */
const STEP = 2 ** -14;

/** Central differences of sum(output gradOutput) + sum(lse gradLse) with respect to each number of `x`, in float64. */
function differences(
  options: AttentionOptions,
  x: Float32Array,
  gradOutput: Float32Array,
  gradLse: Float32Array,
): number[] {
  const loss = () => {
    const { output, lse } = referenceAttention(options);
    let sum = 0;
    for (let i = 0; i < output.length; i++) sum += output[i] * gradOutput[i];
    for (let i = 0; i < lse.length; i++) if (lse[i] !== -Infinity) sum += lse[i] * gradLse[i];
    return sum;
  };
  return Array.from(x, (start, i) => {
    // The steps that float32 really takes.
    x[i] = start + STEP;
    const [above, high] = [x[i], loss()];
    x[i] = start - STEP;
    const slope = (high - loss()) / (above - x[i]);
    x[i] = start;
    return slope;
  });
}

const [B, H, G, N, M, D, E] = [2, 4, 2, 6, 8, 3, 2];

describe('float64 gradients against central differences', () => {
  const table = (seed: number, ...shape: number[]) => ({
    data: numbers(
      shape.reduce((product, size) => product * size),
      seed,
    ),
    shape,
  });
  const modifiers: [string, ScoreModifier | undefined][] = [
    ['no modifier', undefined],
    ['alibi', alibi({ slopes: alibiSlopes(H) })],
    ['symmetric alibi', alibi({ slopes: alibiSlopes(H), symmetric: true })],
    ['relative positions', relativePositions(table(11, H, 5))],
    ['T5 buckets', t5Buckets({ table: table(12, 8, H), bidirectional: true, maxDistance: 6 })],
    ['Swin', swinBias2d({ window: [2, 3], table: table(13, 15, H) })],
    ['additive bias', additiveBias(table(14, 1, N, M))],
    ['additive bias of batch entries', additiveBias(table(14, B, H, 1, M))],
    ['head scale', headScale(numbers(H, 15))],
    ['soft cap, then alibi', composeScores(softcap(2), alibi({ slopes: alibiSlopes(H) }))],
    [
      'every operation',
      {
        expression: e.add(
          e.mul(e.exp(e.mul(0.3, e.tanh(e.score))), e.lookup('a', e.head)),
          e.add(
            e.select(
              e.lessEqual(e.k, e.q),
              e.log(e.add(e.abs(e.score), 1.5)),
              e.div(e.score, e.add(2, e.lookup('b', e.k))),
            ),
            e.sub(e.min(e.score, e.lookup('b', e.row)), e.neg(e.max(e.mul(e.score, 0.5), e.floor(e.div(e.q, 3))))),
          ),
        ),
        parameters: { a: { data: numbers(H, 16), shape: [H] }, b: { data: numbers(9, 17), shape: [9] } },
      },
    ],
  ];
  it.each(modifiers)('%s', (_, score) => {
    const q = tensor([B, H, N, D], 1);
    const k = tensor([B, G, M, D], 2);
    const v = tensor([B, G, M, E], 3);
    const sinkLogits = numbers(H, 4);
    const options = {
      q,
      k,
      v,
      sinkLogits,
      pattern: perHead([union(causal(), sinks(2)), window(2)]),
      dropout: { rate: 0.25, seed: 3 },
      ...(score ? { score } : { softcap: 1.5 }),
    };
    const gradOutput = numbers(B * H * N * E, 5);
    const gradLse = numbers(B * H * N, 6);
    const got = referenceGradients({ ...options, gradOutput: { data: gradOutput, shape: [B, H, N, E] }, gradLse });
    const check = (name: string, x: Float32Array, gradient: Float64Array) => {
      for (const [i, want] of differences(options, x, gradOutput, gradLse).entries()) {
        // The error of a central difference is its step squared, 4e-9, times a third derivative.
        expect(Math.abs(gradient[i] - want), `${name} at ${i}: ${gradient[i]} and ${want}`).toBeLessThan(1e-6);
      }
    };
    check('q', q.data, got.gradQ);
    check('k', k.data, got.gradK);
    check('v', v.data, got.gradV);
    check('sinkLogits', sinkLogits, got.gradSinkLogits);
    for (const [name, { data }] of Object.entries(score?.parameters ?? {})) check(name, data, got.gradParameters[name]);
  });
});
